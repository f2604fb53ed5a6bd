"""Does the gate hold opens where files matter? Its marks, as the kernel shows them in ``fdinfo`` (proc(5)). Pure.

The harmless marker lies where we may write, on one file system alone; of all others the kernel itself is asked. What
the gate says of itself would not do: it once said nothing of ``/``, and was believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

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
    return tuple(
        point
        for point in dict.fromkeys(watch.point for watch in wanted)
        if not seen[point].mount.layers
        and (point == root or point not in set(given_up))
        and seen[point].mount.device not in devices
        and seen[point].number not in numbers
    )


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A mount with its own number and that of the mount on which it lies."""

    number: str
    below: str
    mount: Mount


def _seen(mountinfo: str) -> dict[str, _Numbered]:
    """Return, of all mounts at one place, the one that is seen there.

    It is the one on which none of the others lies. That need not be the last line: a mount that another namespace
    hands on is tucked under those that are there already.
    """
    at: dict[str, list[_Numbered]] = {}
    for line in mountinfo.splitlines():
        for mount in parse(line):
            number, below = line.split(" ", 2)[:2]
            at.setdefault(mount.point, []).append(_Numbered(number, below, mount))
    return {point: _top(mounts) for point, mounts in at.items()}


def _top(mounts: list[_Numbered]) -> _Numbered:
    covered = {mount.below for mount in mounts}
    return next((mount for mount in reversed(mounts) if mount.number not in covered), mounts[-1])


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
