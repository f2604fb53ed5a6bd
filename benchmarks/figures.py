"""What a part of the benchmarks hands back: figures, each with its spread, its peer and the bar it is held against.

A part is a module of this package with ``measure(home, *, quick=False) -> list[Figure]``. ``home`` is an empty
directory of its own; ``quick`` asks for a look of seconds at a smaller scale, whose figures are never kept. Whatever
else a part found out it prints: runs show it above the table. A figure that could not be had is still a figure, with
``value=None`` and a note that says why: nothing that has a bar is left out of the table.

    Figure.of("full check-in", ours, "µs CPU", engine=SQLITE, peer=Peer.of("nginx", theirs), bar=CHECK_IN_TO_NGINX)
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

SQLITE: Final = "SQLite"
POSTGRESQL: Final = "PostgreSQL"
Engine = Literal["", "SQLite", "PostgreSQL"]


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure is held against: at most, or at least, so much, of the figure itself or of its ratio to a peer."""

    limit: float
    at_least: bool = False
    of_ratio: bool = False
    key: str = ""
    """The name of a bar that the whole product is held to (``benchmarks.bars``); others are a part's own."""

    def is_met_by(self, figure: Figure) -> bool | None:
        """Say whether a figure meets it; ``None`` where there is nothing to compare."""
        said = figure.ratio if self.of_ratio else figure.value
        if said is None:
            return None
        return said >= self.limit if self.at_least else said <= self.limit


@dataclass(frozen=True, slots=True)
class Peer:
    """What another program takes for the same, measured in the same run, in the unit of the figure beside it."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, name: str, samples: Sequence[float]) -> Peer:
        """Sum up the rounds of a peer."""
        return cls(name, statistics.median(samples), min(samples), max(samples))


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured: the median of its rounds, with the lowest and the highest."""

    what: str
    value: float | None
    unit: str
    """``µs CPU``, ``ms``, ``s``, ``MiB``, ``GB``, ``%``, ``acks``, …: what the table shows behind the value."""
    low: float | None = None
    high: float | None = None
    engine: Engine = ""
    peer: Peer | None = None
    bar: Bar | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        what: str,
        samples: Sequence[float],
        unit: str,
        *,
        engine: Engine = "",
        peer: Peer | None = None,
        bar: Bar | None = None,
        note: str = "",
    ) -> Figure:
        """Sum up rounds: their median, and from where to where they went. Raises: ValueError without a round."""
        if not samples:
            raise ValueError(f"{what}: nothing was measured")
        middle, low, high = statistics.median(samples), min(samples), max(samples)
        return cls(what, middle, unit, low, high, engine=engine, peer=peer, bar=bar, note=note)

    @classmethod
    def missing(cls, what: str, unit: str, why: str, *, engine: Engine = "", bar: Bar | None = None) -> Figure:
        """Say that something could not be measured here, and why."""
        return cls(what, None, unit, engine=engine, bar=bar, note=f"not measured: {why}")

    @property
    def ratio(self) -> float | None:
        """How many times what the peer takes this is."""
        if self.peer is None or self.value is None or not self.peer.value:
            return None
        return self.value / self.peer.value

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; ``None`` without a bar, or when nothing was measured."""
        return None if self.bar is None else self.bar.is_met_by(self)


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the samples do not exceed. Raises: ValueError without samples."""
    if not samples:
        raise ValueError("nothing was measured")
    ordered = sorted(samples)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
