"""One server in a data directory: a lock holds each of its roles while it runs, and its ports are free before."""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.configuration.roles import DEFAULT, Role
from shieldwall.server.configuration.settings import ServerSettings


class AlreadyRunningError(ShieldwallError):
    """Another server runs with the same data directory."""

    code = "alreadyRunning"
    remedy = "End the other one first. In one data directory each role runs once, a gateway once for each port."


class PortTakenError(ShieldwallError):
    """Another program listens where the server should."""

    code = "portTaken"
    remedy = "End the other program, or set other ports in server.json."


@contextmanager
def sole_server(settings: ServerSettings, roles: Collection[Role] = DEFAULT) -> Iterator[None]:
    """Hold each role in the data directory for one server, and see that its ports are free.

    A gateway is held by its port: one machine may run several. All others are there once.

    Raises:
        AlreadyRunningError: Somebody else holds one of them.
        PortTakenError: A port is in use.
    """
    settings.run.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as held:
        # Shared: a server from before there were roles holds this one alone.
        held.enter_context(_locked(settings, "server", fcntl.LOCK_SH))
        for role in roles:
            name = f"role-{role}-{settings.gateway_port}" if role is Role.GATEWAY else f"role-{role}"
            held.enter_context(_locked(settings, name, fcntl.LOCK_EX))
        if {Role.ADMIN, Role.GATEWAY} <= set(roles) and settings.public_port == settings.gateway_port:
            raise PortTakenError(f"Port {settings.public_port} cannot be that of administrators and of devices.")
        for role, port in ((Role.ADMIN, settings.public_port), (Role.GATEWAY, settings.gateway_port)):
            if role in roles:
                _check_free(settings.listen, port)
        yield


@contextmanager
def _locked(settings: ServerSettings, name: str, kind: int) -> Iterator[None]:
    with (settings.run / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(f"A server ({name}) already runs with the data in {settings.data}.") from None
        yield


def _check_free(address: str, port: int) -> None:
    # Granian shares its port with whoever else asks to share it, so two servers would each get half of the requests.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise PortTakenError(f"Port {port} of {address} cannot be used: {error.strerror}.") from None
