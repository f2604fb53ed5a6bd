"""Is this device managed by somebody else, and can it be managed at all? Asked before onboarding and every check-in.

Looking is one function, judging another: ``survey`` is pure over what was seen. The signs are those that products leave
when they own a device, as public documentation and practice have them; each finding names the sign that gave it away.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import PurePosixPath
from typing import Final

import msgspec
from msgspec import Struct, field

from shieldwall.agent.host import suitability
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.facts import os_release, read_text
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.suitability import Sign
from shieldwall.contract.messages import DeviceFacts, ManagerKind, Unsuitable
from shieldwall.contract.other_managers import stays_passive

MICROSOFT_CHANNEL: Final = "Microsoft Defender for Endpoint security settings management"
CONFIGURATION_MANAGER: Final = "Configuration Manager"
SOME_MDM: Final = "An MDM (Defender preferences of macOS)"
_SHORT_NAMES: Final = {
    MICROSOFT_CHANNEL: "Microsoft Defender for Endpoint",
    CONFIGURATION_MANAGER: "ConfigMgr",
    SOME_MDM: "MDM",
}


def _all(kind: ManagerKind, product: str, *paths: str) -> Iterable[tuple[PurePosixPath, ManagerKind, str]]:
    return ((PurePosixPath(path), kind, product) for path in paths)


_MANAGERS: Final[tuple[tuple[PurePosixPath, ManagerKind, str], ...]] = (
    *_all(
        "microsoftChannel",
        MICROSOFT_CHANNEL,
        # Written, even if only as {}, by Microsoft's own channel; it then replaces every other managed file.
        "/etc/opt/microsoft/mdatp/managed/mdeattach_managed.json",
        "/Library/Preferences/com.microsoft.mdeattach.plist",
    ),
    *_all("mdm", "Intune", "/etc/intune", "/opt/microsoft/intune", "/usr/bin/intune-portal", "/Library/Intune"),
    *_all(
        "mdm",
        SOME_MDM,
        "/Library/Managed Preferences/com.microsoft.wdav.plist",
        "/Library/Managed Preferences/com.microsoft.wdav.ext.plist",
    ),
    *_all(
        "mdm",
        "Jamf",
        "/usr/local/jamf/bin/jamf",
        "/usr/local/bin/jamf",
        "/Library/Preferences/com.jamfsoftware.jamf.plist",
    ),
    *_all("mdm", "Kandji", "/Library/Kandji"),
    *_all("mdm", "Workspace ONE", "/opt/vmware/ws1-hub", "/Applications/Workspace ONE Intelligent Hub.app"),
    *_all(
        "configurationManager",
        CONFIGURATION_MANAGER,
        "/opt/microsoft/configmgr",
        "/Library/Application Support/Microsoft/CCM",
        "/Windows/CCM/CcmExec.exe",
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
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_PATHS: Final = frozenset({path for path, *_ in _MANAGERS} | {path for path, _ in _NEIGHBOURS} | suitability.PATHS)


class Finding(Struct, frozen=True, kw_only=True):
    """Another product on this device and the path that gives it away."""

    product: str
    evidence: PurePosixPath
    kind: ManagerKind | None = None
    """What kind of manager it is; ``None`` for a neighbour."""

    @property
    def short_name(self) -> str:
        """The name under which Microsoft's lists show a manager, where it has one there."""
        return _SHORT_NAMES.get(self.product, self.product)


class Seen(Struct, frozen=True, kw_only=True):
    """What a look at the machine saw: the paths that are there, the texts of some, os-release, the processor."""

    present: AbstractSet[PurePosixPath] = frozenset()
    texts: Mapping[PurePosixPath, str] = field(default_factory=dict)
    release: Mapping[str, str] = field(default_factory=dict)
    architecture: str = ""


class Survey(Struct, frozen=True, kw_only=True):
    """Who else is here: managers, and neighbours, worth knowing about; and what kind of machine this is."""

    managers: tuple[Finding, ...]
    neighbours: tuple[Finding, ...]
    unsuitable_sign: Sign | None = None
    domain_controller_sign: Sign | None = None

    @property
    def manager(self) -> ManagerKind | None:
        """The kind of the other manager.

        Configuration Manager and Microsoft's channel at once are two managers. Beside an MDM, Configuration Manager is
        one half of co-management, of which the MDM is the other; Microsoft's channel outdoes an MDM.
        """
        kinds = {finding.kind for finding in self.managers}
        if {"configurationManager", "microsoftChannel"} <= kinds:
            return "several"
        order: tuple[ManagerKind, ...] = ("microsoftChannel", "mdm", "configurationManager")
        return next((kind for kind in order if kind in kinds), None)

    @property
    def managed_elsewhere(self) -> str | None:
        """Name the other managers for facts, by the names that lists of devices show; ``None`` when there is none."""
        return " and ".join(dict.fromkeys(finding.short_name for finding in self.managers)) or None

    @property
    def unsuitable(self) -> Unsuitable | None:
        """Why this machine is not one to manage."""
        return None if self.unsuitable_sign is None else self.unsuitable_sign.kind

    @property
    def is_domain_controller(self) -> bool:
        """Whether this machine is a domain controller."""
        return self.domain_controller_sign is not None

    @property
    def is_passive(self) -> bool:
        """Whether the agent enforces nothing of its own accord."""
        return stays_passive(manager=self.manager, unsuitable=self.unsuitable)

    def upon(self, facts: DeviceFacts) -> DeviceFacts:
        """Return facts that tell of what was found."""
        return msgspec.structs.replace(
            facts,
            managed_elsewhere=self.managed_elsewhere,
            manager=self.manager,
            unsuitable=self.unsuitable,
            is_domain_controller=self.is_domain_controller,
        )


def survey(seen: Seen) -> Survey:
    """Judge by what was seen."""
    present = seen.present
    return Survey(
        managers=tuple(
            Finding(product=product, evidence=path, kind=kind) for path, kind, product in _MANAGERS if path in present
        ),
        neighbours=tuple(Finding(product=product, evidence=path) for path, product in _NEIGHBOURS if path in present),
        unsuitable_sign=suitability.unsuitable(present, seen.texts, seen.release, seen.architecture),
        domain_controller_sign=suitability.domain_controller(present, seen.texts),
    )


def look(host: Host, *, architecture: str) -> Seen:
    """Look at the machine; a path that we may not look at counts as there, a text that we may not read as empty."""
    return Seen(
        present=frozenset(path for path in _PATHS if _present(host, path)),
        texts={path: read_text(host, path) for path in suitability.TEXTS},
        release=os_release(host),
        architecture=architecture,
    )


def _present(host: Host, path: PurePosixPath) -> bool:
    try:
        host.locate(path).lstat()
    except (OSError, HostError) as error:
        return not (isinstance(error, OSError) and error.errno in _ABSENT)
    return True
