"""Memory that was used once and is not needed: given back, so that a service at rest weighs little."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct, field

_MAPS: Final = Path("/proc/self/maps")
_SMAPS: Final = Path("/proc/self/smaps")
_MADV_DONTNEED: Final = 4
_WORTH_A_LOOK: Final = 16
"""Page faults: up to a megabyte of libraries, of which Linux brings in sixteen pages at each."""


if sys.platform == "win32":

    def _page_faults() -> int:
        """Count none, so that nothing is given back: Windows takes what a service at rest does not use."""
        return 0

    def _own_library() -> ctypes.CDLL:
        return ctypes.CDLL("msvcrt")

else:
    import resource

    def _page_faults() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def _own_library() -> ctypes.CDLL:
        return ctypes.CDLL(None)


class Memory(Struct):
    """The memory of a service that works seldom."""

    _unchanged: frozenset[str] = frozenset()
    _faults: int = 0
    """How many pages had been brought in when memory was given back last."""
    _libc: ctypes.CDLL = field(default_factory=_own_library)

    def settle(self) -> None:
        """After start-up: what is there now stays for good, and looking through it over and over would only cost."""
        gc.collect()
        gc.freeze()
        with contextlib.suppress(OSError), _SMAPS.open(errors="surrogateescape") as smaps:
            self._unchanged = frozenset(unchanged_mappings(smaps))
        self.give_back()

    def give_back(self) -> None:
        """Before a rest: return to the system what the work needed, and what of our libraries nobody runs.

        Free memory goes where the C library can give it. Of programs and libraries, pages that are in the file just as
        well leave this process: most were touched once, while something was loaded. One that is needed again comes from
        the page cache. Where there is no ``/proc``, the service weighs more. What hardly took any memory since the
        last time is not worth a look.
        """
        faults = _page_faults()
        if faults - self._faults < _WORTH_A_LOOK:
            return
        trim = getattr(self._libc, "malloc_trim", None)
        if trim is not None:
            trim(0)
        with contextlib.suppress(OSError), _MAPS.open(errors="surrogateescape") as maps:
            # Asked anew, and not by address alone: what lies there now may be something else.
            for line in [line for line in maps if line in self._unchanged]:
                start, end = (int(edge, 16) for edge in line.split(" ", 1)[0].split("-"))
                self._libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)
        self._faults = _page_faults()


def unchanged_mappings(smaps: Iterable[str]) -> Iterator[str]:
    """Find private mappings of files that cannot be written to, and have no page of our own; see proc(5). Pure.

    One with pages of our own, such as relocated tables, would lose them. Each is the line that ``/proc/PID/maps`` has.
    """
    candidate: str | None = None
    for line in smaps:
        first, _, rest = line.partition(" ")
        if not first.endswith(":"):
            permissions, _, _, inode, *_ = rest.split(maxsplit=4)
            is_of_file = inode != "0" and "w" not in permissions and permissions.endswith("p")
            candidate = line if is_of_file else None
        elif first == "Anonymous:" and candidate is not None and rest.split()[0] == "0":
            yield candidate
