"""One rule on a whole fleet: what is known of devices as columns, each value kept once and devices as codes.

A rule asks each distinct value once; the verdicts are spread over the devices by their codes and joined as arrays.
Where a fleet has nearly as many values as devices, as with names, an exact text or a beginning is found by halving:
values are in the order of their folded texts.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Final, TypeAlias, assert_never

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from shieldwall.policy.device_sets import DeviceSet
from shieldwall.policy.membership import MembershipRule
from shieldwall.policy.rule_predicates import Value, predicate_of
from shieldwall.policy.rule_tree import All, Comparison, Either, Leaf, Negation, Node, Operator, Quantified

_Verdicts: TypeAlias = npt.NDArray[np.bool_]
_Codes: TypeAlias = npt.NDArray[Any]
"""As narrow as the number of values allows."""
_EXACT: Final = frozenset({Operator.EQUAL, Operator.IN})
_FEW: Final = 2
"""Spans up to this number are compared with the codes; with more, the verdicts are spread like any others."""


class Column(Struct, frozen=True):
    """One property of all devices: its distinct values, texts first in the order of ``folded``, and a code a device."""

    values: tuple[Value, ...]
    folded: tuple[str, ...]
    codes: _Codes

    @classmethod
    def of(cls, values: Sequence[Value]) -> Column:
        """Make a column of one value a device, in the order of the devices."""
        distinct = set(values)
        texts = sorted((value.casefold(), value) for value in distinct if isinstance(value, str))
        ordered = (*(text for _, text in texts), *(value for value in distinct if not isinstance(value, str)))
        code = {value: number for number, value in enumerate(ordered)}
        width = np.uint8 if len(code) <= 1 << 8 else np.uint16 if len(code) <= 1 << 16 else np.uint32
        codes = np.fromiter(map(code.__getitem__, values), width, len(values))
        return cls(ordered, tuple(folded for folded, _ in texts), codes)

    def verdicts(self, leaf: Leaf) -> _Verdicts:
        """Say for every device whether something holds that is asked of this property."""
        spans = self._spans(leaf)
        if spans is None:
            holds = np.fromiter(map(predicate_of(leaf), self.values), np.bool_, len(self.values))
        elif len(spans) > _FEW:
            holds = np.zeros(len(self.values), np.bool_)
            for start, end in spans:
                holds[start:end] = True
        else:
            return _within(self.codes, spans)
        return np.asarray(holds[self.codes])

    def _spans(self, leaf: Leaf) -> list[tuple[int, int]] | None:
        """Find the codes that are meant by halving, where only texts, or none, are here and that is possible."""
        if not isinstance(leaf, Comparison) or self.values[len(self.folded) :] not in ((), (None,)):
            return None
        texts = [value.casefold() for value in leaf.values if isinstance(value, str)]
        if len(texts) < len(leaf.values):
            return None
        if leaf.operator in _EXACT:
            return [(bisect_left(self.folded, text), bisect_right(self.folded, text)) for text in set(texts)]
        if leaf.operator is Operator.STARTS_WITH:
            [start] = texts
            end = bisect_right(self.folded, start, key=lambda folded: folded[: len(start)])
            return [(bisect_left(self.folded, start), end)]
        return None


class RuleColumns(Struct, frozen=True):
    """A fleet as columns, by property; those that a rule asks for must be there."""

    size: int
    columns: Mapping[str, Column]

    def matching(self, rule: MembershipRule) -> DeviceSet:
        """Return the devices that a rule names, each by its place in the order of the columns."""
        packed = np.packbits(self._verdicts(rule.root), bitorder="little")
        return int.from_bytes(packed.tobytes(), "little")

    def _verdicts(self, node: Node) -> _Verdicts:
        match node:
            case Comparison(name=name) | Quantified(name=name):
                return self.columns[name].verdicts(node)
            case Negation(part=part):
                return ~self._verdicts(part)
            case All(parts=parts):
                return reduce(np.logical_and, map(self._verdicts, parts))
            case Either(parts=parts):
                return reduce(np.logical_or, map(self._verdicts, parts))
            case _:
                assert_never(node)


def _within(codes: _Codes, spans: Sequence[tuple[int, int]]) -> _Verdicts:
    found = np.zeros(len(codes), np.bool_)
    for start, end in spans:
        if end == start + 1:
            found |= codes == start
        elif end > start:
            found |= (codes >= start) & (codes < end)
    return found
