"""Our own files: whose they are, who may write them, whether they are locked, and whether they are the package's."""

from __future__ import annotations

import array
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.inspection.model import MOST, OwnFile, Package, short

PACKAGE: Final = "shieldwall-agent"
APPLIER_STATE: Final = PurePosixPath("/var/lib/shieldwall-applier")
_CODE: Final = (
    PurePosixPath("/usr/lib/shieldwall-agent"),
    PurePosixPath("/usr/bin/shieldwall-agent"),
    PurePosixPath("/usr/lib/systemd/system/shieldwall-agent.service"),
    PurePosixPath("/usr/lib/systemd/system/shieldwall-agent.path"),
    PurePosixPath("/usr/lib/systemd/system/shieldwall-applier.service"),
    PurePosixPath("/etc/shieldwall"),
    PurePosixPath("/run/shieldwall"),
)
"""What root alone may write: whoever else can is root at the next start."""
_PRIVATE: Final = (APPLIER_STATE,)
"""What nobody else may even enter."""
_MOST_LOOKED_AT: Final = 20_000
_SOCKET: Final = PurePosixPath("/run/shieldwall/applier.sock")
_GET_FLAGS: Final = 0x80086601
"""``FS_IOC_GETFLAGS`` (ioctl_iflags(2))."""
_LOCKED: Final = {0x10: "immutable", 0x20: "append-only"}
_SECONDS: Final = 20.0


def faults(host: Host, managed: Iterable[PurePosixPath]) -> tuple[OwnFile, ...]:
    """Find files of ours that others can change, and ``managed`` ones that we could not change."""
    owner = 0 if host.root == Path("/") else os.geteuid()
    found: list[OwnFile] = []
    for path in _CODE:
        for each in _below(host.locate(path)):
            found += _open_to_others(each, owner)
    for path in _PRIVATE:
        found += _not_private(host.locate(path), owner)
    for path in (*managed, APPLIER_STATE, APPLIER_STATE / "state.json", APPLIER_STATE / "pin.json"):
        found += _locked(host.locate(path))
    return tuple(found[:MOST])


def package(host: Host) -> Package | None:
    """Have the system's package manager verify the package; ``None`` where none of them brought the agent."""
    dpkg, query = host.find_program("dpkg"), host.find_program("dpkg-query")
    if dpkg is not None and query is not None:
        said = host.run([query, "--show", "--showformat=${db:Status-Abbrev} ${Version}", PACKAGE], timeout_seconds=10)
        state, _, version = said.stdout.decode(errors="replace").strip().rpartition(" ")
        if said.returncode == 0 and state.startswith("ii"):
            return _verified(host, "dpkg", version, [dpkg, "--verify", PACKAGE])
    rpm = host.find_program("rpm")
    if rpm is not None:
        said = host.run([rpm, "--query", "--queryformat=%{VERSION}-%{RELEASE}", PACKAGE], timeout_seconds=10)
        if said.returncode == 0:
            version = said.stdout.decode(errors="replace").strip()
            return _verified(host, "rpm", version, [rpm, "--verify", PACKAGE])
    return None


def _verified(host: Host, manager: str, version: str, command: list[str]) -> Package:
    said = host.run(command, timeout_seconds=_SECONDS).stdout.decode(errors="replace")
    changed = [short(line) for line in said.splitlines() if "/" in line]
    return Package(
        manager=manager, version=short(version), changed=tuple(changed[:MOST]), more=max(0, len(changed) - MOST)
    )


def _below(path: Path) -> Iterator[Path]:
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    looked_at = 0
    for directory, _, names in os.walk(path):  # follows no links
        for name in (".", *names):
            looked_at += 1
            if looked_at > _MOST_LOOKED_AT:
                return
            yield Path(directory) if name == "." else Path(directory, name)


def _open_to_others(path: Path, owner: int) -> Iterator[OwnFile]:
    try:
        found = path.lstat()
    except OSError:
        return  # it went away
    if stat.S_ISLNK(found.st_mode):
        return  # its own mode says nothing; what it leads to is looked at where it lies
    if found.st_uid != owner:
        yield OwnFile(path=short(path), fault=f"belongs to user {found.st_uid} instead of {owner}")
    writable = stat.S_IWOTH if stat.S_ISSOCK(found.st_mode) else stat.S_IWOTH | stat.S_IWGRP
    if found.st_mode & writable:
        yield OwnFile(path=short(path), fault=f"others may write it (mode {stat.S_IMODE(found.st_mode):04o})")


def _not_private(path: Path, owner: int) -> Iterator[OwnFile]:
    try:
        found = path.lstat()
    except OSError:
        return
    if stat.S_ISLNK(found.st_mode):
        yield OwnFile(path=short(path), fault="is a link")
    elif found.st_uid != owner or found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        yield OwnFile(path=short(path), fault=f"is not private: owner {found.st_uid}, mode {mode:04o}")


def _locked(path: Path) -> Iterator[OwnFile]:
    """Tell of a file that not even root may change (chattr(1)): what is in it can be neither renewed nor put back."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(descriptor, _GET_FLAGS, flags)
    except OSError:
        return  # this file system has no such marks
    finally:
        os.close(descriptor)
    for mark, word in _LOCKED.items():
        if flags[0] & mark:
            yield OwnFile(path=short(path), fault=f"is {word} (chattr), so it can be neither renewed nor put back")
