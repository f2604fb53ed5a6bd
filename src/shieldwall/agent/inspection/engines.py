"""Each product: here, running, configured as policies say, and does a probe see the effect?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.inspection.model import MOST, Engine, Ineffective, Unit, short
from shieldwall.agent.providers import systemd
from shieldwall.agent.providers.base import Desired, Provider

_UNITS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "clamav": ("clamav-daemon.service",),
        "mdatp": ("mdatp.service",),
        "fapolicyd": ("fapolicyd.service",),
        "watches": ("auditd.service",),
    }
)
"""Units that a product brings itself; those that a provider writes are found among its files."""
_KINDS: Final = frozenset({".service", ".timer", ".path", ".socket"})


def look(host: Host, provider: Provider, desired: Desired) -> Engine:
    """Look at one product, through the eyes of its provider. Raises: whatever a broken product makes it raise."""
    version = provider.product_version(host)
    files = {path: host.read_file(path) for path in provider.files()}
    found = provider.read(files) if desired else {}
    seen = provider.observe(host, desired) if desired else {}
    bad = [(setting, each) for setting, each in sorted(seen.items()) if each.effective is False]
    return Engine(
        name=provider.name,
        version=None if version is None else short(version),
        units=_units(host, provider.name, [path for path, content in files.items() if content is not None])
        if version is not None or desired
        else (),
        desired=len(desired),
        differing=tuple(short(each) for each in sorted(desired) if found.get(each) != desired[each])[:MOST],
        ineffective=tuple(
            Ineffective(setting=short(setting), code=short(each.code), reason=short(each.reason))
            for setting, each in bad[:MOST]
        ),
        proven=sum(each.effective is True for each in seen.values()),
    )


def unit(host: Host, name: str) -> Unit:
    """Ask systemd for one unit. Raises: HostError, ProviderError."""
    shown = systemd.show(host, name, "LoadState", "UnitFileState", "ActiveState")
    return Unit(
        name=short(name),
        loaded=short(shown.get("LoadState", "")),
        enabled=short(shown.get("UnitFileState", "")),
        active=short(shown.get("ActiveState", "")),
    )


def _units(host: Host, name: str, files: Sequence[PurePosixPath]) -> tuple[Unit, ...]:
    if not systemd.runs(host):
        return ()
    ours = [path.name for path in files if path.parent == systemd.UNITS and path.suffix in _KINDS]
    return tuple(unit(host, each) for each in (*_UNITS.get(name, ()), *sorted(ours))[:MOST])
