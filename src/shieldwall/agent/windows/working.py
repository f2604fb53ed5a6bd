"""The agent of a Windows machine: errands of administrators first, then check-ins, until it is told to stop."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.journal import Journal
from shieldwall.agent.main import broker_lines, network, work
from shieldwall.agent.places import APPLIER_SOCKET
from shieldwall.agent.platforms import PACKAGE_WORDS, WINDOWS
from shieldwall.agent.service.asked_pause import AskedPause
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.enforcer import AskingEnforcer
from shieldwall.agent.service.errands import DIRECTORY, Errands, RunErrands
from shieldwall.agent.service.key_vaults import KeyVault
from shieldwall.agent.service.lock import StateLock
from shieldwall.agent.service.machine import RemoteMachine
from shieldwall.agent.service.remote_applier import SocketApplier
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.waiting import Wake
from shieldwall.agent.windows.vault import WindowsVault
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError

_ERRAND_SECONDS: Final = 5.0
"""So often errands are looked for while nobody is onboarded and nobody says a word."""


class ErrandPause(AskedPause, kw_only=True):
    """A pause that does errands whenever somebody asks for a check-in; one that ends management ends the work."""

    run: Callable[[], frozenset[str]]

    def sleep(self, seconds: float) -> Wake:
        """See ``Pause.sleep``."""
        return self._after(super().sleep(seconds))

    def during(self, work: Callable[[], Wake]) -> Wake:
        """See ``Pause.during``."""
        return self._after(super().during(work))

    def _after(self, wake: Wake) -> Wake:
        if wake is Wake.SYNC and "offboard" in self.run():
            self.ask(Wake.SYNC)  # whoever waits for a device that is onboarded looks again
            return Wake.STOP
        return wake


@dataclass(slots=True, kw_only=True)
class WindowsAgent:
    """Runs from the start of its service to its end, whether the device is onboarded or not."""

    surroundings: Surroundings
    lock: StateLock
    journal: Journal
    pause: ErrandPause = field(init=False)
    _stopped: bool = False

    def __post_init__(self) -> None:
        """Find the errands."""
        state = self.surroundings.state
        self.pause = ErrandPause(
            run=RunErrands(
                errands=Errands(directory=state.directory / DIRECTORY, disk=state.disk),
                surroundings=lambda: self.surroundings,
                platform=PACKAGE_WORDS[WINDOWS],
            )
        )

    @classmethod
    def on_this_machine(cls, directory: Path, journal: Journal, clock: Clock) -> WindowsAgent:
        """Put it together for this machine. Raises: ShieldwallError."""
        enforcer = AskingEnforcer(ask=SocketApplier(APPLIER_SOCKET))
        surroundings = Surroundings(
            state=AgentState(directory=directory, disk=LocalDisk(), vault=_vault()),
            open_transport=network,
            machine=RemoteMachine(enforcer=enforcer),
            enforcer=enforcer,
            clock=clock,
            randomness=os.urandom,
            journal=journal,
            lines_to=broker_lines,
            own_files=(Path(sys.executable), Path(__file__)),
        )
        lock = StateLock(directory=directory, monotonic=time.monotonic, sleep=time.sleep)
        return cls(surroundings=surroundings, lock=lock, journal=journal)

    def run(self) -> None:
        """Work until ``stop``."""
        with self.lock.held(running=True):
            while not self._stopped:
                self._once()

    def stop(self) -> None:
        """Ask it to stop; may be called by another thread."""
        self._stopped = True
        self.pause.ask(Wake.STOP)

    def _once(self) -> None:
        state = self.surroundings.state
        try:
            self.pause.run()
            if state.find_identity() is not None or state.find_pending() is not None:
                work(self.surroundings, self.pause)
                return
        except ShieldwallError as error:
            self.journal.trouble("cannotRun", error)
        self.pause.sleep(_ERRAND_SECONDS)


def _vault() -> KeyVault:
    if sys.platform == "win32":
        from shieldwall.agent.windows.cng_edge import TpmKeys  # noqa: PLC0415 - for Windows alone
        from shieldwall.agent.windows.system_edge import Dpapi  # noqa: PLC0415 - as above

        return WindowsVault(keys=TpmKeys(), seal=Dpapi(), randomness=os.urandom)
    raise HostError("This is not Windows.")
