"""The devices of a simulation: how they come, when they check in, and how a machine is put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from shieldwall.agent.service.assembly import Enrolled
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import DeviceFacts, FetchAnswer, FetchRequest, Manifest
from shieldwall.simulator.chance import Chance, chance_of
from shieldwall.simulator.core.administration import BROKEN, ROLES, SITES, Administration
from shieldwall.simulator.core.applier import MemoryApplier
from shieldwall.simulator.core.breakage import BreakableCommits
from shieldwall.simulator.core.device import SimulatedDevice
from shieldwall.simulator.core.faults import NONE
from shieldwall.simulator.core.history import History
from shieldwall.simulator.core.memory import MemoryMachine
from shieldwall.simulator.core.network import FaultyNetwork
from shieldwall.simulator.core.plan import Plan
from shieldwall.simulator.core.virtual_time import HOUR, Agenda, DeviceTime, VirtualTime
from shieldwall.simulator.core.watch import FETCH, Watch
from shieldwall.trust.onboarding import OnboardingPackage

_LISTENING: Final = 0.2
"""So many devices hold a line open on which they are told to check in."""
_BROKEN: Final = 0.05
"""On so many a setting cannot be written."""
_ASLEEP: Final = 0.8
_NIGHT: Final = range(19, 24)
_ONBOARD_AGAIN_SECONDS: Final = 60.0
LAPTOP: Final = ROLES[0]


@dataclass(slots=True)
class Fleet:
    """All machines there are."""

    plan: Plan
    time: VirtualTime
    agenda: Agenda
    administration: Administration
    watch: Watch
    history: History
    chance: Chance
    commits: BreakableCommits
    machines: list[SimulatedDevice] = field(default_factory=list)
    quiet: bool = False
    """Whether nothing goes wrong any more."""

    def come(self, package: OnboardingPackage) -> None:
        """Let every device of the plan come within the first hour."""
        for number in range(self.plan.devices):
            name = f"{SITES[number % len(SITES)]}-{ROLES[number % len(ROLES)]}-{number}"
            self._come_later(self._new(name), package, self.chance.uniform(0, HOUR))

    def turn(self, device: SimulatedDevice) -> None:
        """Let a device check in, unless it sleeps, and put down when it does so next."""
        if device.ended:
            return
        if self._sleeps(device):
            self.plan_turn(device, device.chance.uniform(1, 3) * HOUR)
            return
        faults = NONE if self.quiet else self.plan.faults
        with self.commits.breaking(self.watch.server.database, faults.server_commit_fails):
            wait = device.turn()
            if wait is not None and device.chance.random() < faults.curious:
                self._be_curious(device)
        if wait is not None:
            self.plan_turn(device, wait)

    def plan_turn(self, device: SimulatedDevice, seconds: float) -> None:
        """Put down the next turn of a device, in the place of any that was put down before."""
        device.planned += 1
        number = device.planned

        def come() -> None:
            if device.planned == number:
                self.turn(device)

        self.agenda.after(seconds, come)

    def wake_for_sync(self, asked: frozenset[DeviceId]) -> None:
        """Let those come that hold a line open and were asked to."""
        for device in self.machines:
            if device.listens and device.id in asked and not device.ended and not self._sleeps(device):
                self.plan_turn(device, self.chance.uniform(0.5, 5.0))

    def calm_down(self) -> None:
        """Let nothing go wrong from here on; whoever sleeps wakes up."""
        self.quiet = True
        self.history.add("quiet")
        for machine in self.machines:
            machine.network.faults = NONE
            if machine.id is not None and LAPTOP in machine.name:
                self.plan_turn(machine, self.chance.uniform(0, 60))

    def add(self, name: str, machine: MemoryMachine, broken: frozenset[str]) -> SimulatedDevice:
        """Put a machine together that has nothing on its disk yet."""
        chance = chance_of(self.plan.seed, f"device {name}")
        clock = DeviceTime(self.time)
        network = FaultyNetwork(
            name=name,
            watch=self.watch,
            agenda=self.agenda,
            chance=chance,
            history=self.history,
            faults=self.plan.faults,
            caller=lambda: device.id,
        )
        highest = 0

        def took(manifest: Manifest, before: int) -> None:
            nonlocal highest
            last = min(highest, before)  # a machine that was set back knows no better
            self.watch.took(manifest.device_id, last, manifest)
            highest = manifest.manifest_version

        applier = MemoryApplier(clock=clock, nonce=lambda: chance.randbytes(16).hex(), took=took, broken=broken)
        device = SimulatedDevice(
            name=name,
            machine=machine,
            applier=applier,
            clock=clock,
            network=network,
            chance=chance,
            history=self.history,
            listens=chance.random() < _LISTENING,
        )
        self.machines.append(device)
        return device

    def _new(self, name: str) -> SimulatedDevice:
        chance = chance_of(self.plan.seed, f"machine {name}")
        facts = DeviceFacts(
            display_name=name,
            os_type="Linux",
            os_version=chance.choice(("Debian 12", "Debian 13", "Ubuntu 24.04")),
            providers={"simulated": "1"},
        )
        machine = MemoryMachine(time=self.time, serial=name, told=facts, up_since=self.time.seconds)
        return self.add(name, machine, BROKEN if chance.random() < _BROKEN else frozenset())

    def _come_later(self, device: SimulatedDevice, package: OnboardingPackage, seconds: float) -> None:
        def come() -> None:
            if not device.onboard(package):
                self._come_later(device, package, _ONBOARD_AGAIN_SECONDS)
                return
            assert device.id is not None
            self.administration.names[device.id] = device.machine.told.display_name
            self.turn(device)

        self.agenda.after(seconds, come)

    def _sleeps(self, device: SimulatedDevice) -> bool:
        if self.quiet or LAPTOP not in device.name or self.time.now().hour not in _NIGHT:
            return False
        return device.chance.random() < _ASLEEP

    def _be_curious(self, device: SimulatedDevice) -> None:
        """Let a device ask for a policy that is not its own."""
        assert device.id is not None
        if (foreign := self.administration.foreign(device.id)) is None:
            return

        def ask(_enrolled: Enrolled) -> None:
            surroundings = device.surroundings
            sequence = surroundings.state.next_sequence()
            request = FetchRequest(seq=sequence.seq, epoch=sequence.epoch, digests=(foreign,))
            identity, key = surroundings.state.get_identity(), surroundings.state.get_key()
            surroundings.connect(identity.server, key).ask(FETCH, request, FetchAnswer)

        device.ask_for("fetch", ask)
