"""Who the devices of a day are: where they stand, what they run, when they are awake, and when they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from shieldwall.contract.ids import DeviceId
from shieldwall.server.manager.check_in import next_check_in_seconds

Floats: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[Any]

HOUR: Final = 3_600.0
DAY: Final = 24 * HOUR
SITES: Final = (("berlin", 0), ("lyon", 0), ("oslo", 0), ("athens", -1), ("london", 1), ("lisbon", 1), ("tallinn", -1))
"""Offices, and how many hours after the clock of the simulation people there begin."""
KINDS: Final = ("server", "desk", "laptop")
SYSTEMS: Final = (("Linux", "12"), ("Windows Server", "2022"), ("Windows", "11"), ("macOS", "15"))
DEPARTMENTS: Final = 40
MODELS: Final = 200
_SHARES: Final = (0.25, 0.30, 0.45)
_SYSTEM_SHARES: Final = ((0.6, 0.4, 0.0, 0.0), (0.15, 0.0, 0.85, 0.0), (0.1, 0.0, 0.6, 0.3))
_MORNING: Final = 8.5 * HOUR
_MORNING_SPREAD: Final = 0.7 * HOUR
_WORKDAY: Final = 9.0 * HOUR
_WORKDAY_SPREAD: Final = 1.2 * HOUR
_LEFT_ON: Final = 0.2
"""So many desktops stay on over night."""


@dataclass(frozen=True, slots=True)
class People:
    """All devices, each at its place in every column."""

    ids: list[DeviceId]
    site: Whole
    kind: Whole
    system: Whole
    department: Whole
    model: Whole
    on: Floats
    """Second of the day at which it is switched on; its agent checks in at once."""
    off: Floats
    period: Floats
    """Seconds from one check-in to the next, as the server tells this very device."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ids)

    def awake(self, at: float) -> int:
        """Count those that are on."""
        return int(np.count_nonzero((self.on <= at) & (at < self.off)))


def people(size: int, chance: np.random.Generator) -> People:
    """Make up so many devices."""
    site = chance.integers(0, len(SITES), size).astype(np.uint8)
    kind = chance.choice(len(KINDS), size, p=_SHARES).astype(np.uint8)
    system = np.zeros(size, np.uint8)
    for number, shares in enumerate(_SYSTEM_SHARES):
        mine = np.flatnonzero(kind == number)
        system[mine] = chance.choice(len(SYSTEMS), len(mine), p=shares)
    later = np.array([hours for _, hours in SITES])[site] * HOUR
    on = np.clip(chance.normal(_MORNING, _MORNING_SPREAD, size) + later, 0.0, DAY)
    off = np.clip(on + chance.normal(_WORKDAY, _WORKDAY_SPREAD, size), on, DAY)
    always = (kind == 0) | ((kind == 1) & (chance.random(size) < _LEFT_ON))
    on[always], off[always] = -DAY, 2 * DAY
    ids = [DeviceId(f"{number:08x}-0000-4000-8000-{number:012x}") for number in range(size)]
    return People(
        ids=ids,
        site=site,
        kind=kind,
        system=system,
        department=chance.integers(0, DEPARTMENTS, size).astype(np.uint8),
        model=chance.integers(0, MODELS, size).astype(np.uint8),
        on=on,
        off=off,
        period=np.fromiter(map(next_check_in_seconds, ids), np.float64, size),
    )
