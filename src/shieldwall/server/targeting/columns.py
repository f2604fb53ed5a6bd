"""What is known of a tenant's devices, as columns that change: each value kept once, and a code for each device.

It answers as ``policy.rule_columns`` does, which is for a fleet read once: a rule asks each distinct value, and the
verdicts are spread by the codes. Where there are many values, as with names, exact texts and beginnings are looked up.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from shieldwall.policy.rule_predicates import Value, predicate_of
from shieldwall.policy.rule_tree import Comparison, Leaf, Operator

Verdicts: TypeAlias = npt.NDArray[np.bool_]
Codes: TypeAlias = npt.NDArray[Any]
"""As narrow as the number of values allows."""

MANY: Final = 4_096
"""Values from which on texts are looked up instead of asking each value."""
_LATEST: Final = 4_096
"""New texts that are gone through one by one before all are brought into order anew."""
_EXACT: Final = frozenset({Operator.EQUAL, Operator.IN})


class FleetColumn:
    """One property of all devices."""

    def __init__(self, capacity: int) -> None:
        self.values: list[Value] = [None]
        self.codes: Codes = np.zeros(capacity, np.uint8)
        self._code: dict[Value, int] = {None: 0}
        self._sorted: list[tuple[str, int]] = []
        self._looked: int = 0

    @classmethod
    def of(cls, values: Sequence[Value], codes: Codes) -> FleetColumn:
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

    def put(self, places: npt.NDArray[np.int64], values: Sequence[Value]) -> None:
        """Say what devices have now."""
        known = self._code
        for value in set(values) - known.keys():
            known[value] = len(self.values)
            self.values.append(value)
        if len(self.values) > 1 << (8 * self.codes.itemsize):
            self.codes = self.codes.astype(np.uint16 if len(self.values) <= 1 << 16 else np.uint32)
        self.codes[places] = np.fromiter(map(known.__getitem__, values), self.codes.dtype, len(values))

    def value(self, place: int) -> Value:
        """Return what a device has."""
        return self.values[int(self.codes[place])]

    def verdicts(self, leaf: Leaf, codes: Codes) -> Verdicts:
        """Say for each of these codes whether something holds that is asked of this property."""
        meant = self._meant(leaf) if len(self.values) > MANY else None
        if meant is None:
            holds = np.fromiter(map(predicate_of(leaf), self.values), np.bool_, len(self.values))
        elif len(meant) <= 1:
            return codes == meant[0] if meant else np.zeros(len(codes), np.bool_)
        else:
            holds = np.zeros(len(self.values), np.bool_)
            holds[meant] = True
        return holds.take(codes)

    def _meant(self, leaf: Leaf) -> list[int] | None:
        """Find the values that are meant by halving, where only texts are asked for and that is possible."""
        if not isinstance(leaf, Comparison) or not all(isinstance(value, str) for value in leaf.values):
            return None
        if leaf.operator not in _EXACT and leaf.operator is not Operator.STARTS_WITH:
            return None
        if not self._order():
            return None
        starts = leaf.operator is Operator.STARTS_WITH
        found: set[int] = set()
        for value in leaf.values:
            text = str(value).casefold()
            if starts:
                end = bisect_right(self._sorted, text, key=lambda each: each[0][: len(text)])
            else:
                end = bisect_right(self._sorted, text, key=lambda each: each[0])
            begin = bisect_left(self._sorted, text, key=lambda each: each[0])
            found.update(code for _, code in self._sorted[begin:end])
        holds = predicate_of(leaf)
        found.update(code for code in range(self._looked, len(self.values)) if holds(self.values[code]))
        return sorted(found)

    def _order(self) -> bool:
        """Bring the texts into order, but for the latest; say whether there is nothing but texts."""
        if len(self.values) - self._looked > _LATEST:
            texts = [(value.casefold(), code) for code, value in enumerate(self.values) if isinstance(value, str)]
            if len(texts) + 1 < len(self.values):
                self._sorted, self._looked = [], 0
                return False
            self._sorted, self._looked = sorted(texts), len(self.values)
        return self._looked > 0


FleetColumns: TypeAlias = Mapping[str, FleetColumn]
