"""Where scans look. Pure, but for the last function.

A *quick* scan looks where malware settles to be started: homes, places that everybody may write to, what starts with
the machine or on a schedule, what administrators install by hand, and the programs that run right now. A *full* scan
looks at every file system of this machine; those of other machines and those that hold no files of their own are left
out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from shieldwall.agent.host.kernel_files import shown

QUICK: Final = (
    *("/tmp", "/var/tmp", "/dev/shm", "/run/user"),  # noqa: S108 - where everybody may write
    *("/root", "/home"),
    *("/usr/local", "/opt"),
    *("/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly", "/var/spool/cron"),
    *("/etc/init.d", "/etc/systemd", "/etc/profile.d", "/etc/xdg/autostart", "/etc/ld.so.preload", "/etc/rc.local"),
    *("/etc/udev/rules.d", "/etc/NetworkManager/dispatcher.d", "/etc/apt/apt.conf.d"),
    *("/srv/www", "/var/www"),
)
"""The documented set of a quick scan; running programs come on top."""

_WITHOUT_FILES: Final = frozenset(
    (
        *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs"),
        *("devpts", "devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nsfs"),
        *("proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs"),
    )
)
_ELSEWHERE: Final = frozenset(
    (
        *("afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs"),
        *("lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs", "sshfs"),
    )
)
_LINE_FEED: Final = r"\012"
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


class Mount(Struct, frozen=True, kw_only=True):
    """One mounted file system."""

    point: str
    kind: str
    device: str
    root: str

    @property
    def is_scanned(self) -> bool:
        """Whether it holds files of this machine."""
        return not (self.kind in _WITHOUT_FILES or self.kind in _ELSEWHERE or self.kind.startswith("fuse"))


def mounts(mountinfo: str) -> tuple[Mount, ...]:
    """Read ``/proc/self/mountinfo``; of several file systems on one point the last, which is the visible one."""
    found: dict[str, Mount] = {}
    for line in mountinfo.split("\n"):
        fields = line.split(" ")
        if len(fields) < 10 or " - " not in line:
            continue
        kind = line.partition(" - ")[2].split(" ")[0]
        mount = Mount(point=_plain(fields[4]), kind=kind, device=fields[2], root=_plain(fields[3]))
        found[mount.point] = mount
    return tuple(found.values())


def full(found: tuple[Mount, ...]) -> tuple[str, ...]:
    """Return the mount points that a full scan starts from: each file system once, however often it is bound."""
    chosen: list[Mount] = []
    for mount in sorted((each for each in found if each.is_scanned), key=lambda each: (len(each.root), each.point)):
        if not any(other.device == mount.device and _is_within(mount.root, other.root) for other in chosen):
            chosen.append(mount)
    return tuple(sorted(mount.point for mount in chosen))


def borders(found: tuple[Mount, ...]) -> frozenset[str]:
    """Return every mount point; a walk stops there, because what is mounted is walked for itself or not at all."""
    return frozenset(mount.point for mount in found)


def unscanned(found: tuple[Mount, ...]) -> frozenset[str]:
    """Return the mount points that not even a walk over named places enters."""
    return frozenset(mount.point for mount in found if not mount.is_scanned)


def running_programs(proc: Path) -> Iterator[str]:
    """Return the programs that run now and the libraries they hold, as paths.

    A program whose file is gone meanwhile is named by the link to it under ``/proc``.
    """
    seen: set[str] = set()
    for process in sorted(each for each in proc.iterdir() if each.name.isdigit()):
        for path in _files_of(process):
            if path not in seen:
                seen.add(path)
                yield path


def _files_of(process: Path) -> Iterator[str]:
    try:
        program = str((process / "exe").readlink())
    except OSError:  # it ended, or is a thread of the kernel
        return
    yield str(process / "exe") if program.endswith(" (deleted)") else program
    try:
        maps = shown(process / "maps")
    except OSError:
        return
    for line in maps.split("\n"):
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and "x" in fields[1] and fields[5].startswith("/") and not fields[5].endswith(" (deleted)"):
            yield fields[5]
            if _LINE_FEED in fields[5]:  # the kernel writes one so, and a name may hold these four letters as well
                yield fields[5].replace(_LINE_FEED, "\n")


def _is_within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
