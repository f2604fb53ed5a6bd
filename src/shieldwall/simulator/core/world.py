"""A simulation from its seed to its outcome: devices come, live and suffer; at its end all of it has to come right."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from shieldwall.agent.service.delays import RETRY_CAP_SECONDS
from shieldwall.contract import strict_json
from shieldwall.contract.messages import DEFAULT_CHECK_IN_SECONDS
from shieldwall.server.inventory.packages import PackageDraft, ServerAddress, create_package
from shieldwall.simulator.chance import chance_of
from shieldwall.simulator.core.administration import Administration
from shieldwall.simulator.core.breakage import BreakableCommits
from shieldwall.simulator.core.fleet import Fleet
from shieldwall.simulator.core.history import History
from shieldwall.simulator.core.mishaps import Mishaps
from shieldwall.simulator.core.plan import Outcome, Plan
from shieldwall.simulator.core.server import URL, SimulatedServer
from shieldwall.simulator.core.virtual_time import HOUR, Agenda, VirtualTime
from shieldwall.simulator.core.watch import InvariantBrokenError, Watch
from shieldwall.trust.onboarding import OnboardingPackage, open_package

PERIODS_TO_CONVERGE: Final = 3
LONGEST_PERIOD: Final = DEFAULT_CHECK_IN_SECONDS * 1.1
"""Ninety minutes and the spread of ten per cent."""
QUIET_SECONDS: Final = PERIODS_TO_CONVERGE * LONGEST_PERIOD + RETRY_CAP_SECONDS
"""How long devices have to come right; the last failure before it may have let one wait for half an hour."""
_MOST_USES: Final = 10_000


class World:
    """Everything there is in a simulation."""

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        out: TextIO | None,
        progress: Callable[[float], None],
        *,
        database: str | None,
    ) -> None:
        seed = plan.seed
        self.plan, self.progress = plan, progress
        self.time = VirtualTime()
        self.agenda = Agenda(self.time)
        self.history = History(self.time, out)
        self.server = SimulatedServer(directory, self.time, chance_of(seed, "server"), database)
        self.administration = Administration(self.server, chance_of(seed, "administration"), self.history)
        self.watch = Watch(self.server, self.administration, self.history)
        self.fleet = Fleet(
            plan=plan,
            time=self.time,
            agenda=self.agenda,
            administration=self.administration,
            watch=self.watch,
            history=self.history,
            chance=chance_of(seed, "fleet"),
            commits=BreakableCommits(chance_of(seed, "commits"), self.history),
        )
        self.mishaps = Mishaps(self.fleet, self.server, self.agenda, chance_of(seed, "mishaps"), self.history)
        self.administration.asked = self.fleet.wake_for_sync

    def run(self) -> None:
        """Live through the plan. Raises: InvariantBrokenError."""
        self.administration.begin()
        self.fleet.come(self._package())
        self.mishaps.begin()
        end = self.plan.hours * HOUR
        for hour in range(1, int(self.plan.hours) + 1):
            self.agenda.run(hour * HOUR)
            self.watch.quarantines()
            self.progress(hour * HOUR / (end + QUIET_SECONDS))
        self.agenda.run(end)
        self.mishaps.end()
        self.fleet.calm_down()
        self.agenda.run(end + QUIET_SECONDS)
        self.progress(1.0)
        self._look_at_the_end()

    def _look_at_the_end(self) -> None:
        for machine in self.fleet.machines:
            if not machine.ended and machine.id is not None:
                self.watch.at_the_end(machine.id, machine.applier.target)
        self.watch.attempts_counted()
        self.mishaps.look_at_those_who_left()

    def _package(self) -> OnboardingPackage:
        draft = PackageDraft(display_name="Simulated", max_uses=_MOST_USES)
        with self.server.database.write() as connection:
            _, envelope = create_package(
                connection, self.server.acting, self.server.signer, draft, ServerAddress(urls=(URL,))
            )
        return open_package(strict_json.encode(envelope), self.time.now())


def simulate(
    plan: Plan,
    directory: Path,
    *,
    out: TextIO | None = None,
    progress: Callable[[float], None] = lambda _share: None,
    database: str | None = None,
    monotonic: Callable[[], float] = time.perf_counter,
    cpu: Callable[[], float] = time.process_time,
) -> Outcome:
    """Live through a plan in a directory of its own, and say how it ended. ``out`` gets every line of its history.

    ``database`` is the URL of one that has its tables and nothing in them; without, one is made.
    """
    world = World(plan, directory, out, progress, database=database)
    begun, cpu_begun = monotonic(), cpu()
    broken: InvariantBrokenError | None = None
    try:
        world.run()
    except InvariantBrokenError as error:
        broken = error
        world.history.add("broken", error.name)
    finally:
        world.server.close()
    return Outcome(
        plan=plan,
        device_hours=plan.devices * world.time.seconds / HOUR,
        seconds=monotonic() - begun,
        cpu_seconds=cpu() - cpu_begun,
        digest=world.history.digest(),
        counts=dict(world.history.counts),
        checks=world.watch.checks,
        broken=None if broken is None else str(broken),
        last=() if broken is None else tuple(world.history.last),
    )
