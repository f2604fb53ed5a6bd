"""Which mounts are watched. Pure: the text of ``/proc/self/mountinfo`` (proc(5)) comes in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

PSEUDO: Final = frozenset(
    {
        *("autofs", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset", "debugfs", "devpts"),
        *("devtmpfs", "efivarfs", "functionfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore"),
        *("resctrl", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "sysfs", "tracefs"),
    }
)
"""Types that hold no files of anybody, but the kernel's own views."""
_LAYERS: Final = ("lowerdir", "lowerdir+", "datadir+", "upperdir")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


class Mount(Struct, frozen=True, kw_only=True):
    """One mount: the file system's number and type, what of it is mounted where, whether programs may run from it."""

    device: str
    point: str
    kind: str
    noexec: bool
    root: str = "/"
    """The folder of the file system that is seen at the mount point; ``/`` is all of it."""
    layers: tuple[str, ...] = ()
    """Of an overlay, the folders it is made of."""


class Watch(Struct, frozen=True, kw_only=True):
    """A mount point to watch, and whether its file system is watched wherever else it is mounted.

    That is what holds in the private mounts of services and containers too.
    """

    point: str
    whole_filesystem: bool


def parse(text: str) -> tuple[Mount, ...]:
    """Read mountinfo; a line that is not as documented is left out."""
    return tuple(mount for line in text.split("\n") if (mount := _mount(line)) is not None)


def watched(
    mounts: Iterable[Mount],
    *,
    unmonitored: Iterable[str],
    mute_noexec: bool,
    within: str | None,
    contained: bool = False,
    device_of: Callable[[str], str | None] = lambda _path: None,
    tells_of_layers: bool = True,
) -> tuple[Watch, ...]:
    """Return what to watch.

    A file system that can run programs at one of its mounts is not mute. With ``within`` nothing outside that folder
    is ever watched, so a file system that is also mounted elsewhere is watched at its mounts inside alone. Nor is one
    of which this machine sees a part only: in a container (``contained``) the rest belongs to the host, and all of the
    host would be held. An overlay upon a file system that is watched as a whole is left out. What is opened in it is
    opened there as well, and the kernel, handing us a file of the overlay, would itself wait for our word. Where a
    kernel keeps that second open to itself (``tells_of_layers``, see ``overlays``) overlays are watched like others.
    ``device_of`` says on which file system a folder lies, ``None`` for one that is not seen from here.
    """
    listed = tuple(mounts)
    whole = {mount.device for mount in listed if mount.root == "/" or (mount.kind == "btrfs" and not contained)}
    names = tuple(name.strip().lower() for name in unmonitored)
    runs = {mount.device for mount in listed if not mount.noexec}
    outside = {mount.device for mount in listed if not _is_within(mount.point, within)}
    chosen = [
        mount
        for mount in listed
        if mount.kind not in PSEUDO
        and not any(_is_kind(mount.kind, name) for name in names)
        and not (mute_noexec and mount.device not in runs)
        and _is_within(mount.point, within)
    ]
    as_a_whole = {mount.device for mount in chosen} & whole - outside
    watches = [
        Watch(point=mount.point, whole_filesystem=mount.device in as_a_whole)
        for mount in chosen
        if not (tells_of_layers and any(device_of(layer) in as_a_whole - {mount.device} for layer in mount.layers))
    ]
    return tuple(dict.fromkeys(watches))


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
        point=_unescaped(before[4]),
        kind=after[0],
        noexec="noexec" in before[5].split(","),
        root=_unescaped(before[3]),
        layers=_layers(after[2]) if after[0] == "overlay" and len(after) > 2 else (),
    )


def _layers(options: str) -> tuple[str, ...]:
    """Return the folders of an overlay from the options of its super block (overlayfs of the kernel)."""
    pairs = (option.partition("=") for option in options.split(","))
    return tuple(_unescaped(path) for name, _, paths in pairs if name in _LAYERS for path in paths.split(":") if path)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
