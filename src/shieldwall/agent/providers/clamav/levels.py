"""How the engine is to work: the enforcement level, and the two settings that it replaced. Pure.

Where the level itself is set, it decides, and an older setting that says otherwise is *superseded*. Without it, passive
mode comes first: who wants to stand by for another antivirus must not be made to block by the other setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

ENFORCEMENT_LEVEL: Final = "antivirusEngine.enforcementLevel"
REAL_TIME_PROTECTION: Final = "antivirusEngine.enableRealTimeProtection"
PASSIVE_MODE: Final = "antivirusEngine.passiveMode"
LANDINGS: Final = (ENFORCEMENT_LEVEL, REAL_TIME_PROTECTION, PASSIVE_MODE)


class Level(StrEnum):
    """How the engine works."""

    REAL_TIME = "real_time"
    """Every open of a file is looked at, and a threat is denied."""
    AUDIT = "audit"
    """Every open is looked at, and a threat is only told of."""
    ON_DEMAND = "on_demand"
    """Files are looked at by scans alone."""
    PASSIVE = "passive"
    """As on demand; scans report and leave everything where it is."""

    @property
    def watches(self) -> bool:
        """Whether files are looked at as they are opened."""
        return self in (Level.REAL_TIME, Level.AUDIT)


def level_of(values: Mapping[str, Any]) -> Level | None:
    """Return the level that settings, by where they land, ask for; ``None`` when none of them speaks about it."""
    if ENFORCEMENT_LEVEL in values:
        return Level(values[ENFORCEMENT_LEVEL])
    if values.get(PASSIVE_MODE) is True:
        return Level.PASSIVE
    if REAL_TIME_PROTECTION in values:
        return Level.REAL_TIME if values[REAL_TIME_PROTECTION] else Level.ON_DEMAND
    return Level.ON_DEMAND if PASSIVE_MODE in values else None


def superseded(values: Mapping[str, Any]) -> frozenset[str]:
    """Return the older settings that another one overrules."""
    level = level_of(values)
    says = {
        REAL_TIME_PROTECTION: {True: (Level.REAL_TIME,), False: (Level.ON_DEMAND, Level.PASSIVE)},
        PASSIVE_MODE: {True: (Level.PASSIVE,), False: (Level.REAL_TIME, Level.AUDIT, Level.ON_DEMAND)},
    }
    return frozenset(
        landing for landing, meaning in says.items() if landing in values and level not in meaning[values[landing]]
    )
