"""The applier of a Windows machine: what SYSTEM runs, put together from parts that are handed in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from shieldwall.agent.applier.assembly import local_applier
from shieldwall.agent.applier.chores import Chores
from shieldwall.agent.applier.grounds import windows_ground
from shieldwall.agent.applier.server import Server
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.registry.backend import RegistryBackend
from shieldwall.agent.host.running_system import ADMINISTRATOR
from shieldwall.agent.journal import Journal
from shieldwall.agent.providers.registry import Management
from shieldwall.agent.windows.door import PipeDoor, Pipes
from shieldwall.agent.windows.identities import AGENT_NUMBER
from shieldwall.agent.windows.own_services import WindowsServices
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError

APPLIER: Final = "applier"
"""How the engine knows this process."""


class WindowsApplier(Struct, kw_only=True):
    """Enforces what is believed, then serves until it is stopped."""

    host: Host
    registry: RegistryBackend
    management: Management
    state: Path
    pipes: Pipes
    clock: Clock
    journal: Journal
    monotonic: Callable[[], float]
    boot_id: Callable[[], str]
    uptime: Callable[[], float]
    is_going_down: bool = False
    """Whether Windows shuts down; the service's shell says so."""
    _server: Server | None = None

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until ``stop``; ``ready`` is called once the pipe is there. Raises: ShieldwallError."""
        services = WindowsServices(host=self.host, registry=self.registry, going_down=lambda: self.is_going_down)
        ground = windows_ground(self.host, self.management, boot_id=self.boot_id, uptime=self.uptime, services=services)
        applier = local_applier(self.host, self.state, clock=self.clock, say=self.journal.say, ground=ground)
        chores = Chores(warden=applier.warden, ask=applier.desk, monotonic=self.monotonic)
        door = PipeDoor(self.pipes, self.journal.say)
        server = Server(
            listener=door,
            answer=chores.answer,
            may_ask=frozenset({ADMINISTRATOR, AGENT_NUMBER}),
            monotonic=self.monotonic,
            say=self.journal.say,
            chores=chores,
            peer=door.peer,
        )
        self._server = server
        for begin in (lambda: applier.engine.note_start(APPLIER), chores.start):
            try:
                begin()
            except ShieldwallError as error:  # told, and tried again by the next look for drift
                self.journal.trouble("startFailed", error)
        door.open()
        ready()
        self.journal.say("ready")
        try:
            server.run()
        finally:
            door.close()
            with contextlib.suppress(ShieldwallError):
                applier.engine.note_stop(APPLIER)
        self.journal.say("stopped")

    def stop(self) -> None:
        """Ask it to stop; may be called by another thread."""
        if self._server is not None:
            self._server.stop()
