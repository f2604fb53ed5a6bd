"""Room: where something of ours grows, and how much has been put away."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.detections import spool
from shieldwall.agent.host.ports import Host
from shieldwall.agent.inspection.model import Place, Quarantine, short
from shieldwall.agent.scanning import quarantine

_PLACES: Final = (
    PurePosixPath("/var/lib/shieldwall-applier"),
    PurePosixPath("/var/lib/shieldwall-agent"),
    spool.DIRECTORY,
    quarantine.DIRECTORY,
    PurePosixPath("/var/lib/clamav"),
    PurePosixPath("/var/log/audit"),
    PurePosixPath("/etc/shieldwall"),
)
_MOST_FILES: Final = 100_000
"""More are not counted: nobody waits for a directory without end."""


def places(host: Host) -> tuple[Place, ...]:
    """Say how much room there is; of directories on one file system the first alone is named."""
    found: dict[tuple[int, bool], Place] = {}
    for path in _PLACES:
        located = host.locate(path)
        try:
            device, room = located.stat().st_dev, os.statvfs(located)
        except OSError:
            continue  # not there, so nothing grows there
        read_only = bool(room.f_flag & os.ST_RDONLY)
        place = Place(
            path=short(path),
            free=room.f_bavail * room.f_frsize,
            size=room.f_blocks * room.f_frsize,
            read_only=read_only,
        )
        found.setdefault((device, read_only), place)
    return tuple(found.values())


def put_away(host: Host) -> Quarantine | None:
    """Count what lies in quarantine; ``None`` where there is none."""
    directory = host.locate(quarantine.DIRECTORY)
    if not directory.is_dir():
        return None
    files = size = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            if files >= _MOST_FILES:
                break
            if entry.is_file(follow_symlinks=False):
                # Each has a note beside it, in JSON.
                files, size = files + entry.name.endswith(".json"), size + entry.stat(follow_symlinks=False).st_size
    return Quarantine(files=files, size=size, limit=quarantine.MAXIMUM_TOTAL_BYTES)
