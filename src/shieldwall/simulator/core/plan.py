"""What is simulated, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from shieldwall.simulator.core.faults import Faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is simulated. The same plan has the same history."""

    seed: int
    devices: int = 100
    hours: float = 24.0
    acts_an_hour: float = 1.0
    """How often an administrator changes something."""
    faults: Faults = field(default_factory=Faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a simulation ended; ``broken`` names the invariant that did not hold, with the last lines of the history."""

    plan: Plan
    device_hours: float
    seconds: float
    """From the first thing that happened to the last; making the server is not in it."""
    cpu_seconds: float
    """Of this process; elsewhere on the machine others may be at work."""
    digest: str
    counts: dict[str, int]
    checks: int
    broken: str | None = None
    last: tuple[str, ...] = ()

    @property
    def device_hours_a_minute(self) -> float:
        """How fast it went."""
        return self.device_hours / max(self.seconds, 1e-9) * 60

    @property
    def device_hours_a_cpu_minute(self) -> float:
        """How fast it went by the time that this process had a processor."""
        return self.device_hours / max(self.cpu_seconds, 1e-9) * 60
