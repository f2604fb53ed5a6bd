"""Attack surface reduction on Linux: one provider for each thing that does the reducing.

They are apart so that one that fails goes back alone: fapolicyd that does not start takes no kernel value along.
"""

from shieldwall.agent.providers.hardening.fapolicyd import FapolicydProvider
from shieldwall.agent.providers.hardening.kernel import KernelProvider
from shieldwall.agent.providers.hardening.modules import ModulesProvider
from shieldwall.agent.providers.hardening.mounts import MountsProvider
from shieldwall.agent.providers.hardening.sentry import SentryProvider
from shieldwall.agent.providers.hardening.watches import WatchesProvider

__all__ = [
    "FapolicydProvider",
    "KernelProvider",
    "ModulesProvider",
    "MountsProvider",
    "SentryProvider",
    "WatchesProvider",
]
