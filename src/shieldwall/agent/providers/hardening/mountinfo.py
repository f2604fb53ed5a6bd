"""Mounts as the kernel lists them (proc_pid_mountinfo(5)), and what each of them allows. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct

_ESCAPE: Final = re.compile(rb"\\([0-7]{3})")
_RESTRICTIONS: Final = (("ro", "rw"), ("nosuid", "suid"), ("nodev", "dev"), ("noexec", "exec"))
_KEPT_IF_THERE: Final = ("nosymfollow",)


class Mount(Struct, frozen=True, kw_only=True):
    """One line of mountinfo."""

    id: int
    parent: int
    device: str
    """Major and minor number, ``8:17``."""
    root: PurePosixPath
    """The directory within its file system that is mounted."""
    target: PurePosixPath
    flags: frozenset[str]
    """Flags of this mount alone, such as ``noexec``; those of its file system stand elsewhere."""
    line: bytes

    def options(self, flags: frozenset[str]) -> str:
        """Write the options that give this mount exactly ``flags``; access times stay as they are."""
        words = [word if word in flags else opposite for word, opposite in _RESTRICTIONS]
        return ",".join((*words, *(word for word in _KEPT_IF_THERE if word in flags)))


def parse(listing: bytes) -> tuple[Mount, ...]:
    """Read mountinfo; a line that is none is passed over."""
    return tuple(mount for line in listing.split(b"\n") if (mount := _mount(line)) is not None)


def visible(mounts: Sequence[Mount]) -> dict[PurePosixPath, Mount]:
    """Return the topmost mount at each place."""
    return {mount.target: mount for mount in mounts}


def containing(mounts: Sequence[Mount], path: PurePosixPath) -> Mount | None:
    """Return the mount on which a path lies."""
    tops = visible(mounts)
    return next((tops[place] for place in (path, *path.parents) if place in tops), None)


def binds_itself(mounts: Sequence[Mount], mount: Mount) -> bool:
    """Say whether a mount shows a directory at its own place: nothing but other flags comes of it."""
    below = next((other for other in mounts if other.id == mount.parent), None)
    if below is None or below.device != mount.device or not mount.target.is_relative_to(below.target):
        return False
    return mount.root == below.root / mount.target.relative_to(below.target)


def _mount(line: bytes) -> Mount | None:
    words = line.split(b" ")
    try:
        return Mount(
            id=int(words[0]),
            parent=int(words[1]),
            device=words[2].decode(),
            root=_path(words[3]),
            target=_path(words[4]),
            flags=frozenset(words[5].decode().split(",")),
            line=line,
        )
    except (ValueError, IndexError):
        return None


def _path(word: bytes) -> PurePosixPath:
    return PurePosixPath(
        _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), word).decode(errors="surrogateescape")
    )
