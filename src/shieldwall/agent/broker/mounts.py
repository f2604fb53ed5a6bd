"""Which mounts are watched. Pure: the text of ``/proc/self/mountinfo`` (proc(5)) comes in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

PSEUDO: Final = frozenset(
    {
        *("autofs", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset", "debugfs", "devpts"),
        *("devtmpfs", "efivarfs", "functionfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore"),
        *("resctrl", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "sysfs", "tracefs"),
    }
)
"""Types that hold no files of anybody, but the kernel's own views."""
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mount: the file system's number and type, where it is mounted, whether programs may run from it."""

    device: str
    point: str
    kind: str
    noexec: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A mount point to watch, and whether its file system is watched wherever else it is mounted.

    That is what holds in the private mounts of services and containers too.
    """

    point: str
    whole_filesystem: bool


def parse(text: str) -> tuple[Mount, ...]:
    """Read mountinfo; a line that is not as documented is left out."""
    return tuple(mount for line in text.splitlines() if (mount := _mount(line)) is not None)


def watched(
    mounts: Iterable[Mount], *, unmonitored: Iterable[str], mute_noexec: bool, within: str | None
) -> tuple[Watch, ...]:
    """Return what to watch.

    A file system that can run programs at one of its mounts is not mute. With ``within`` nothing outside that folder
    is ever watched, so a file system that is also mounted elsewhere is watched at its mounts inside alone.
    """
    listed = tuple(mounts)
    names = tuple(name.strip().lower() for name in unmonitored)
    runs = {mount.device for mount in listed if not mount.noexec}
    outside = {mount.device for mount in listed if not _is_within(mount.point, within)}
    chosen = [
        Watch(point=mount.point, whole_filesystem=mount.device not in outside)
        for mount in listed
        if mount.kind not in PSEUDO
        and not any(_is_kind(mount.kind, name) for name in names)
        and not (mute_noexec and mount.device not in runs)
        and _is_within(mount.point, within)
    ]
    return tuple(dict.fromkeys(chosen))


def _is_within(point: str, folder: str | None) -> bool:
    return folder is None or point == folder or point.startswith(folder.rstrip("/") + "/")


def _is_kind(kind: str, name: str) -> bool:
    """``nfs`` names nfs4 too, ``fuse`` all that is made with it."""
    found = kind.lower()
    return found == name or found.startswith(f"{name}.") or (name, found) in (("nfs", "nfs4"), ("fuse", "fuseblk"))


def _mount(line: str) -> Mount | None:
    fields, separator, rest = line.partition(" - ")
    before, after = fields.split(" "), rest.split(" ")
    if not separator or len(before) < 6:
        return None
    return Mount(
        device=before[2],
        point=_ESCAPED.sub(lambda found: chr(int(found[1], 8)), before[4]),
        kind=after[0],
        noexec="noexec" in before[5].split(","),
    )
