"""The applier of a Mac: root, kept from the network by its sandbox, the only one that changes this device.

``python -I -m shieldwall.agent.macos.applying``, started by launchd. It enforces what it last believed and answers the
agent over a Unix socket. There are no notices of changed files as on Linux; drift is found by looking every minute.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from shieldwall.agent.applier.assembly import local_applier
from shieldwall.agent.applier.chores import Chores
from shieldwall.agent.applier.grounds import macos_ground
from shieldwall.agent.applier.server import BACKLOG, Server
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.macos.looking import MacosLooking
from shieldwall.agent.host.ports import Host
from shieldwall.agent.journal import Journal
from shieldwall.agent.macos.own_services import MacosServices
from shieldwall.agent.macos.places import AGENT_USER, APPLIER_SOCKET, APPLIER_STATE
from shieldwall.agent.providers.macos import guarded
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError

APPLIER: Final = "applier"
"""How the engine knows this process."""
_MODE: Final = 0o660


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """See ``Clock.now``."""
        return datetime.now(UTC)  # noqa: TID251 - this is the edge where time comes in


class MacosApplier(Struct, kw_only=True):
    """Enforces what is believed, then serves until it is stopped. ``agent`` is the user who may ask beside root."""

    host: Host
    state: Path
    socket: Path
    agent: int | None
    clock: Clock
    journal: Journal
    monotonic: Callable[[], float]
    _server: Server | None = None

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until ``stop``; ``ready`` is called once the socket is there. Raises: ShieldwallError."""
        host = guarded(self.host)
        ground = macos_ground(MacosLooking(host), MacosServices(host))
        applier = local_applier(host, self.state, clock=self.clock, say=self.journal.say, ground=ground)
        chores = Chores(warden=applier.warden, ask=applier.desk, monotonic=self.monotonic)
        with listening(self.socket, self.agent) as listener:
            self._server = server = Server(
                listener=listener,
                answer=chores.answer,
                may_ask=frozenset({0} if self.agent is None else {0, self.agent}),
                monotonic=self.monotonic,
                say=self.journal.say,
                chores=chores,
            )
            for begin in (lambda: applier.engine.note_start(APPLIER), chores.start):
                try:
                    begin()
                except ShieldwallError as error:  # told, and tried again by the next look for drift
                    self.journal.trouble("startFailed", error)
            ready()
            self.journal.say("ready", socket=str(self.socket))
            server.run()
        with contextlib.suppress(ShieldwallError):
            applier.engine.note_stop(APPLIER)
        self.journal.say("stopped")

    def stop(self) -> None:
        """Ask it to stop; may be called by another thread, or from a signal handler."""
        if self._server is not None:
            self._server.stop()


def listening(path: Path, group: int | None) -> socket.socket:
    """Listen on a Unix socket that root and one group may open. Raises: HostError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.parent.chmod(0o755)
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        if group is not None and os.geteuid() == 0:
            os.chown(path, 0, group)
        path.chmod(_MODE)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise HostError(f"{path} cannot be listened on: {error.strerror or error}.") from error
    finally:
        os.umask(before)
    return listener


def main() -> int:
    """Run the applier of this Mac until it is asked to stop; returns the exit code."""
    clock = SystemClock()
    journal = Journal(out=sys.stderr, clock=clock)
    applier = MacosApplier(
        host=LocalHost(Path("/")),
        state=APPLIER_STATE,
        socket=APPLIER_SOCKET,
        agent=user(AGENT_USER),
        clock=clock,
        journal=journal,
        monotonic=time.monotonic,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: applier.stop())
    try:
        applier.run()
    except ShieldwallError as error:
        journal.trouble("cannotRun", error)
        return 1
    return 0


def user(name: str) -> int | None:
    """Return a user's number, which is that of their group as well; ``None`` where there is no such user."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


if __name__ == "__main__":
    sys.exit(main())
