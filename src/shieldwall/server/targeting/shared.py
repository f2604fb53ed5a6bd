"""Boards in shared memory: written by the targeting process, looked at by others on the same machine.

A directory holds the head, which says up to which change of the database the boards are right, and a board for each
tenant. It is made anew at each start, where only this user may enter, and named in the data directory. A head that was
not written for a while is not believed: its process may be gone.
"""

from __future__ import annotations

import mmap
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.fleets.fleet_feed import Place
from shieldwall.server.targeting.board import Board, BrokenBoardError, id_from
from shieldwall.server.targeting.hashes import Hash
from shieldwall.server.targeting.index_figures import IndexFigures

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own in it, which nobody else may enter
BELIEVED_SECONDS: Final = 30.0
_HEAD: Final = "head"
_WORDS: Final = 512
_MAGIC: Final = 0x3130_4441_4548_5753
_AHEAD: Final = 16
"""Where the numbers read ahead begin; before them stand magic, sequence, time, place, their count, and figures."""
_LOOK_AGAIN_SECONDS: Final = 2.0


class SharedBoards:
    """The writer's side."""

    def __init__(
        self, named_in: Path, memory: Path | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Make the directory; what an earlier process left is removed. ``named_in`` is the file that names it."""
        self._named_in: Final = named_in
        self._monotonic: Final = monotonic
        self._remove_former()
        home = memory or (MEMORY if os.access(MEMORY, os.W_OK) else named_in.parent)
        self._directory: Final = home / f"shieldwall-{secrets.token_hex(12)}"
        self._directory.mkdir(mode=0o700)
        self._head: Final = _head(_allocate(self._directory / _HEAD, 8 * _WORDS))
        self._head[0] = _MAGIC
        self._fence: Final = Lock()
        temporary = named_in.with_suffix(".new")
        temporary.write_text(str(self._directory), encoding="utf-8")
        temporary.replace(named_in)

    def allocator(self, tenant_id: TenantId) -> Callable[[int], memoryview]:
        """Return what makes the buffers of a tenant's board; a larger one takes the place of the one before."""

        def allocate(size: int) -> memoryview:
            making = self._directory / f"{tenant_id}.new"
            buffer = _allocate(making, size)
            making.replace(self._directory / tenant_id)
            return buffer

        return allocate

    def publish(self, place: Place, figures: IndexFigures | None = None) -> None:
        """Say up to which change all boards are right now, and how the index is."""
        ahead = sorted(place.ahead)[: _WORDS - _AHEAD]  # of what is left out others only do not know that it is read
        self._head[1] |= np.uint64(1)
        self._pass_fence()
        self._head[2] = int(self._monotonic() * 1000)
        self._head[3] = place.xid
        self._head[4] = place.number
        self._head[5] = len(ahead)
        self._head[_AHEAD : _AHEAD + len(ahead)] = ahead
        if figures is not None:
            self._head[6] = figures.devices
            self._head[7] = int(figures.lag_seconds * 1000)
            self._head[8] = figures.memory_bytes
        self._pass_fence()
        self._head[1] += np.uint64(1)

    def close(self) -> None:
        """Take everything away."""
        self._named_in.unlink(missing_ok=True)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _pass_fence(self) -> None:
        for _ in range(2):
            with self._fence:
                pass

    def _remove_former(self) -> None:
        with suppress(OSError, ValueError):
            former = Path(self._named_in.read_text(encoding="utf-8"))
            if former.name.startswith("shieldwall-") and _is_ours(former):
                shutil.rmtree(former)


class BoardReader:
    """The readers' side: nothing is waited for, and what is not there is not known."""

    def __init__(self, named_in: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._named_in: Final = named_in
        self._monotonic: Final = monotonic
        self._directory: Path | None = None
        self._head: npt.NDArray[np.uint64] | None = None
        self._boards: dict[TenantId, Board] = {}
        self._looked_at = -_LOOK_AGAIN_SECONDS
        self._fence: Final = Lock()

    def place(self) -> Place | None:
        """Return up to which change the boards are right, ``None`` where that is not known."""
        head = self._head
        if head is None or not self._is_fresh(head):
            head = self._open()
        if head is None:
            return None
        before = int(head[1])
        self._pass_fence()
        count = min(int(head[5]), _WORDS - _AHEAD)
        place = Place(int(head[3]), int(head[4]), frozenset(map(int, head[_AHEAD : _AHEAD + count])))
        is_fresh = self._is_fresh(head)
        self._pass_fence()
        return place if not before & 1 and int(head[1]) == before and is_fresh else None

    def figures(self) -> IndexFigures:
        """Return how the index is; nought of everything where it is not there."""
        if self.place() is None or self._head is None:
            return IndexFigures()
        return IndexFigures(int(self._head[6]), int(self._head[7]) / 1000, int(self._head[8]))

    def hash_of(self, tenant_id: TenantId, device_id: DeviceId) -> Hash | None:
        """Return the hash of what a device shall enforce, ``None`` where it is not known; ask for ``place`` before."""
        board = self._boards.get(tenant_id)
        if board is None or board.is_replaced:
            board = self._open_board(tenant_id)
        return None if board is None else board.look(id_from(device_id))

    def _is_fresh(self, head: npt.NDArray[np.uint64]) -> bool:
        return 0 <= self._monotonic() * 1000 - int(head[2]) + 1 <= BELIEVED_SECONDS * 1000

    def _open(self) -> npt.NDArray[np.uint64] | None:
        """Look for the directory, now and then."""
        if self._monotonic() - self._looked_at < _LOOK_AGAIN_SECONDS:
            return None
        self._looked_at = self._monotonic()
        self._head, self._boards = None, {}
        with suppress(OSError, ValueError):
            directory = Path(self._named_in.read_text(encoding="utf-8"))
            if _is_ours(directory):
                head = _head(_mapped(directory / _HEAD))
                if int(head[0]) == _MAGIC and self._is_fresh(head):
                    self._directory, self._head = directory, head
        return self._head

    def _open_board(self, tenant_id: TenantId) -> Board | None:
        self._boards.pop(tenant_id, None)
        if self._directory is not None:
            with suppress(OSError, ValueError, BrokenBoardError):
                self._boards[tenant_id] = Board(_mapped(self._directory / tenant_id))
        return self._boards.get(tenant_id)

    def _pass_fence(self) -> None:
        for _ in range(2):
            with self._fence:
                pass


def _head(buffer: memoryview) -> npt.NDArray[np.uint64]:
    found: npt.NDArray[np.uint64] = np.frombuffer(buffer, np.uint64, _WORDS)
    return found


def _allocate(path: Path, size: int) -> memoryview:
    """Make a file of zeros that nobody else may read. Raises: OSError, where there is no room for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)  # now, and not as a fatal signal when it is written
        return memoryview(mmap.mmap(descriptor, size))
    finally:
        os.close(descriptor)


def _mapped(path: Path) -> memoryview:
    """Look at a file. Raises: OSError, ValueError where it is empty."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
    finally:
        os.close(descriptor)


def _is_ours(directory: Path) -> bool:
    """Whether a directory is this user's and nobody else's. Raises: OSError."""
    found = directory.lstat()
    is_closed = stat.S_IMODE(found.st_mode) & 0o077 == 0
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and is_closed
