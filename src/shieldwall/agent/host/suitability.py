"""Signs of machines that cannot be managed, and of those that are managed with care. Pure.

*Non-persistent desktops* forget what is written to them: live systems, a root in memory or laid over a fixed image, and
whatever carries our own marker, which is for clones (Citrix, Horizon) that look like any other machine from inside.

*Unsupported systems* are older than the published list, run a 32-bit processor, or live in a container that must not
touch what the settings are about. A distribution that is not on the list is not refused: our own engines need no list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct

from shieldwall.contract.messages import Unsuitable

NON_PERSISTENT_MARKER: Final = PurePosixPath("/etc/shieldwall/non-persistent")
_COMMAND_LINE: Final = PurePosixPath("/proc/cmdline")
_MOUNTS: Final = PurePosixPath("/proc/self/mounts")
_STATUS: Final = PurePosixPath("/proc/self/status")
_SAMBA: Final = PurePosixPath("/etc/samba/smb.conf")
_FORGETFUL: Final = (
    NON_PERSISTENT_MARKER,
    PurePosixPath("/run/live/medium"),
    PurePosixPath("/lib/live/mount/medium"),
    PurePosixPath("/run/initramfs/live"),
    PurePosixPath("/media/root-ro"),
)
_CONTAINERS: Final = tuple(map(PurePosixPath, ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")))
_DOMAIN_CONTROLLERS: Final = (
    PurePosixPath("/var/lib/samba/private/sam.ldb"),
    PurePosixPath("/usr/local/samba/private/sam.ldb"),
    PurePosixPath("/Windows/NTDS/ntds.dit"),
)
PATHS: Final = frozenset((*_FORGETFUL, *_CONTAINERS, *_DOMAIN_CONTROLLERS))
"""Whose presence says something."""
TEXTS: Final = (_COMMAND_LINE, _MOUNTS, _STATUS, _SAMBA)
"""Whose content says something."""

_LIVE: Final = re.compile(r"(?:^|\s)(?:boot=(?:casper|live)|rd\.live\.image|overlayroot=tmpfs\S*)(?=\s|$)")
_ROOT_IN_MEMORY: Final = re.compile(r"^\S+ / tmpfs ", re.MULTILINE)
_STATE_ON_DISK: Final = re.compile(r"^\S+ /var(?:/lib(?:/shieldwall-agent)?)? (?!tmpfs )", re.MULTILINE)
"""A root in memory is no sign by itself: some systems keep on disk what shall last, and nothing else."""
_CAPABILITIES: Final = re.compile(r"^CapEff:\s*([0-9a-f]{1,16})$", re.MULTILINE)
_NEEDED_CAPABILITIES: Final = 1 << 12 | 1 << 21
"""CAP_NET_ADMIN, without which no firewall can be set, and CAP_SYS_ADMIN, without which no file can be watched."""
_SERVER_ROLE: Final = re.compile(r"^\s*server\s*role\s*=\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)
_CONTROLLING: Final = frozenset({"active directory domain controller", "domain controller", "dc"})
_NARROW: Final = re.compile(r"i[3-6]86|x86|arm|armv[4-8]l?|armhf|mips|mipsel|ppc|s390\Z")
_VERSION: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_FIRST_AMAZON: Final = re.compile(r"201[0-9]\.")
"""The first Amazon Linux counted in years, 2018.03 its last; the second is 2, the third 2023."""

OLDEST: Final[Mapping[str, tuple[int, ...]]] = {
    "rhel": (7, 2),
    "centos": (7, 2),
    "ol": (7, 2),
    "ubuntu": (16, 4),
    "debian": (9,),
    "sles": (12,),
    "amzn": (2,),
    "fedora": (33,),
}
"""The oldest release of each distribution on the published list, by its id in os-release."""


class Sign(Struct, frozen=True, kw_only=True):
    """What kind of machine this is, in words, and what gave it away."""

    kind: Unsuitable | None
    finding: str
    evidence: str


def unsuitable(
    present: AbstractSet[PurePosixPath],
    texts: Mapping[PurePosixPath, str],
    release: Mapping[str, str],
    architecture: str,
) -> Sign | None:
    """Say why a machine cannot be managed, ``None`` where it can."""
    return _forgetful(present, texts) or _too_old(release) or _narrow(architecture) or _powerless(present, texts)


def domain_controller(present: AbstractSet[PurePosixPath], texts: Mapping[PurePosixPath, str]) -> Sign | None:
    """Say what makes a machine a domain controller, ``None`` where nothing does."""
    finding = "This is a domain controller."
    found = next((path for path in _DOMAIN_CONTROLLERS if path in present), None)
    if found is not None:
        return Sign(kind=None, finding=finding, evidence=str(found))
    role = _SERVER_ROLE.search(texts.get(_SAMBA, ""))
    if role is not None and role[1].lower() in _CONTROLLING:
        return Sign(kind=None, finding=finding, evidence=f"{_SAMBA}: server role = {role[1]}")
    return None


def _forgetful(present: AbstractSet[PurePosixPath], texts: Mapping[PurePosixPath, str]) -> Sign | None:
    finding = "What is written to this machine is gone at its next start."
    path = next((path for path in _FORGETFUL if path in present), None)
    if path is not None:
        return Sign(kind="nonPersistentDesktop", finding=finding, evidence=str(path))
    booted = _LIVE.search(texts.get(_COMMAND_LINE, ""))
    if booted is not None:
        return Sign(kind="nonPersistentDesktop", finding=finding, evidence=f"{_COMMAND_LINE}: {booted[0].strip()}")
    mounts = texts.get(_MOUNTS, "")
    root = None if _STATE_ON_DISK.search(mounts) else _ROOT_IN_MEMORY.search(mounts)
    if root is not None:
        return Sign(kind="nonPersistentDesktop", finding=finding, evidence=f"{_MOUNTS}: {root[0].strip()}")
    return None


def _too_old(release: Mapping[str, str]) -> Sign | None:
    name, text = release.get("ID", ""), release.get("VERSION_ID", "")
    oldest, read = OLDEST.get(name), _VERSION.match(text)
    if oldest is None or read is None:
        return None
    version = tuple(int(part) for part in read[0].split(".")[: len(oldest)])
    if len(version) < len(oldest):  # "7" says nothing about the minor release: the benefit of the doubt
        oldest = oldest[: len(version)]
    if version >= oldest and not (name == "amzn" and _FIRST_AMAZON.match(text)):
        return None
    return Sign(
        kind="unsupportedOs",
        finding="The operating system is older than the oldest that is supported.",
        evidence=f"os-release: {name} {text}, the oldest is {'.'.join(map(str, oldest))}",
    )


def _narrow(architecture: str) -> Sign | None:
    if _NARROW.fullmatch(architecture) is None:
        return None
    return Sign(kind="unsupportedOs", finding="The operating system is a 32-bit one.", evidence=architecture)


def _powerless(present: AbstractSet[PurePosixPath], texts: Mapping[PurePosixPath, str]) -> Sign | None:
    container = next((path for path in _CONTAINERS if path in present), None)
    capabilities = _CAPABILITIES.search(texts.get(_STATUS, ""))
    if container is None or capabilities is None:
        return None
    if int(capabilities[1], 16) & _NEEDED_CAPABILITIES == _NEEDED_CAPABILITIES:
        return None
    return Sign(
        kind="unsupportedOs",
        finding="This is a container without the rights that the settings take.",
        evidence=f"{container}, capabilities {capabilities[1]}",
    )
