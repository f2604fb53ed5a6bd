"""A file system of FUSE whose server never answers: whoever looks at anything there waits until it is gone."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def silent(place: Path) -> Iterator[Path]:
    """Mount it, in private mounts and as root; everybody who waits goes on when this ends."""
    place.mkdir(parents=True, exist_ok=True)
    server = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        options = f"fd={server},rootmode=40000,user_id=0,group_id=0,allow_other"
        if _libc.mount(b"silent", os.fsencode(place), b"fuse", 0, options.encode()) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        yield place
    finally:
        os.close(server)  # the kernel ends the connection: all questions are answered with an error
        _libc.umount2(os.fsencode(place), 2)
