"""Directories of this machine that tests mount something over, for as long as any of them does.

Linux takes a mount away, in every other namespace, with the directory under it: a test that removes what it had made
would take the files of another test that runs beside it. So the last one to go removes what any of them made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_USED: Final = Path(tempfile.gettempdir()) / f"shieldwall-places-to-cover-{os.getuid()}"
"""Lists what was made, a line each; everyone who uses it holds a shared lock on it."""
_DOOR: Final = _USED.with_suffix(".door")
"""Locked while somebody comes or goes."""


@contextlib.contextmanager
def places_to_cover(*places: str | Path) -> Iterator[None]:
    """Have every directory inside; take away those that were not there when nobody needs them any more."""
    with _USED.open("a+") as used:
        with _alone():
            missing = [Path(place) for place in places if not Path(place).is_dir()]
            for place in missing:
                used.write(f"{place}\n")
                used.flush()
                place.mkdir()
            fcntl.flock(used, fcntl.LOCK_SH)
        try:
            yield
        finally:
            with _alone(), contextlib.suppress(BlockingIOError):
                fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
                used.seek(0)
                for line in used.read().splitlines():
                    with contextlib.suppress(FileNotFoundError):
                        Path(line).rmdir()
                used.truncate(0)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with _DOOR.open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        yield
