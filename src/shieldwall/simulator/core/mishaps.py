"""What goes wrong with whole machines and the server, and what administrators do meanwhile, at random times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.manager import clone_watch
from shieldwall.simulator.chance import Chance
from shieldwall.simulator.core.administration import SITES
from shieldwall.simulator.core.device import SimulatedDevice
from shieldwall.simulator.core.fleet import Fleet
from shieldwall.simulator.core.history import History
from shieldwall.simulator.core.server import SimulatedServer
from shieldwall.simulator.core.virtual_time import DAY, HOUR, Agenda
from shieldwall.simulator.core.watch import CLONES_FOUND, LEFT, InvariantBrokenError

_SWEEPS: Final = 4
"""So often the sweep comes for each change."""
CLONE_FOUND_SECONDS: Final = DAY
"""A device and its clone check in about thirty times in that."""


@dataclass(slots=True)
class Mishaps:
    """Lets things happen to a fleet until it is quiet."""

    fleet: Fleet
    server: SimulatedServer
    agenda: Agenda
    chance: Chance
    history: History

    def begin(self) -> None:
        """Put all of it down."""
        plan, devices = self.fleet.plan, self.fleet.plan.devices
        faults = plan.faults
        self._some_day(24 * plan.acts_an_hour, self.fleet.administration.act)
        self._some_day(24 * plan.acts_an_hour * _SWEEPS, self.fleet.administration.sweep)
        self._some_day(faults.server_restarts_per_day, self._restart_server)
        for per_day, act in (
            (faults.reboot_per_day, SimulatedDevice.reboot),
            (faults.clock_jump_per_day, self._jump),
            (faults.set_back_per_day, self._set_back),
            (faults.cloned_per_day, self._clone),
            (faults.moved_per_day, self._move),
            (faults.renamed_per_day, self._rename),
            (faults.told_to_leave_per_day, self._tell_to_leave),
        ):
            self._some_day(per_day * devices, lambda act=act: self._to_one(act))  # type: ignore[misc]

    def end(self) -> None:
        """End the clones that still run."""
        twins = [each for each in self.fleet.machines if each.twin_of is not None and not each.ended]
        for twin in twins:
            assert twin.twin_of is not None
            self._end_clone(twin.twin_of, twin)

    def look_at_those_who_left(self) -> None:
        """Everybody who was told to leave has left by now. Raises: InvariantBrokenError."""
        gone = self.fleet.administration.gone
        for machine in self.fleet.machines:
            if machine.id in gone and not machine.ended:
                raise InvariantBrokenError(LEFT, machine.name)

    def _some_day(self, per_day: float, act: Callable[[], None]) -> None:
        if per_day <= 0:
            return

        def again() -> None:
            if not self.fleet.quiet:
                act()
                later()

        def later() -> None:
            self.agenda.after(self.chance.expovariate(per_day / DAY), again)

        later()

    def _to_one(self, act: Callable[[SimulatedDevice], None]) -> None:
        device = self.chance.choice(self.fleet.machines)
        if self._is_alone(device):
            act(device)

    def _is_alone(self, device: SimulatedDevice) -> bool:
        return device.id is not None and not device.ended and device.id not in self.fleet.watch.cloned

    def _restart_server(self) -> None:
        self.history.add("serverRestarted")
        self.server.restart()

    def _jump(self, device: SimulatedDevice) -> None:
        device.clock.off_seconds = self.chance.uniform(-2, 2) * DAY
        self.history.add("clockJumped", device.name, round(device.clock.off_seconds))

    def _rename(self, device: SimulatedDevice) -> None:
        """Say from now on that the device stands elsewhere: other groups will have it."""
        told = device.machine.told
        name = f"{self.chance.choice(SITES)}-{told.display_name.partition('-')[2]}"
        device.machine.told = msgspec.structs.replace(told, display_name=name)
        self.history.add("renamed", device.name, name)

    def _tell_to_leave(self, device: SimulatedDevice) -> None:
        assert device.id is not None
        if device.id in self.fleet.administration.gone:
            return
        with self.server.database.write() as connection:
            order_to_leave(connection, self.server.acting, device.id)
        self.fleet.administration.gone.add(device.id)
        self.history.add("toldToLeave", device.name)

    def _set_back(self, device: SimulatedDevice) -> None:
        """Take a snapshot now, and go back to it some hours later."""
        snapshot = device.snapshot()

        def back() -> None:
            if self._is_alone(device) and not self.fleet.quiet and device.id not in self.fleet.administration.gone:
                device.go_back(snapshot)
                device.machine.reboot()
                self.history.add("setBack", device.name)
                self.fleet.turn(device)

        self.agenda.after(self.chance.uniform(1, 12) * HOUR, back)

    def _move(self, device: SimulatedDevice) -> None:
        """Put the disk into other hardware: not a clone, for the old machine is gone."""
        device.machine.serial = f"{device.machine.serial}'"
        device.reboot()

    def _clone(self, device: SimulatedDevice) -> None:
        """Copy the disk onto a second machine, and let both run until somebody has found out."""
        if device.id is None or device.id in self.fleet.administration.gone:
            return
        name = f"{device.name}-twin-{len(self.fleet.machines)}"
        twin = self.fleet.add(name, device.machine.twin(name), device.applier.broken)
        twin.id, twin.twin_of = device.id, device
        twin.go_back(device.snapshot())
        self.fleet.watch.cloned.add(device.id)
        self.history.add("cloned", device.name, name)
        self.fleet.turn(twin)
        self.agenda.after(CLONE_FOUND_SECONDS, lambda: self._look_for_clone(device, twin))

    def _look_for_clone(self, device: SimulatedDevice, twin: SimulatedDevice) -> None:
        if twin.ended:
            return
        if device.id not in self.fleet.watch.quarantines():
            raise InvariantBrokenError(CLONES_FOUND, f"{device.name} and {twin.name} run beside each other")
        self._end_clone(device, twin)

    def _end_clone(self, device: SimulatedDevice, twin: SimulatedDevice) -> None:
        """Make the second machine anew, and let the device out of quarantine."""
        twin.ended = True
        assert device.id is not None
        if device.id in self.fleet.watch.quarantines():
            with self.server.database.write() as connection:
                clone_watch.release(connection, self.server.acting, device.id)
        self.fleet.watch.cloned.discard(device.id)
        self.history.add("cloneEnded", device.name)
