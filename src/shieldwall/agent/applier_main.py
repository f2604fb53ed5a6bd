"""The applier's composition root: root, without a network, the only one that changes this device.

``python -I -m shieldwall.agent.applier_main``. It starts before there is a network, enforces what it last believed, and
answers the agent over a Unix socket. Nothing here imports HTTP, TLS or the agent's network side.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from shieldwall.agent.applier.assembly import LocalApplier, local_applier
from shieldwall.agent.applier.chores import Chores
from shieldwall.agent.applier.grounds import ground_of_this_system
from shieldwall.agent.applier.server import BACKLOG, Server
from shieldwall.agent.applier.state import Stage
from shieldwall.agent.applier.transaction import Seen
from shieldwall.agent.applier.watching import DriftWatch
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.journal import Journal
from shieldwall.agent.memory import Memory
from shieldwall.agent.notifying import Manager, passed_listener
from shieldwall.agent.places import AGENT_USER, APPLIER_SOCKET, APPLIER_STATE
from shieldwall.agent.sandbox import refuse_new_privileges
from shieldwall.contract.errors import ShieldwallError

APPLIER: Final = "applier"
"""How the engine knows this process."""
_SOCKET_MODE: Final = 0o660
_WATCHING_ENDS_SECONDS: Final = 10.0


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """See ``Clock.now``."""
        return datetime.now(UTC)  # noqa: TID251 - this is the edge where time comes in


class Places(Struct, frozen=True, kw_only=True):
    """What is managed, where state is kept, where to listen, and for whom beside root."""

    root: Path
    state: Path
    socket: Path
    agent: int | None
    group: int


class NotStartedError(ShieldwallError):
    """The applier cannot listen, or another one does."""

    code = "applierNotStarted"
    remedy = "Look whether another shieldwall-applier runs, and whether its runtime directory is there."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the applier until it is asked to stop; returns the exit code."""
    places = _places(sys.argv[1:] if arguments is None else arguments)
    journal = Journal(out=sys.stderr, clock=SystemClock())
    try:
        refuse_new_privileges()
        run(places, journal)
    except ShieldwallError as error:
        journal.trouble("cannotRun", error)
        return 1
    return 0


def run(places: Places, journal: Journal) -> None:
    """Enforce what is believed, then serve. Raises: ShieldwallError: it cannot even start."""
    manager, memory = Manager.of(os.environ), Memory()
    listener = _listener(places)
    host = LocalHost(places.root)
    clock = SystemClock()
    ground = ground_of_this_system(host, clock)
    applier = local_applier(host, places.state, clock=clock, say=journal.say, ground=ground)
    chores = Chores(warden=applier.warden, ask=applier.desk, monotonic=time.monotonic)
    server = Server(
        listener=listener,
        answer=chores.answer,
        may_ask=frozenset({0} if places.agent is None else {0, places.agent}),
        monotonic=time.monotonic,
        say=journal.say,
        chores=chores,
        beat=lambda: manager.tell("WATCHDOG=1"),
        before_rest=memory.give_back,
    )
    watch = DriftWatch(host=host, providers=applier.providers, look=_noticed(chores, server))
    chores.own_work = watch.own_work
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: server.stop())
    _start(applier, chores, journal)
    memory.settle()
    manager.tell("READY=1")
    journal.say("ready", socket=str(places.socket))
    watching = threading.Thread(target=watch.run, name="watching", daemon=True)
    watching.start()
    with listener:
        server.run()
    watch.stop()
    watching.join(_WATCHING_ENDS_SECONDS)
    manager.tell("STOPPING=1")
    with contextlib.suppress(ShieldwallError):
        applier.engine.note_stop(APPLIER)
    journal.say("stopped")


def _start(applier: LocalApplier, chores: Chores, journal: Journal) -> None:
    """Enforce what is on the shelf. What fails is told, and tried again by the next look for drift."""
    try:  # before anything is enforced: policies that crash us while they are applied are counted as well
        stage = applier.engine.note_start(APPLIER)
        if stage is not Stage.NORMAL:
            journal.say("heldBackAfterCrashes", stage=stage.value)
    except ShieldwallError as error:
        journal.trouble("startNotNoted", error)
    try:
        chores.start()
    except ShieldwallError as error:
        journal.trouble("startFailed", error)


def _noticed(chores: Chores, server: Server) -> Callable[[Seen], None]:
    def look(seen: Seen) -> None:
        chores.notice(seen)
        server.hurry()

    return look


def _listener(places: Places) -> socket.socket:
    passed = passed_listener(os.environ, os.getpid())
    if passed is not None:
        return passed
    if _somebody_listens(places.socket):
        raise NotStartedError(f"Another applier listens on {places.socket}.")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        places.socket.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        places.socket.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listener.bind(str(places.socket))
        finally:
            os.umask(before)
        if os.geteuid() == 0:
            os.chown(places.socket, 0, places.group)
        places.socket.chmod(_SOCKET_MODE)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise NotStartedError(f"{places.socket} cannot be listened on: {error.strerror or error}.") from error
    return listener


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(5)
        try:
            asking.connect(str(path))
        except OSError:
            return False
        return True


def _places(arguments: Sequence[str]) -> Places:
    if not arguments:  # as the service is started
        agent, group = _user(AGENT_USER)
        return Places(root=Path("/"), state=APPLIER_STATE, socket=APPLIER_SOCKET, agent=agent, group=group)
    import argparse  # noqa: PLC0415 - half a megabyte; the service is started without words

    parser = argparse.ArgumentParser(prog="shieldwall-applier", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"), help="root of the managed file system")
    parser.add_argument("--state", type=Path, default=APPLIER_STATE, help="the applier's own files")
    parser.add_argument("--socket", type=Path, default=APPLIER_SOCKET, help="where to listen")
    parser.add_argument("--agent-user", default=AGENT_USER, help="who may ask beside root: a name or a number")
    said = parser.parse_args(list(arguments))
    agent, group = _user(said.agent_user)
    return Places(root=said.root, state=said.state, socket=said.socket, agent=agent, group=group)


def _user(name: str) -> tuple[int | None, int]:
    """Find the agent's user and group by name or number; without such a user, root alone may ask."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        return (int(name), int(name)) if name.isdecimal() else (None, 0)
    with contextlib.suppress(KeyError):
        return entry.pw_uid, grp.getgrnam(name).gr_gid
    return entry.pw_uid, entry.pw_gid


if __name__ == "__main__":
    sys.exit(main())
