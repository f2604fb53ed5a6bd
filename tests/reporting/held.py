"""Fleets held in memory, for tests: however small, and followed when the test says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.support.manager_world import World
from tests.support.samples import TENANT_ID

from shieldwall.server.reporting.following import FleetReports
from shieldwall.server.reporting.held import HeldFleet
from shieldwall.server.reporting.reading import CONTACT_SECONDS


@dataclass
class Steady:
    """A steady clock moved by hand."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Following:
    """Reports of one world."""

    world: World
    home: Path | None = None
    steady: Steady = field(default_factory=Steady)
    reports: FleetReports = field(init=False)

    def __post_init__(self) -> None:
        marks = count()
        self.reports = FleetReports(
            self.world.database,
            self.world.catalog,
            self.world.clock,
            new_mark=lambda: f"mark-{id(self)}-{next(marks)}",
            monotonic=self.steady,
            from_devices=0,
            home=self.home,
        )

    def fleet(self) -> HeldFleet:
        """Return the fleet as it is now, also who is in touch."""
        self.reports.current(TENANT_ID)  # somebody asks, so that it is read
        self.steady.now += CONTACT_SECONDS
        self.reports.follow()
        found = self.reports.current(TENANT_ID)
        assert found is not None, "it was just read"
        return found
