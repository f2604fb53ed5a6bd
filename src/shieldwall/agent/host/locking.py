"""A lock on an open file, which the system lets go of when the process ends, however it ends."""

from __future__ import annotations

import os
import sys
import time
from typing import Final

if sys.platform == "win32":
    import msvcrt

    _BEYOND: Final = 1 << 30
    """Which byte is locked: one that no file of ours has, for on Windows a locked byte can be read by nobody else."""
    _POLL_SECONDS: Final = 0.05

    def try_to_lock(descriptor: int) -> bool:
        """Take the lock; false where another one has it. Raises: OSError: the system has no locks for this file."""
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            os.lseek(descriptor, _BEYOND, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
        return True

    def lock(descriptor: int) -> None:
        """Wait for the lock. Raises: OSError: as ``try_to_lock``."""
        while not try_to_lock(descriptor):
            time.sleep(_POLL_SECONDS)

else:
    import fcntl

    def try_to_lock(descriptor: int) -> bool:
        """Take the lock; false where another one has it. Raises: OSError: the system has no locks for this file."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock(descriptor: int) -> None:
        """Wait for the lock. Raises: OSError: as ``try_to_lock``."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)
