"""What a day holds, before it is lived through."""

from __future__ import annotations

from dataclasses import dataclass, field

from shieldwall.simulator.day.gateway import Costs


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """What the day holds. Hours of the clock; the same plan is the same day."""

    seed: int = 1
    devices: int = 1_000_000
    outage_at: float = 11.0
    outage_minutes: float = 20.0
    push_at: float = 14.0
    rule_at: float = 16.0
    lost_answers: float = 0.005
    """So many answers never arrive: the device comes again, and says the same."""
    storm_at: float | None = None
    """When everybody who is on starts anew within a minute, as after a power cut."""
    woken_per_second: float = 0.0
    """How many devices a second are told to check in when a change reaches them; 0: each comes in its time."""
    costs: Costs = field(default_factory=Costs)
