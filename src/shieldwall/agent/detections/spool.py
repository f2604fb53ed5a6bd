"""The spool: JSON lines in one directory, appended by whoever finds something, read by whoever tells the server.

A file is only ever appended to. When it has grown to its limit it is set aside under a second name, and what stood
there before is gone: a device that finds a million things must not fill its disk with them. Several programs write at
once; each line is one ``write`` to a file opened for appending, under a lock, so no two lines mix.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from shieldwall.agent.detections.model import Detection
from shieldwall.agent.host.locking import lock
from shieldwall.agent.host.opening import NOT_FOLLOWED, OURS_ALONE
from shieldwall.contract.kinds import learned

DIRECTORY: Final = PurePosixPath("/var/lib/shieldwall-applier/events")
"""Where events wait; root alone writes."""
STEM: Final = "detections"
CURRENT: Final = f"{STEM}.jsonl"
SET_ASIDE: Final = f"{STEM}.1.jsonl"
MAXIMUM_BYTES: Final = 8 * 1024 * 1024
"""Size at which a file is set aside; twice that is the most the spool takes."""


def append(directory: Path, detections: Iterable[Detection], *, maximum_bytes: int = MAXIMUM_BYTES) -> None:
    """Write detections to the spool, on disk when this returns.

    Raises:
        OSError: The disk is full or refuses.
    """
    append_lines(directory, STEM, map(msgspec.json.encode, detections), maximum_bytes=maximum_bytes)


def append_lines(directory: Path, stem: str, documents: Iterable[bytes], *, maximum_bytes: int = MAXIMUM_BYTES) -> None:
    """Write JSON documents, each in one line, to ``<stem>.jsonl``; bounded and durable like detections.

    Raises:
        OSError: The disk is full or refuses.
    """
    lines = b"".join(document + b"\n" for document in documents)
    if not lines:
        return
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    with locked(directory):
        path = directory / f"{stem}.jsonl"
        if path.exists() and path.stat().st_size + len(lines) > maximum_bytes:
            path.replace(directory / f"{stem}.1.jsonl")
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | NOT_FOLLOWED | OURS_ALONE
        descriptor = os.open(path, flags, 0o640)
        try:
            # What a crash or a full disk cut off must not take along what comes after it.
            view = memoryview(lines if _ends_a_line(descriptor) else b"\n" + lines)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _ends_a_line(descriptor: int) -> bool:
    if os.lseek(descriptor, 0, os.SEEK_END) == 0:
        return True
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1) == b"\n"


def read(directory: Path) -> tuple[Detection, ...]:
    """Return every detection in the spool, the oldest first; a line that a crash cut off is left out."""
    found: list[Detection] = []
    for name in (SET_ASIDE, CURRENT):
        try:
            content = (directory / name).read_bytes()
        except FileNotFoundError:
            continue
        for line in content.split(b"\n"):
            try:
                found.append(msgspec.json.decode(line, type=learned(Detection)))
            except msgspec.DecodeError:
                continue
    return tuple(found)


class locked:  # noqa: N801 - reads as a word where it is used
    """Hold the spool's lock for the length of a block."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / ".lock"

    def __enter__(self) -> None:
        """Wait for the lock."""
        flags = os.O_RDWR | os.O_CREAT | NOT_FOLLOWED | OURS_ALONE
        self._descriptor = os.open(self._path, flags, 0o600)
        lock(self._descriptor)

    def __exit__(self, *_: object) -> None:
        """Let go of it."""
        os.close(self._descriptor)
