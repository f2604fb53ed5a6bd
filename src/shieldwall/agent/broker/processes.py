"""Who opens a file: from ``/proc``, which is never watched, so that asking cannot wait for ourselves."""

from __future__ import annotations

import os
from typing import Final

from msgspec import Struct

ENGINE_PROGRAMS: Final = frozenset({"clamd", "clamdscan", "clamscan", "clamonacc", "freshclam"})
"""Programs that read files in order to scan them; spared where root or the scanner's own user runs them."""


SCAN_PROCESS: Final = "shieldwall-scan"
"""What a scan calls itself: it opens, as root, the very files that are to be found and moved to quarantine."""


class Process(Struct, frozen=True, kw_only=True):
    """A process that opens a file. A program that was replaced meanwhile is named as it was called."""

    pid: int
    uid: int | None
    program: str


def look_at(pid: int) -> Process:
    """Return what the kernel says of a process; of one that is gone, nothing but its number."""
    try:
        link = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - as cheap as can be: many times a second
        program = link.removesuffix(" (deleted)")
    except OSError:
        program = ""
    try:
        uid: int | None = os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - as above
    except OSError:
        uid = None
    return Process(pid=pid, uid=uid, program=program)


def is_engine(process: Process, engine_uid: int | None) -> bool:
    """Say whether this is the scanner, which must not wait for itself.

    By name, owner and user together: a user who runs clamd with a library of his own is not spared, and neither is a
    program that he calls so. A program that an update replaced has no file any more and goes by its name. What runs
    under another root is never the scanner: root of a container may call its programs as it likes.
    """
    directory, _, name = process.program.rpartition("/")
    if process.uid == 0 and name.startswith("python") and _is_called(process.pid, SCAN_PROCESS):
        return _has_our_root(process.pid)  # there root alone can have it, and root can do without the gate anyway
    if name not in ENGINE_PROGRAMS or process.uid is None or process.uid not in (0, engine_uid):
        return False
    if not _has_our_root(process.pid):
        return False
    try:
        status = os.stat(f"{directory}/{name}")  # noqa: PTH116 - as above
    except OSError:
        return process.uid == 0
    return status.st_uid == 0 and not status.st_mode & 0o022


def _is_called(pid: int, name: str) -> bool:
    try:
        with open(f"/proc/{pid}/comm") as file:  # noqa: PTH123 - as above
            return file.read(32).strip() == name
    except OSError:
        return False


def _has_our_root(pid: int) -> bool:
    """Say whether a process sees the system as we do; services with mounts of their own do, containers do not."""
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/root"), os.stat("/"))  # noqa: PTH116 - as above
    except OSError:
        return False


def is_same_file(path: str, descriptor_or_link: int | str) -> bool:
    """Say whether a path of this system leads to that very file.

    A process in another mount namespace (a container) names its files as it likes; only here do names count.
    """
    try:
        named = os.lstat(path)
        found = os.stat(descriptor_or_link)  # noqa: PTH116 - as above
    except (OSError, ValueError):
        return False
    return (named.st_dev, named.st_ino) == (found.st_dev, found.st_ino)


def start_of(pid: int) -> int | None:
    """Return when a process was started, in ticks since boot: with its number it is named for good."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as above
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
