"""The agent's composition root, and the program that runs all the time: ``python -m shieldwall.agent.main ROOT STATE``.

Here, and nowhere else in the agent, are the adapters chosen: this machine, its disk, the real network, the real clock.
What enforces is another process (``applier_main``) wherever that is installed; for a root of its own it is in this one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from msgspec import Struct

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.tpm import Tpm
from shieldwall.agent.host.tpm_device import TPM_DEVICE, has_tpm
from shieldwall.agent.journal import Journal
from shieldwall.agent.memory import Memory
from shieldwall.agent.places import applier_for
from shieldwall.agent.sandbox import agent_files, confine
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.awaiting import AwaitIdentity
from shieldwall.agent.service.broker_line import Line, OpenLine
from shieldwall.agent.service.device_keys import OpenTpm
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.enforcer import AskingEnforcer, Enforcer
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.agent.service.key_vaults import KeyVault
from shieldwall.agent.service.lock import StateLock
from shieldwall.agent.service.loop import Loop
from shieldwall.agent.service.machine import RemoteMachine
from shieldwall.agent.service.ports import Machine
from shieldwall.agent.service.records import Server
from shieldwall.agent.service.remote_applier import SocketApplier
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.transport import HttpsTransport, tls_context
from shieldwall.agent.service.waiting import Pause, SignalPause, Wake
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.messages import LineAnswer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from shieldwall.catalog.model import Catalog


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """See ``Clock.now``."""
        return datetime.now(UTC)  # noqa: TID251 - this is the edge where time comes in


class LocalAgent(Struct, frozen=True, kw_only=True):
    """The agent on this machine."""

    host: LocalHost
    surroundings: Surroundings
    lock: StateLock
    memory: Memory

    @property
    def catalog(self) -> Catalog:
        """The names of all settings, for whoever shows them; the running agent needs none."""
        from shieldwall.agent import platforms  # noqa: PLC0415 - megabytes that an agent without it lacks

        return platforms.catalog_of(platforms.THIS_PLATFORM)


def local_agent(root: Path, directory: Path, out: TextIO, *, applier: SocketApplier | None = None) -> LocalAgent:
    """Put the agent together for the system under ``root``, with its state in ``directory``.

    What enforces is asked over the socket given; without one it is part of this process, with its state beside ours.

    Raises:
        ShieldwallError: The catalog that ships with the agent is broken.
    """
    clock = SystemClock()
    host = LocalHost(root)
    journal = Journal(out=out, clock=clock)
    memory = Memory()
    enforcer, machine = _remote(applier) if applier is not None else _in_process(host, directory, clock)
    surroundings = Surroundings(
        state=AgentState(directory=directory, disk=LocalDisk(), open_tpm=_tpm(host), vault=_vault()),
        open_transport=partial(network, before_silence=memory.give_back),
        machine=machine,
        enforcer=enforcer,
        clock=clock,
        randomness=os.urandom,
        journal=journal,
        lines_to=broker_lines,
        own_files=own_files(root),
    )
    lock = StateLock(directory=directory, monotonic=time.monotonic, sleep=time.sleep)
    return LocalAgent(host=host, surroundings=surroundings, lock=lock, memory=memory)


def _remote(applier: SocketApplier) -> tuple[Enforcer, Machine]:
    enforcer = AskingEnforcer(ask=applier)
    return enforcer, RemoteMachine(enforcer=enforcer)


def _in_process(host: LocalHost, directory: Path, clock: SystemClock) -> tuple[Enforcer, Machine]:
    """Make an applier in this process. Whoever runs it is as mighty as it is, and asks as root does."""
    from shieldwall.agent.applier.assembly import local_applier  # noqa: PLC0415 - as the catalog
    from shieldwall.agent.applier.grounds import ground_of_this_system  # noqa: PLC0415 - as the catalog
    from shieldwall.agent.applier.ports import Asker  # noqa: PLC0415 - as the catalog

    applier = local_applier(
        host, directory / "applier", clock=clock, say=_say_nothing, ground=ground_of_this_system(host, clock)
    )
    ask = partial(applier.desk, asker=Asker(uid=0))
    return AskingEnforcer(ask=ask, begin=applier.warden.start, obeys_at_once=True), applier.machine


def _say_nothing(_event: str, **_facts: object) -> None:
    """Keep an applier in our own process quiet: what it would say, the agent's report and log say."""


def broker_lines(server: Server) -> OpenLine:
    """Open lines to the message broker of a server, which has a certificate of the authorities that the server has."""

    def open_line(offered: LineAnswer, key: Ed25519PrivateKey) -> Line:
        from shieldwall.agent.service.nats_line import NatsLine  # noqa: PLC0415 - megabytes where there is no broker

        return NatsLine(offered, key, tls_context(server.tls_roots))

    return open_line


def own_files(root: Path) -> tuple[Path, ...]:
    """List what runs as the agent: its program, its code, its unit."""
    units = (root / place / "systemd/system/shieldwall-agent.service" for place in ("etc", "usr/lib", "lib"))
    return (Path(sys.executable), Path(__file__), *units)


def run(agent: LocalAgent) -> None:
    """Check in and enforce until asked to stop.

    Raises:
        NotOnboardedError: There is no identity to check in with.
        AgentBusyError: Another agent runs in the same state directory.
    """
    with SignalPause() as pause, agent.lock.held(running=True):
        work(agent.surroundings, pause, before_rest=agent.memory.give_back)


def work(surroundings: Surroundings, pause: Pause, *, before_rest: Callable[[], None] = lambda: None) -> None:
    """Check in and enforce until the pause says to stop. Raises: NotOnboardedError."""
    if not _has_identity(surroundings, pause):
        return
    enrolled = surroundings.enrolled()
    Loop(
        check_in=enrolled.check_in,
        enforcement=enrolled.enforcement,
        policy_sync=enrolled.policy_sync,
        pause=pause,
        monotonic=time.monotonic,
        chance=_chance,
        journal=surroundings.journal,
        reassemble=surroundings.enrolled,
        telling=enrolled.telling,
        before_rest=before_rest,
    ).run()


def _has_identity(surroundings: Surroundings, pause: Pause) -> bool:
    """Finish a promotion that was cut short, or wait to be let in; false where somebody broke the waiting off."""
    surroundings.promote().finish()
    if surroundings.state.find_identity() is not None or surroundings.state.find_pending() is None:
        return True
    waiting = AwaitIdentity(
        onboard=surroundings.onboard(),
        rest=lambda seconds: pause.sleep(seconds) is not Wake.STOP,
        tell=lambda reason: surroundings.journal.trouble("notLetIn", reason),
        chance=_chance,
    )
    return waiting() is not None


def main(arguments: Sequence[str]) -> int:
    """Run the agent; returns the exit code. ROOT, STATE and, where it is not the usual one, the applier's socket."""
    root, directory, *socket = (Path(argument) for argument in arguments)
    out = sys.stderr
    try:
        path = socket[0] if socket else applier_for(root)
        if path is None:
            run(local_agent(root, directory, out))
        else:
            agent = local_agent(root, directory, out, applier=SocketApplier(path))
            _give_up_rights(agent, path)
            run(agent)
    except ShieldwallError as error:
        Journal(out=out, clock=SystemClock()).trouble("cannotRun", error)
        return exit_code(error)
    return 0


def _give_up_rights(agent: LocalAgent, applier: Path) -> None:
    """Confine this process to what a messenger needs, before it has read anything. Raises: ShieldwallError."""
    surroundings = agent.surroundings
    state = surroundings.state.directory
    files = surroundings.existing.own_files()
    version = confine(agent_files(state, runtime=applier.parent, own=files))
    surroundings.journal.say("confined", landlock=version)
    agent.memory.settle()


def network(server: Server, *, before_silence: Callable[[], None] = lambda: None) -> HttpsTransport:
    """Open the real network for a server; what is named is called before a long wait for its answer."""
    return HttpsTransport(
        context=tls_context(server.tls_roots),
        monotonic=time.monotonic,
        proxy=server.proxy,
        before_silence=before_silence,
    )


def _tpm(host: LocalHost) -> OpenTpm | None:
    path = host.locate(TPM_DEVICE)
    return partial(Tpm, path) if has_tpm(path) else None


def _vault() -> KeyVault | None:
    """Return where this system keeps keys; a service of Windows has its own, and nobody else reads them."""
    vault: KeyVault | None = None
    if sys.platform == "darwin":
        from shieldwall.agent.macos.vault import macos_vault  # noqa: PLC0415 - of no use elsewhere

        vault = macos_vault()
    return vault


def _chance() -> float:
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
