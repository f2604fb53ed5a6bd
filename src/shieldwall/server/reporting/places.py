"""Devices as places in arrays: an id of 36 characters is sixteen bytes here, found by bisection. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Keys: TypeAlias = NDArray[np.bytes_]
"""Ids as sixteen bytes each."""
Numbers: TypeAlias = NDArray[np.int32]
NOWHERE: Final = -1
_KEY: Final = "S16"
_MOST_YOUNG: Final = 65_536


def key_of(device_id: str) -> bytes:
    """Return the sixteen bytes of an id. Raises: ValueError: It is none."""
    key = bytes.fromhex(device_id.replace("-", ""))
    if len(key) != 16:
        raise ValueError(f"No id of a device: {device_id[:64]!r}.")
    return key


def keys_of(device_ids: Sequence[str]) -> Keys:
    """Return the bytes of many ids at once. Raises: ValueError: One of them is none."""
    keys = bytes.fromhex("".join(device_ids).replace("-", ""))
    if len(keys) != 16 * len(device_ids):
        raise ValueError("Not all of these are ids of devices.")
    return np.frombuffer(keys, dtype=_KEY)


def id_of(key: bytes) -> str:
    """Return an id as it is written."""
    text = key.ljust(16, b"\0").hex()  # numpy leaves out the zeros at the end
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Places:
    """The place of every device that was ever seen here. Places count up from zero, and are never given twice."""

    def __init__(self) -> None:
        self._keys: Keys = np.zeros(0, dtype=_KEY)
        self._sorted: Keys = self._keys
        self._order: Numbers = np.zeros(0, dtype=np.int32)
        self._young: dict[bytes, int] = {}

    def __len__(self) -> int:
        """Return how many places were given."""
        return len(self._keys) + len(self._young)

    @property
    def size(self) -> int:
        """Bytes of memory; what came lately counts as it is kept in a dictionary."""
        shared = 0 if self._sorted is self._keys else self._sorted.nbytes
        return self._keys.nbytes + shared + self._order.nbytes + 120 * len(self._young)

    def keys(self) -> Keys:
        """Return the ids by their places."""
        self.settle()
        return self._keys

    def place_of(self, device_id: str) -> int:
        """Return the place of a device; one that is new gets the next."""
        key = key_of(device_id)
        found = self._find(key)
        if found != NOWHERE:
            return found
        if len(self._young) >= _MOST_YOUNG:
            self.settle()
        place = len(self)
        self._young[key] = place
        return place

    def append(self, device_ids: Sequence[str]) -> None:
        """Give the next places to devices that are all new."""
        self.settle()
        self._keys = np.concatenate([self._keys, keys_of(device_ids)])
        self._index()

    def restore(self, keys: Keys) -> None:
        """Take over places that were given elsewhere."""
        self._keys, self._young = keys.astype(_KEY), {}
        self._index()

    def find(self, device_ids: Sequence[str]) -> Numbers:
        """Return the places of devices, ``NOWHERE`` for those that are not known."""
        if not device_ids:
            return np.zeros(0, dtype=np.int32)
        self.settle()
        keys = keys_of(device_ids)
        if not len(self._sorted):
            return np.full(len(keys), NOWHERE, dtype=np.int32)
        at = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        found: Numbers = np.where(self._sorted[at] == keys, self._order[at], NOWHERE).astype(np.int32)
        return found

    def settle(self) -> None:
        """Put those that came lately among the others."""
        if self._young:
            new = np.array(list(self._young), dtype=_KEY)  # a dictionary keeps the order in which they came
            self._keys = np.concatenate([self._keys, new])
            self._young = {}
            self._index()

    def _find(self, key: bytes) -> int:
        young = self._young.get(key)
        if young is not None:
            return young
        if not len(self._sorted):
            return NOWHERE
        wanted = np.array([key], dtype=_KEY)
        at = min(int(np.searchsorted(self._sorted, wanted)[0]), len(self._sorted) - 1)
        return int(self._order[at]) if self._sorted[at] == wanted[0] else NOWHERE

    def _index(self) -> None:
        if bool(np.all(self._keys[:-1] <= self._keys[1:])):  # as they are read from the database
            self._sorted, self._order = self._keys, np.arange(len(self._keys), dtype=np.int32)
            return
        self._order = np.argsort(self._keys, kind="stable").astype(np.int32)
        self._sorted = self._keys[self._order]


class NumberedPlaces:
    """The places of devices by the numbers that the database gave them, while a fleet is read for the first time."""

    def __init__(self) -> None:
        self._numbers: list[Numbers] = []
        self._sorted: Numbers | None = None
        self._places: Numbers = np.zeros(0, dtype=np.int32)

    def append(self, numbers: Sequence[int]) -> None:
        """Say which numbers the devices at the next places have."""
        self._numbers.append(np.array(numbers, dtype=np.int32))
        self._sorted = None

    def find(self, numbers: Sequence[int]) -> Numbers:
        """Return the places of these devices, those that are not known left out."""
        if self._sorted is None:
            every = np.concatenate([np.zeros(0, dtype=np.int32), *self._numbers])
            self._places = np.argsort(every, kind="stable").astype(np.int32)
            self._sorted = every[self._places]
        wanted = np.array(numbers, dtype=np.int32)
        found = np.searchsorted(self._sorted, wanted)
        known = found < len(self._sorted)
        known[known] = self._sorted[found[known]] == wanted[known]
        return self._places[found[known]]
