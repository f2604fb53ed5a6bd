"""The board of a tenant: the hash of each device at its place, in one run of bytes that other processes may look at.

A device is found by its id through a table of places. Only one process writes. Before it does it makes the sequence
odd, and afterwards even again: whoever reads takes nothing that was there while it was odd, or another before and
after. A hash that is torn all the same, on a machine that shows writes out of order, says "another target": with 128
bits of which half are of one target and half of another, it is none that anybody has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from shieldwall.server.targeting.hashes import Hash

Buffer: TypeAlias = "bytearray | memoryview"
Ids: TypeAlias = npt.NDArray[np.uint8]
"""Ids as rows of 16 bytes."""
Places: TypeAlias = npt.NDArray[np.int64]

MAGIC: Final = 0x3130_5844_4E49_5753  # "SWINDX01", as a number that means the same on every machine
HEADER_BYTES: Final = 64
SMALLEST: Final = 256
_MULTIPLIER: Final = 0x9E37_79B9_7F4A_7C15
_WORD: Final = 0xFFFF_FFFF_FFFF_FFFF


class BrokenBoardError(Exception):
    """These bytes are no board."""


class Board:
    """A board in a buffer; the buffer is made for a number of places and never grows."""

    def __init__(self, buffer: Buffer) -> None:
        """Look at a board. Raises: BrokenBoardError."""
        header: npt.NDArray[np.uint64] = np.frombuffer(buffer, np.uint64, HEADER_BYTES // 8)
        capacity = int(header[2])
        if int(header[0]) != MAGIC or capacity < SMALLEST or len(buffer) < size_for(capacity):
            raise BrokenBoardError("This is no board.")
        self.buffer: Final = buffer
        self.header: Final = header
        self.capacity: Final = capacity
        start = HEADER_BYTES
        self.low: Final[npt.NDArray[np.uint64]] = np.frombuffer(buffer, np.uint64, capacity, start)
        start += 8 * capacity
        self.high: Final[npt.NDArray[np.uint64]] = np.frombuffer(buffer, np.uint64, capacity, start)
        start += 8 * capacity
        self.ids: Final[Ids] = np.frombuffer(buffer, np.uint8, 16 * capacity, start).reshape(-1, 16)
        start += 16 * capacity
        self._table: Final[npt.NDArray[np.int32]] = np.frombuffer(buffer, np.int32, 2 * capacity, start)
        start += 8 * capacity
        self.known: Final[npt.NDArray[np.bool_]] = np.frombuffer(buffer, np.bool_, capacity, start)
        self._mask: Final = 2 * capacity - 1
        self._fence: Final = Lock()

    @classmethod
    def make(cls, capacity: int, allocate: Callable[[int], Buffer] = bytearray) -> Board:
        """Make an empty board with room for at least so many devices, in a buffer that is all zeros."""
        room = SMALLEST
        while room < capacity:
            room *= 2
        buffer = allocate(size_for(room))
        header = np.frombuffer(buffer, np.uint64, HEADER_BYTES // 8)
        header[2] = room
        header[0] = MAGIC
        return cls(buffer)

    @property
    def used(self) -> int:
        """How many places have been given."""
        return int(self.header[3])

    @property
    def is_replaced(self) -> bool:
        """Whether a larger board has taken the place of this one."""
        return bool(self.header[4])

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let nobody take what is written until it is all there."""
        self.header[1] |= np.uint64(1)
        self._pass_fence()
        try:
            yield
        finally:
            self._pass_fence()
            self.header[1] += np.uint64(1)

    def replace(self) -> None:
        """Tell readers to look for another board."""
        self.header[4] = 1

    def look(self, device: bytes) -> Hash | None:
        """Return the hash of a device, ``None`` where it is not known or just being written."""
        before = int(self.header[1])
        if before & 1 or self.is_replaced:
            return None
        self._pass_fence()
        place = self.find(device)
        found = None
        if place is not None and self.known[place]:
            found = np.array([self.low[place], self.high[place]])
        self._pass_fence()
        return found if int(self.header[1]) == before else None

    def find(self, device: bytes) -> int | None:
        """Return the place of a device."""
        slot = _slot(device) & self._mask
        while place := int(self._table[slot]):
            if self.ids[place - 1].tobytes() == device:
                return place - 1
            slot = (slot + 1) & self._mask
        return None

    def find_many(self, ids: Ids) -> Places:
        """Return the place of each device, -1 where it has none."""
        slots = _slots(ids) & np.uint64(self._mask)
        found: Places = np.full(len(ids), -1, np.int64)
        left = np.arange(len(ids))
        while len(left):
            places = self._table[slots[left]].astype(np.int64)
            left, places = left[places > 0], places[places > 0] - 1
            same = (self.ids[places] == ids[left]).all(axis=1)
            found[left[same]] = places[same]
            left = left[~same]
            slots[left] = (slots[left] + np.uint64(1)) & np.uint64(self._mask)
        return found

    def add(self, ids: Ids) -> Places:
        """Give places to devices that have none, each named once; there must be room for them."""
        start = self.used
        if start + len(ids) > self.capacity:
            raise ValueError("The board is full.")
        places = np.arange(start, start + len(ids))
        self.ids[places] = ids
        slots = _slots(ids) & np.uint64(self._mask)
        left = np.arange(len(ids))
        while len(left):
            free = self._table[slots[left]] == 0
            first = np.unique(slots[left[free]], return_index=True)[1]
            taken = left[free][first]
            self._table[slots[taken]] = places[taken] + 1
            is_left = self._table[slots[left]] != places[left] + 1
            left = left[is_left]
            slots[left] = (slots[left] + np.uint64(1)) & np.uint64(self._mask)
        self.header[3] = start + len(ids)
        return places

    def copied(self, allocate: Callable[[int], Buffer]) -> Board:
        """Return a board of twice the size with the same devices at the same places."""
        larger = Board.make(2 * self.capacity, allocate)
        used = self.used
        larger.add(self.ids[:used])
        larger.low[:used] = self.low[:used]
        larger.high[:used] = self.high[:used]
        larger.known[:used] = self.known[:used]
        return larger

    def _pass_fence(self) -> None:
        """Keep what is before apart from what is behind, for whoever looks from another processor."""
        for _ in range(2):  # writes may move into a lock from both sides, and not past two of them
            with self._fence:
                pass


def size_for(capacity: int) -> int:
    """Return how many bytes a board needs for so many devices."""
    return HEADER_BYTES + 41 * capacity


def ids_from(texts: list[Any] | tuple[Any, ...]) -> Ids:
    """Write ids as bytes, one in each row."""
    octets = bytes.fromhex("".join(texts).replace("-", ""))
    found: Ids = np.frombuffer(octets, np.uint8).reshape(-1, 16)
    return found


def id_from(text: str) -> bytes:
    """Write an id as bytes."""
    return bytes.fromhex(text.replace("-", ""))


def _slot(device: bytes) -> int:
    low, high = int.from_bytes(device[:8], "little"), int.from_bytes(device[8:], "little")
    mixed = (low ^ (high * _MULTIPLIER & _WORD)) * _MULTIPLIER & _WORD
    return mixed >> 32


def _slots(ids: Ids) -> npt.NDArray[np.uint64]:
    words = np.ascontiguousarray(ids).view("<u8").astype(np.uint64)
    multiplier = np.uint64(_MULTIPLIER)
    mixed: npt.NDArray[np.uint64] = (words[:, 0] ^ (words[:, 1] * multiplier)) * multiplier
    return mixed >> np.uint64(32)
