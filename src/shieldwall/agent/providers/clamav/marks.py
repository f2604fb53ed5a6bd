"""Does the gate hold opens where files matter? Its marks, as the kernel shows them in ``fdinfo`` (proc(5)). Pure.

The harmless marker lies where we may write, on one file system alone; of all others the kernel itself is asked. What
the gate says of itself would not do: it once said nothing of ``/``, and was believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct

from shieldwall.agent.broker.mounts import Mount, parse, watched
from shieldwall.agent.broker.settings import Settings

_MARK: Final = re.compile(r"^fanotify (sdev|mnt_id):([0-9a-f]+) mflags:[0-9a-f]+ mask:([0-9a-f]+)", re.MULTILINE)
_OPEN_PERM: Final = 0x10000
_MINOR_BITS: Final = 20
"""Of a device's number as the kernel keeps it (include/linux/kdev_t.h)."""


def unmarked(
    mountinfo: str, fdinfos: Iterable[str], settings: Settings, *, within: str | None, given_up: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the mount points that the settings want watched and on which no open is held.

    ``mountinfo`` and ``fdinfos`` are the gate's own. ``given_up`` are mount points that the kernel does not let be
    watched, of which the gate tells; the root itself is never one of them. Overlays are left out: they are watched
    where their layers lie, which may be out of sight.
    """
    devices, numbers = _marked(fdinfos)
    plain = [mount for mount in parse(mountinfo) if not mount.layers]
    wanted = watched(
        plain, unmonitored=settings.unmonitored_filesystems, mute_noexec=settings.mute_noexec_mounts, within=within
    )
    seen = _seen(mountinfo)
    root = within or "/"

    def is_held(point: str) -> bool:
        there = seen.get(point)
        if there is None:
            return False
        return bool(there.mount.layers) or there.mount.device in devices or there.number in numbers

    return tuple(
        point
        for point in dict.fromkeys(watch.point for watch in wanted)
        if not is_held(point) and (point == root or point not in set(given_up))
    )


class _Numbered(Struct, frozen=True):
    """A mount with its own number and that of the mount on which it lies."""

    number: str
    below: str
    mount: Mount


def _seen(mountinfo: str) -> dict[str, _Numbered]:
    """Return, for each mount point, the mount at which whoever goes there arrives.

    It need not be the last of its place in the list: a mount on a folder above may hide it, and what another namespace
    hands on is tucked under what is there already. So we go the way that the kernel goes, from one mount to the next.
    """
    mounts = [
        _Numbered(number=words[0], below=words[1], mount=mount)
        for line in mountinfo.split("\n")
        for words, mount in zip([line.split(" ", 2)], parse(line), strict=False)
    ]
    numbers = {each.number for each in mounts}
    upon = {(each.below, each.mount.point): each for each in mounts}
    first = next((each for each in mounts if each.below not in numbers and each.mount.point == "/"), None)
    return {} if first is None else {each.mount.point: _arrive(first, each.mount.point, upon) for each in mounts}


def _arrive(first: _Numbered, point: str, upon: Mapping[tuple[str, str], _Numbered]) -> _Numbered:
    here = first
    for folder in (*reversed(PurePosixPath(point).parents), PurePosixPath(point)):
        while (above := upon.get((here.number, str(folder)))) is not None:
            here = above
    return here


def _marked(fdinfos: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the file systems and the mounts on which opens are held, by their numbers in mountinfo."""
    devices, numbers = set(), set()
    for text in fdinfos:
        for kind, number, mask in _MARK.findall(text):
            if not int(mask, 16) & _OPEN_PERM:
                continue
            if kind == "sdev":
                device = int(number, 16)
                devices.add(f"{device >> _MINOR_BITS}:{device & (1 << _MINOR_BITS) - 1}")
            else:
                numbers.add(str(int(number, 16)))
    return frozenset(devices), frozenset(numbers)
