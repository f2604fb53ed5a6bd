"""Where a test run keeps the files of its databases, servers and devices."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

_IN_MEMORY: Final = Path("/dev/shm")
_ROOM_BYTES: Final = 2 << 30


def scratch() -> Path | None:
    """Return a directory in memory where the machine has one with room, as most Linux machines do.

    Nothing that a test commits has to outlive the machine, and a busy disk stalls a commit for seconds. ``None`` is the
    directory that every program uses.
    """
    has_room = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free > _ROOM_BYTES
    return _IN_MEMORY if has_room else None


def scratch_for_programs() -> Path | None:
    """Return such a directory where it also lets programs be started from its files, as tests do that write scripts."""
    found = scratch()
    return found if found is not None and not os.statvfs(found).f_flag & os.ST_NOEXEC else None
