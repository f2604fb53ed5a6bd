"""A property that is another for each device, as names are: all of them in one long text, in which rules search.

What changed since it was written stands beside it, until that is too much and it is written anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from shieldwall.policy.rule_predicates import Value, predicate_of
from shieldwall.policy.rule_tree import POSITIVE, Comparison, Leaf, Operator
from shieldwall.server.targeting.board import Places
from shieldwall.server.targeting.columns import Verdicts

_BETWEEN: Final = "\0"
"""No text of a database holds it."""
_NOTHING: Final = "\1"
"""Stands for ``None`` in the long text, and for places where nobody is."""
_LATEST: Final = 4_096
"""Devices of which another text may stand beside the long one when it is searched; at other times, half of all."""
_FEW: Final = 4_096
"""Places up to this number are asked one by one."""
_ENDS: Final = frozenset({Operator.EQUAL, Operator.IN, Operator.ENDS_WITH})
_BEGINS: Final = frozenset({Operator.EQUAL, Operator.IN, Operator.STARTS_WITH})


class TextColumn:
    """One text, or none, by place."""

    def __init__(self, joined: str = "") -> None:
        """Begin with what ``joined`` wrote."""
        self._latest: dict[int, Value] = {}
        self._write(joined.split(_BETWEEN) if joined else [])

    def grow(self, capacity: int) -> None:
        """Do nothing: texts take what room they need."""

    def put(self, places: Places, values: Sequence[Value]) -> None:
        """Say what devices have now."""
        self._latest.update(zip(places.tolist(), values, strict=True))
        if len(self._latest) > _LATEST + self._written // 2:
            self._write(self._texts())

    def value(self, place: int) -> Value:
        """Return what a device has."""
        if place in self._latest:
            return self._latest[place]
        if place >= self._written:
            return None
        text = self._text[self._starts[place] + 1 : self._starts[place + 1]]
        return None if text == _NOTHING else text

    def joined(self) -> str:
        """Return all texts as one, to be kept."""
        return _BETWEEN.join(self._texts())

    def verdicts(self, leaf: Leaf, places: Places | None, used: int) -> Verdicts:
        """Say for these places, or for the first ``used`` ones, whether something holds that is asked."""
        holds = predicate_of(leaf)
        if places is not None and len(places) <= _FEW:
            return np.fromiter((holds(self.value(place)) for place in places.tolist()), np.bool_, len(places))
        if len(self._latest) > _LATEST:
            self._write(self._texts())
        found = self._found(leaf, max(used, self._written))
        if found is None:
            found = np.fromiter((holds(self.value(place)) for place in range(used)), np.bool_, used)
        else:
            for place, value in self._latest.items():
                if place < len(found):
                    found[place] = holds(value)
        return found[:used] if places is None else found[places]

    def _found(self, leaf: Leaf, size: int) -> Verdicts | None:
        """Search the long text, where what is asked can be found by searching."""
        if not isinstance(leaf, Comparison):
            return None
        positive = POSITIVE.get(leaf.operator)
        if positive is not None:
            found = self._found(Comparison(leaf.name, positive, leaf.values), size)
            return None if found is None else ~found
        texts = [value.casefold() for value in leaf.values if isinstance(value, str)]
        if len(texts) < len(leaf.values) or leaf.operator is Operator.MATCH:
            return None
        if any(not text or _BETWEEN in text or _NOTHING in text for text in texts):
            return None
        verdicts = np.zeros(size, np.bool_)
        for text in set(texts):
            sought = f"{_BETWEEN * (leaf.operator in _BEGINS)}{text}{_BETWEEN * (leaf.operator in _ENDS)}"
            verdicts[self._places_having(sought)] = True
        return verdicts

    def _places_having(self, sought: str) -> Places:
        positions: list[int] = []
        position = self._folded.find(sought)
        while position >= 0:
            positions.append(position)
            position = self._folded.find(sought, position + 1)
        return np.searchsorted(self._folded_starts, np.asarray(positions, np.int64), side="right") - 1

    def _texts(self) -> list[str]:
        texts = self._text.split(_BETWEEN)[1:-1] if self._written else []
        size = max(self._written, max(self._latest, default=-1) + 1)
        texts += [_NOTHING] * (size - len(texts))
        for place, value in self._latest.items():
            texts[place] = _NOTHING if value is None else str(value)
        return texts

    def _write(self, texts: list[str]) -> None:
        self._latest.clear()
        self._written = len(texts)
        self._text, self._starts = _long(texts)
        folded = self._text.casefold()
        if folded == self._text:
            self._folded, self._folded_starts = self._text, self._starts
        elif folded.isascii():  # each as long as before
            self._folded, self._folded_starts = folded, self._starts
        else:
            self._folded, self._folded_starts = _long([text.casefold() for text in texts])


class IdColumn:
    """Ids, as the directory gives them: sixteen bytes for each device."""

    def __init__(self, rows: npt.NDArray[np.uint8]) -> None:
        """Begin with rows of sixteen bytes; zeros are nothing."""
        self.rows = rows

    def grow(self, capacity: int) -> None:
        """Make room for more devices."""
        larger = np.zeros((capacity, 16), np.uint8)
        larger[: len(self.rows)] = self.rows
        self.rows = larger

    def put(self, places: Places, values: Sequence[Value]) -> None:
        """Say what devices have now."""
        octets = bytes.fromhex("".join(_NIL if value is None else str(value).replace("-", "") for value in values))
        self.rows[places] = np.frombuffer(octets, np.uint8).reshape(-1, 16)

    def value(self, place: int) -> Value:
        """Return what a device has."""
        row = self.rows[place].tobytes()
        return _written(row) if any(row) else None

    def verdicts(self, leaf: Leaf, places: Places | None, used: int) -> Verdicts:
        """Say for these places, or for the first ``used`` ones, whether something holds that is asked."""
        holds = predicate_of(leaf)
        asked = range(used) if places is None else places.tolist()
        if len(asked) > _FEW and isinstance(leaf, Comparison) and leaf.operator in {Operator.EQUAL, Operator.IN}:
            wanted = [_octets(value) for value in leaf.values if isinstance(value, str)]
            if len(wanted) == len(leaf.values):
                rows = self.rows[:used] if places is None else self.rows[places]
                found = np.zeros(len(rows), np.bool_)
                for each in wanted:
                    if each is not None:
                        found |= (rows == np.frombuffer(each, np.uint8)).all(axis=1)
                return found
        return np.fromiter((holds(self.value(place)) for place in asked), np.bool_, len(asked))


_NIL: Final = "0" * 32


def _octets(text: str) -> bytes | None:
    """Read an id as it is written, and nothing else."""
    try:
        octets = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return None
    return octets if len(octets) == 16 and any(octets) and _written(octets) == text.lower() else None


def _written(octets: bytes) -> str:
    text = octets.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _long(texts: Sequence[str]) -> tuple[str, npt.NDArray[np.int64]]:
    """Write texts as one, and say where each is: at the sign before it. The last place is behind all."""
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1, out=starts[1:])
    return f"{_BETWEEN}{_BETWEEN.join(texts)}{_BETWEEN}", starts
