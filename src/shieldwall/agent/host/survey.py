"""Is this device managed by somebody else already? Asked before onboarding and before every check-in.

Looking is one function, judging another: ``survey`` is pure over the paths that are there. The paths are those that
products write when another manager owns the device, as public documentation and practice have them.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host

MICROSOFT_CHANNEL: Final = "Microsoft Defender for Endpoint security settings management"

_MANAGERS: Final[tuple[tuple[PurePosixPath, str], ...]] = (
    # Written, even if only as {}, by Microsoft's own channel; it then replaces every other managed file.
    (PurePosixPath("/etc/opt/microsoft/mdatp/managed/mdeattach_managed.json"), MICROSOFT_CHANNEL),
    (PurePosixPath("/Library/Preferences/com.microsoft.mdeattach.plist"), MICROSOFT_CHANNEL),
    (PurePosixPath("/Library/Managed Preferences/com.microsoft.wdav.plist"), "an MDM (Defender preferences of macOS)"),
    (
        PurePosixPath("/Library/Managed Preferences/com.microsoft.wdav.ext.plist"),
        "an MDM (Defender preferences of macOS)",
    ),
)
_NEIGHBOURS: Final[tuple[tuple[PurePosixPath, str], ...]] = (
    (PurePosixPath("/etc/firewalld/firewalld.conf"), "firewalld"),
    (PurePosixPath("/etc/ufw/ufw.conf"), "ufw"),
    (PurePosixPath("/etc/docker"), "Docker"),
    (PurePosixPath("/etc/fapolicyd/fapolicyd.conf"), "fapolicyd"),
    (PurePosixPath("/opt/CrowdStrike"), "CrowdStrike Falcon"),
    (PurePosixPath("/opt/sentinelone"), "SentinelOne"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Another product on this device and the path that gives it away."""

    product: str
    evidence: PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Who else is here: managers, because of whom the agent stays passive, and neighbours, worth knowing about."""

    managers: tuple[Finding, ...]
    neighbours: tuple[Finding, ...]

    @property
    def managed_elsewhere(self) -> str | None:
        """Name the other manager in a word for facts, ``None`` when there is none."""
        return self.managers[0].product if self.managers else None


def survey(present: AbstractSet[PurePosixPath]) -> Survey:
    """Judge by the paths that are present."""
    return Survey(
        managers=tuple(Finding(product=product, evidence=path) for path, product in _MANAGERS if path in present),
        neighbours=tuple(Finding(product=product, evidence=path) for path, product in _NEIGHBOURS if path in present),
    )


def look(host: Host) -> frozenset[PurePosixPath]:
    """Return which of the paths that matter are there; one we may not look at counts as there."""
    return frozenset(path for path, _ in (*_MANAGERS, *_NEIGHBOURS) if _present(host, path))


def _present(host: Host, path: PurePosixPath) -> bool:
    try:
        located = host.locate(path)
        return located.is_symlink() or located.exists()
    except (OSError, HostError):
        return True
