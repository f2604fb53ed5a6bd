"""The way to the server, one step after the other: name → connection → TLS → signed time."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shieldwall.agent.doctor.model import Check, Subject, error, ok, warning
from shieldwall.agent.service.records import Server
from shieldwall.agent.service.transport import parse_server_url, tls_context
from shieldwall.contract.errors import ShieldwallError

TIMEOUT_SECONDS: Final = 10.0
TOLERATED: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealNetwork:
    """Sockets of this machine."""

    timeout_seconds: float = TIMEOUT_SECONDS

    def resolve(self, host: str, port: int) -> Sequence[str]:
        """See ``Network.resolve``."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(str(address[0]) for *_, address in found))

    def connect(self, host: str, port: int) -> None:
        """See ``Network.connect``."""
        socket.create_connection((host, port), timeout=self.timeout_seconds).close()

    def handshake(self, host: str, port: int, roots: Sequence[str]) -> str:
        """See ``Network.handshake``."""
        with (
            socket.create_connection((host, port), timeout=self.timeout_seconds) as plain,
            tls_context(roots).wrap_socket(plain, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
            return f"{secured.version()}, certificate until {certificate.get('notAfter', 'unknown')}"


def way_to_server(subject: Subject) -> Iterable[Check]:
    """Go to every server of this device, step by step; the first step that fails ends the way."""
    identity = subject.surroundings.state.find_identity()
    if identity is None:
        return
    if identity.server.proxy is not None:
        yield ok("network.proxy", "The agent goes through a proxy.", identity.server.proxy)
        return
    for url in identity.server.urls:
        yield from _steps(subject, identity.server, url)


def clock(subject: Subject) -> Iterable[Check]:
    """Compare this machine's clock with the server's signed time; nothing is stored."""
    state = subject.surroundings.state
    if state.find_identity() is None:
        return
    try:
        offset = subject.surroundings.enrolled().check_in.ask_signed_time.measure()
    except ShieldwallError as failure:
        yield warning("clock", "Signed time could not be had.", evidence=failure.cause, remedy=failure.advice)
        return
    evidence = f"{offset.total_seconds():+.0f} s to the server"
    if abs(offset) > TOLERATED:
        yield warning(
            "clock",
            "The clock of this machine is off; the agent works with the server's signed time.",
            evidence=evidence,
            remedy="Set the clock, and keep it set by a time service.",
        )
    else:
        yield ok("clock", "The clock agrees with the server.", evidence)


def _steps(subject: Subject, server: Server, text: str) -> Iterable[Check]:
    url = parse_server_url(text)
    host, port = url.hostname or "", url.port or 443
    network = subject.network
    try:
        addresses = network.resolve(host, port)
    except OSError as failure:
        yield _failed("network.name", f"The name {host} is not known here", failure, "Check DNS on this device.")
        return
    yield ok("network.name", f"The name {host} is known.", ", ".join(addresses))
    try:
        network.connect(host, port)
    except OSError as failure:
        remedy = "Check that the server runs and that no firewall stands between."
        yield _failed("network.connection", f"No connection to port {port} of {host}", failure, remedy)
        return
    yield ok("network.connection", f"Port {port} of {host} answers.")
    try:
        spoken = network.handshake(host, port, server.tls_roots)
    except OSError as failure:
        broken = isinstance(failure, ssl.SSLCertVerificationError)
        remedy = (
            "Something else answers (a proxy that opens TLS?), or the server has a new authority: use a new package."
            if broken
            else "Check what stands between this device and the server."
        )
        yield _failed("network.tls", f"No trusted TLS with {host}", failure, remedy)
        return
    yield ok("network.tls", f"TLS with {host} is trusted.", spoken)


def _failed(check: str, finding: str, failure: OSError, remedy: str) -> Check:
    return error(check, f"{finding}.", evidence=str(failure), remedy=remedy)
