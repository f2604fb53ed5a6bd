"""Microsoft Defender for Endpoint on macOS."""

from shieldwall.agent.providers.macos.provider import MacosDefenderProvider
from shieldwall.agent.providers.macos.store import guarded

__all__ = ["MacosDefenderProvider", "guarded"]
