"""What is known of a tenant's devices, as columns that change: a value for each place, and what rules ask of all.

It answers as ``policy.rule_columns`` does, which is for a fleet read once. Most properties have few values, each kept
once with a code for each device: a rule asks each value, and the verdicts are spread by the codes. Names are another
for each device, and in ``texts``; so are ids, in ``id_columns``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from shieldwall.policy.rule_predicates import Value, predicate_of
from shieldwall.policy.rule_tree import Leaf
from shieldwall.server.targeting.board import Places

Verdicts: TypeAlias = npt.NDArray[np.bool_]
Codes: TypeAlias = npt.NDArray[Any]
"""As narrow as the number of values allows."""
_FEW: Final = 8
"""Devices up to this number are put down one by one, which costs less than an array of them."""


class Column(Protocol):
    """One property of all devices."""

    def put(self, places: Places, values: Sequence[Value]) -> None:
        """Say what devices have now."""

    def value(self, place: int) -> Value:
        """Return what a device has."""

    def verdicts(self, leaf: Leaf, places: Places | None, used: int) -> Verdicts:
        """Say for these places, or for the first ``used`` ones, whether something holds that is asked."""

    def grow(self, capacity: int) -> None:
        """Make room for more devices."""


class CodedColumn:
    """A property of which many devices have the same."""

    def __init__(self, capacity: int) -> None:
        self.values: list[Value] = [None]
        self.codes: Codes = np.zeros(capacity, np.uint8)
        self._code: dict[Value, int] = {None: 0}

    @classmethod
    def of(cls, values: Sequence[Value], codes: Codes) -> CodedColumn:
        """Make a column of what another one had. Values: in the order of their codes, ``None`` first."""
        column = cls(0)
        column.values = list(values)
        column._code = {value: code for code, value in enumerate(values)}
        column.codes = codes
        return column

    def grow(self, capacity: int) -> None:
        """Make room for more devices."""
        larger = np.zeros(capacity, self.codes.dtype)
        larger[: len(self.codes)] = self.codes
        self.codes = larger

    def put(self, places: Places, values: Sequence[Value]) -> None:
        """Say what devices have now."""
        if len(values) <= _FEW:
            for place, value in zip(places.tolist(), values, strict=True):
                self.codes[place] = self._code_of(value)
        else:
            codes = {value: self._code_of(value) for value in set(values)}
            self.codes[places] = np.fromiter(map(codes.__getitem__, values), self.codes.dtype, len(values))

    def value(self, place: int) -> Value:
        """Return what a device has."""
        return self.values[int(self.codes[place])]

    def _code_of(self, value: Value) -> int:
        code = self._code.get(value)
        if code is None:
            code = self._code[value] = len(self.values)
            self.values.append(value)
            if code >> (8 * self.codes.itemsize):
                self.codes = self.codes.astype(np.uint16 if self.codes.itemsize == 1 else np.uint32)
        return code

    def verdicts(self, leaf: Leaf, places: Places | None, used: int) -> Verdicts:
        """Say for these places, or for the first ``used`` ones, whether something holds that is asked."""
        codes = self.codes[:used] if places is None else self.codes[places]
        holds = np.fromiter(map(predicate_of(leaf), self.values), np.bool_, len(self.values))
        if holds.sum() == 1:  # one comparison is cheaper than a look-up
            return np.asarray(codes == np.argmax(holds))
        return holds.take(codes)
