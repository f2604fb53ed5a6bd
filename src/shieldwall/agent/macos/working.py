"""The agent of a Mac: a user without rights, in a sandbox that leaves it the network and its own state.

``python -I -m shieldwall.agent.macos.working``, started by launchd as soon as the device is being onboarded.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TextIO

from msgspec import Struct

from shieldwall.agent.journal import Journal
from shieldwall.agent.macos.applying import SystemClock
from shieldwall.agent.macos.places import AGENT_JOB, AGENT_STATE, APPLIER_SOCKET, JOBS, job_file
from shieldwall.agent.macos.vault import macos_vault
from shieldwall.agent.main import broker_lines, network, work
from shieldwall.agent.service.assembly import OpenTransport, Surroundings
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.enforcer import AskingEnforcer
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.agent.service.key_vaults import KeyVault
from shieldwall.agent.service.lock import StateLock
from shieldwall.agent.service.machine import RemoteMachine
from shieldwall.agent.service.remote_applier import SocketApplier
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.waiting import Pause, SignalPause
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError


class MacosAgent(Struct, frozen=True, kw_only=True):
    """The agent with its state in a directory, asking the applier on a socket."""

    surroundings: Surroundings
    lock: StateLock
    ask: SocketApplier

    @classmethod
    def of(
        cls,
        directory: Path,
        socket: Path,
        *,
        clock: Clock,
        vault: KeyVault,
        out: TextIO,
        open_transport: OpenTransport = network,
    ) -> MacosAgent:
        """Put it together."""
        ask = SocketApplier(socket)
        enforcer = AskingEnforcer(ask=ask)
        surroundings = Surroundings(
            state=AgentState(directory=directory, disk=LocalDisk(), vault=vault),
            open_transport=open_transport,
            machine=RemoteMachine(enforcer=enforcer),
            enforcer=enforcer,
            clock=clock,
            randomness=os.urandom,
            journal=Journal(out=out, clock=clock),
            lines_to=broker_lines,
            own_files=(Path(sys.executable), Path(__file__), Path(job_file(JOBS, AGENT_JOB))),
        )
        return cls(
            surroundings=surroundings,
            lock=StateLock(directory=directory, monotonic=time.monotonic, sleep=time.sleep),
            ask=ask,
        )

    def run(self, pause: Pause) -> None:
        """Check in and enforce until the pause says to stop.

        Raises:
            NotOnboardedError: There is no identity to check in with.
            AgentBusyError: Another agent runs in the same state directory.
        """
        with closing(self.ask), self.lock.held(running=True):
            work(self.surroundings, pause)


def main() -> int:
    """Run the agent of this Mac; returns the exit code."""
    clock = SystemClock()
    try:
        agent = MacosAgent.of(AGENT_STATE, APPLIER_SOCKET, clock=clock, vault=macos_vault(), out=sys.stderr)
        with SignalPause() as pause:
            agent.run(pause)
    except ShieldwallError as error:
        Journal(out=sys.stderr, clock=clock).trouble("cannotRun", error)
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
