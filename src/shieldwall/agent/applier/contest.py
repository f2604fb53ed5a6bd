"""Drift is put back, and nobody gets drawn into a fight: how often, and when it is called contested. Pure.

Whoever changes a setting for the third time within an hour will do so for the fourth. From then on the setting is an
error with the code ``contested``, and put back every ten minutes instead of at once; no provider is applied anew more
than ten times within an hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

from shieldwall.agent.applier.state import Repair
from shieldwall.agent.applier.uptime import Moment
from shieldwall.contract.ids import SettingId

CONTESTED: Final = "contested"
"""The code of settings that somebody changes again and again."""
HOUR: Final = 3600.0
REPAIRS: Final = 3
"""So many repairs within an hour make a setting contested."""
PAUSE_SECONDS: Final = 600.0
"""Between two repairs of contested settings."""
MOST_AN_HOUR: Final = 10
"""No provider is applied anew more often."""


def recent(repairs: Iterable[Repair], now: Moment) -> tuple[Repair, ...]:
    """Keep the repairs of the last hour. Those of an earlier boot count as made when this one began."""
    return tuple(repair for repair in repairs if _age(repair, now) < HOUR)[-500:]


def contested(repairs: Iterable[Repair], provider: str, now: Moment) -> frozenset[SettingId]:
    """Name the settings of a provider that were put back too often."""
    counted = Counter(
        setting for repair in recent(repairs, now) if repair.provider == provider for setting in set(repair.settings)
    )
    return frozenset(setting for setting, times in counted.items() if times >= REPAIRS)


def may_repair(repairs: Iterable[Repair], provider: str, settings: Collection[SettingId], now: Moment) -> bool:
    """Say whether a provider may be applied anew now, for the sake of these settings that differ."""
    own = [repair for repair in recent(repairs, now) if repair.provider == provider]
    if len(own) >= MOST_AN_HOUR:
        return False
    if not settings or not set(settings) <= contested(own, provider, now):
        return True
    return min(_age(repair, now) for repair in own) >= PAUSE_SECONDS


def changed_by(repairs: Iterable[Repair], provider: str) -> str:
    """Say who changed what a provider holds last, as far as that is known."""
    return next((each.by for each in reversed(tuple(repairs)) if each.provider == provider and each.by), "")


def _age(repair: Repair, now: Moment) -> float:
    age = now.since(repair.at)
    return max(0.0, now.seconds if age is None else age)
