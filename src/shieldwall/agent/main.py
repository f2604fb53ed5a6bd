"""The agent's composition root, and the program that runs all the time: ``python -m shieldwall.agent.main ROOT STATE``.

Here, and nowhere else in the agent, are the adapters chosen: this machine, its disk, the real network, the real clock.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, TextIO

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.tpm import Tpm
from shieldwall.agent.host.tpm_device import TPM_DEVICE, has_tpm
from shieldwall.agent.providers.base import Provider
from shieldwall.agent.providers.registry import linux_providers
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.awaiting import AwaitIdentity
from shieldwall.agent.service.device_keys import OpenTpm
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.agent.service.journal import Journal
from shieldwall.agent.service.lock import StateLock
from shieldwall.agent.service.loop import Loop
from shieldwall.agent.service.machine import LocalMachine
from shieldwall.agent.service.records import Server
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.transport import HttpsTransport, tls_context
from shieldwall.agent.service.waiting import Pause, SignalPause, Wake
from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog
from shieldwall.contract.errors import ShieldwallError

DEFAULT_ROOT: Final = Path("/")
PLATFORM: Final = "linux"
"""The platform of the policies that this agent enforces."""
DEFAULT_STATE: Final = Path("/var/lib/shieldwall-agent")


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """See ``Clock.now``."""
        return datetime.now(UTC)  # noqa: TID251 - this is the edge where time comes in


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAgent:
    """The agent on this machine."""

    host: LocalHost
    providers: Sequence[Provider]
    catalog: Catalog
    surroundings: Surroundings
    lock: StateLock


def local_agent(root: Path, directory: Path, out: TextIO) -> LocalAgent:
    """Put the agent together for the system under ``root``, with its state in ``directory``.

    Raises:
        ShieldwallError: The catalog that ships with the agent is broken.
    """
    clock = SystemClock()
    host = LocalHost(root)
    catalog = load(platform=PLATFORM)
    providers = linux_providers(catalog)
    state = AgentState(directory=directory, disk=LocalDisk(), open_tpm=_tpm(host))
    surroundings = Surroundings(
        state=state,
        open_transport=_network,
        machine=LocalMachine(host=host, providers=providers, catalog_version=catalog.version),
        enforcer=Applier(
            host=host,
            store=Store(directory / "applier"),
            providers=providers,
            catalog=catalog,
            platform=PLATFORM,
            clock=clock,
        ),
        clock=clock,
        randomness=os.urandom,
        journal=Journal(out=out, clock=clock),
        own_files=own_files(root),
    )
    lock = StateLock(directory=directory, monotonic=time.monotonic, sleep=time.sleep)
    return LocalAgent(host=host, providers=providers, catalog=catalog, surroundings=surroundings, lock=lock)


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
        if not _has_identity(agent, pause):
            return
        enrolled = agent.surroundings.enrolled()
        Loop(
            check_in=enrolled.check_in,
            enforcement=enrolled.enforcement,
            policy_sync=enrolled.policy_sync,
            pause=pause,
            monotonic=time.monotonic,
            chance=_chance,
            journal=agent.surroundings.journal,
            reassemble=agent.surroundings.enrolled,
        ).run()


def _has_identity(agent: LocalAgent, pause: Pause) -> bool:
    """Finish a promotion that was cut short, or wait to be let in; false where somebody broke the waiting off."""
    surroundings = agent.surroundings
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
    """Run the agent; returns the exit code."""
    root, directory = (Path(argument) for argument in arguments)
    out = sys.stderr
    try:
        run(local_agent(root, directory, out))
    except ShieldwallError as error:
        Journal(out=out, clock=SystemClock()).trouble("cannotRun", error)
        return exit_code(error)
    return 0


def _network(server: Server) -> HttpsTransport:
    return HttpsTransport(context=tls_context(server.tls_roots), monotonic=time.monotonic, proxy=server.proxy)


def _tpm(host: LocalHost) -> OpenTpm | None:
    path = host.locate(TPM_DEVICE)
    return partial(Tpm, path) if has_tpm(path) else None


def _chance() -> float:
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
