"""Kinds: combinations of values that many devices share, each under a small number. Pure.

A fleet of a million devices has some thousand combinations of system, state, target and report. A device is then two
numbers, and whatever is asked about devices is asked about kinds once, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shieldwall.contract.errors import ShieldwallError

Numbers: TypeAlias = NDArray[np.int32]
Counts: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]


class TooVariedError(ShieldwallError):
    """Devices are so different from each other that counting them by kinds gains nothing."""

    code = "tooVaried"
    remedy = "Nothing: the database counts them, which takes longer."


class _Codes(dict[tuple[Any, ...], int]):
    """Numbers by combinations; one that is new gets the next."""

    def __missing__(self, key: tuple[Any, ...]) -> int:
        self[key] = code = len(self)
        return code


class Kinds:
    """Combinations of values by numbers, in the order in which they first came."""

    def __init__(self, fields: Sequence[str], most: int) -> None:
        self.fields = tuple(fields)
        self.most = most
        self._codes = _Codes()
        self._values: list[tuple[Any, ...]] = []
        self._columns: dict[str, _Column] = {name: _Column() for name in fields}

    def __len__(self) -> int:
        """Return how many kinds there are."""
        return len(self._codes)

    def code(self, values: tuple[Any, ...]) -> int:
        """Return the number of a combination. Raises: TooVariedError."""
        code = self._codes[values]
        if len(self._codes) > self.most:
            raise TooVariedError(f"There are more than {self.most} kinds of devices.")
        return code

    def codes(self, rows: Iterable[tuple[Any, ...]]) -> Numbers:
        """Return the numbers of many combinations. Raises: TooVariedError."""
        codes = self._codes
        found = np.fromiter((codes[row] for row in rows), dtype=np.int32)
        if len(codes) > self.most:
            raise TooVariedError(f"There are more than {self.most} kinds of devices.")
        return found

    def values(self, code: int) -> tuple[Any, ...]:
        """Return a combination by its number."""
        self._follow()
        return self._values[code]

    def count_by(self, field: str, counts: Counts) -> dict[Any, int]:
        """Add up the devices of kinds, ``counts`` by their numbers, by one of their values."""
        column = self._column(field)
        sums = np.bincount(column.codes(), weights=counts[: len(self._values)], minlength=len(column.distinct))
        return {value: int(number) for value, number in zip(column.distinct, sums, strict=True) if number}

    def total(self, field: str, counts: Counts) -> int:
        """Add up a field that holds numbers over all devices."""
        return sum(int(value) * number for value, number in self.count_by(field, counts).items())

    def where(self, field: str, fits: Callable[[Any], bool]) -> Mask:
        """Say of every kind whether a value of it fits."""
        column = self._column(field)
        fitting = np.fromiter((fits(value) for value in column.distinct), dtype=np.bool_, count=len(column.distinct))
        found: Mask = fitting[column.codes()] if len(fitting) else np.zeros(0, dtype=np.bool_)
        return found

    def numbers(self, field: str) -> Numbers:
        """Return a field that holds whole numbers, of each kind."""
        return self._column(field).values()

    def distinct(self, field: str) -> list[Any]:
        """Return the distinct values of a field."""
        return self._column(field).distinct

    def numbers_of(self, others: Kinds) -> Numbers:
        """Return the number here of each of the others' kinds, -1 where it is none here."""
        return np.fromiter((self._codes.get(values, -1) for values in others.all()), dtype=np.int32, count=len(others))

    def all(self) -> Sequence[tuple[Any, ...]]:
        """Return every kind, in the order of their numbers."""
        self._follow()
        return self._values

    def keeping(self, used: Mask) -> tuple[Kinds, Numbers]:
        """Return the same without kinds that nobody is of, and the new number of each old one."""
        self._follow()
        fewer = Kinds(self.fields, self.most)
        moved = np.full(len(self._values), -1, dtype=np.int32)
        for code in np.flatnonzero(used[: len(self._values)]):
            moved[code] = fewer.code(self._values[code])
        return fewer, moved

    def _column(self, field: str) -> _Column:
        self._follow()
        return self._columns[field]

    def _follow(self) -> None:
        """Take in the combinations that came since."""
        if len(self._values) == len(self._codes):
            return
        new = list(self._codes)[len(self._values) :]
        self._values += new
        for place, name in enumerate(self.fields):
            self._columns[name].add(values[place] for values in new)


class _Column:
    """One value of each kind, as numbers of distinct ones."""

    def __init__(self) -> None:
        self.distinct: list[Any] = []
        self._known: dict[Hashable, int] = {}
        self._codes: list[int] = []
        self._array: Numbers = np.zeros(0, dtype=np.int32)
        self._values: Numbers = self._array

    def add(self, values: Iterable[Hashable]) -> None:
        """Take in the values of further kinds."""
        for value in values:
            if value not in self._known:
                self._known[value] = len(self.distinct)
                self.distinct.append(value)
            self._codes.append(self._known[value])

    def codes(self) -> Numbers:
        """Return the number of the value of each kind."""
        if len(self._array) != len(self._codes):
            self._array = np.array(self._codes, dtype=np.int32)
        return self._array

    def values(self) -> Numbers:
        """Return the value of each kind, which is a number."""
        if len(self._values) != len(self._codes):
            self._values = np.array(self.distinct, dtype=np.int32)[self.codes()]
        return self._values
