"""One simulated device: a machine, a disk, an applier, and the real agent over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shieldwall.agent.host.errors import DiskFullError
from shieldwall.agent.journal import Journal
from shieldwall.agent.service.assembly import Enrolled, Surroundings
from shieldwall.agent.service.errors import NotOnboardedError
from shieldwall.agent.service.loop import Loop
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.waiting import Wake
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId
from shieldwall.simulator.chance import Chance
from shieldwall.simulator.core.applier import MemoryApplier
from shieldwall.simulator.core.history import History
from shieldwall.simulator.core.memory import KilledError, MemoryDisk, MemoryMachine
from shieldwall.simulator.core.network import FaultyNetwork
from shieldwall.simulator.core.virtual_time import DeviceTime
from shieldwall.trust.onboarding import OnboardingPackage

_DIRECTORY: Final = Path("/simulated")
AGAIN_AFTER_KILL: Final = 10.0
"""Seconds until the service manager starts an agent that ended."""


class Nowhere:
    """A journal that nobody reads."""

    def write(self, line: str, /) -> int:
        """Let a line go."""
        return len(line)

    def flush(self) -> None:
        """Let go of it at once."""


class _NeverWaits:
    """The agent's ``Pause``, of which a simulation has no need: it keeps the time between turns itself."""

    def sleep(self, seconds: float) -> Wake:
        raise NotImplementedError

    def during(self, work: Callable[[], Wake]) -> Wake:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A machine as it was: its disk, and what its applier knew."""

    files: dict[Path, bytes]
    applier: dict[str, object]


@dataclass(slots=True)
class SimulatedDevice:
    """One machine. ``turn`` is a check-in of the agent's own loop; between turns it does not exist but on its disk."""

    name: str
    machine: MemoryMachine
    applier: MemoryApplier
    clock: DeviceTime
    network: FaultyNetwork
    chance: Chance
    history: History
    disk: MemoryDisk = field(default_factory=MemoryDisk)
    listens: bool = False
    """Whether it holds a line open on which a policy sync is told."""
    ended: bool = False
    id: DeviceId | None = None
    twin_of: SimulatedDevice | None = None
    """Whose disk it was copied from, where it is a clone."""
    turns: int = 0
    planned: int = 0
    """Which of the turns that were put down for it counts: the last one."""
    _loop: Loop | None = None
    _enrolled: Enrolled | None = None

    def __post_init__(self) -> None:
        """Let the disk fail by chance."""
        self.disk.step = self._may_fail

    @property
    def surroundings(self) -> Surroundings:
        """Everything the agent is told of the world."""
        return Surroundings(
            state=AgentState(directory=_DIRECTORY, disk=self.disk),
            open_transport=lambda _server: self.network,
            machine=self.machine,
            enforcer=self.applier,
            clock=self.clock,
            randomness=self.chance.randbytes,
            journal=Journal(out=Nowhere(), clock=self.clock),
        )

    def onboard(self, package: OnboardingPackage) -> bool:
        """Ask for an identity, and say whether it has one now; what fails is tried again by whoever calls."""
        surroundings = self.surroundings
        try:
            if surroundings.state.find_identity() is None:
                surroundings.onboard()(package)
            self.id = surroundings.state.get_identity().device_id
        except KilledError:
            return False
        except ShieldwallError as error:
            self.history.add("onboardingFailed", self.name, error.code)
            return False
        self.history.add("onboarded", self.name)
        return True

    def turn(self) -> float | None:
        """Check in as the agent would; return in how many seconds the next turn comes, ``None`` where it has left."""
        self.turns += 1
        try:
            loop = self._running()
            if self.chance.random() < self.network.faults.meddled and self._enrolled is not None:
                self._meddle(self._enrolled)
            wait = loop.take_turn()
        except KilledError:
            self.stop()
            self.history.add("killed", self.name)
            return AGAIN_AFTER_KILL
        except ShieldwallError as error:  # the disk was full before there was a check-in to fail
            self.stop()
            self.history.add("startFailed", self.name, error.code)
            return AGAIN_AFTER_KILL
        if loop.left:
            self.ended = True
            self.history.add("left", self.name)
            return None
        self.history.add("turn", self.name, loop.failures, f"{wait:.3f}")
        if self.listens and not loop.failures:
            self._listen()
        return wait

    def ask_for(self, path: str, ask: Callable[[Enrolled], object]) -> None:
        """Let the device ask something beside its check-in; a refusal is as good as an answer."""
        try:
            self._running()
            assert self._enrolled is not None
            ask(self._enrolled)
        except KilledError:
            self.stop()
        except ShieldwallError as error:
            self.history.add("refused", self.name, path, error.code)

    def stop(self) -> None:
        """End the agent's process, as a reboot does: what it knew is on the disk, or gone."""
        self._loop = self._enrolled = None

    def reboot(self) -> None:
        """Start the machine anew."""
        self.stop()
        self.machine.reboot()
        self.history.add("rebooted", self.name)

    def snapshot(self) -> Snapshot:
        """Keep the machine as it is now."""
        names = ("authority", "device", "version", "target", "wanted", "now", "left")
        kept = {name: getattr(self.applier, name) for name in names}
        return Snapshot(files=dict(self.disk.files), applier=kept)

    def go_back(self, snapshot: Snapshot) -> None:
        """Become what the machine was."""
        self.stop()
        self.disk.files = dict(snapshot.files)
        for name, value in snapshot.applier.items():
            setattr(self.applier, name, value)

    def _running(self) -> Loop:
        if self._loop is None:
            surroundings = self.surroundings
            self._enrolled = enrolled = surroundings.enrolled()
            if self.id is None:
                raise NotOnboardedError(f"{self.name} is not onboarded.")
            self._loop = Loop(
                check_in=enrolled.check_in,
                enforcement=enrolled.enforcement,
                policy_sync=enrolled.policy_sync,
                pause=_NeverWaits(),
                monotonic=self.clock.true.monotonic,
                chance=self.chance.random,
                journal=surroundings.journal,
                reassemble=surroundings.enrolled,
            )
            enrolled.enforcement.start()
        return self._loop

    def _meddle(self, enrolled: Enrolled) -> None:
        """Change a setting by hand; the agent finds it, puts it back, and notes that somebody did."""
        self.applier.meddle()
        enrolled.enforcement.refresh()
        enrolled.enforcement.guard.attempts.note("settingChanged", f"meddled {self.turns}")
        self.history.add("meddled", self.name)

    def _listen(self) -> None:
        try:
            assert self._enrolled is not None
            self._enrolled.policy_sync.wait(300)
        except KilledError:
            self.stop()
        except ShieldwallError as error:
            self.history.add("notHeard", self.name, error.code)

    def _may_fail(self) -> None:
        drawn = self.chance.random()
        faults = self.network.faults
        if drawn < faults.killed:
            raise KilledError
        if drawn < faults.killed + faults.disk_full:
            raise DiskFullError("No space left on the simulated disk.")
