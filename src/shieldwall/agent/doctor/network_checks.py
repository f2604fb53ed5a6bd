"""The way to the server, one step after the other: proxy, name → connection → TLS → the gateway's own answer."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from msgspec import Struct

from shieldwall.agent.doctor.model import Check, Subject, error, ok, warning
from shieldwall.agent.service.errors import GatewayUnreachableError, NotTheGatewayError
from shieldwall.agent.service.records import Server
from shieldwall.agent.service.transport import parse_proxy_url, parse_server_url, tls_context
from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.contract.enrollment_errors import code_of_error
from shieldwall.contract.errors import ShieldwallError

TIMEOUT_SECONDS: Final = 5.0
TOLERATED: Final = timedelta(seconds=60)
_FAR: Final = (("IPv4", socket.AF_INET, "192.0.2.1"), ("IPv6", socket.AF_INET6, "2001:db8::1"))
"""Addresses that nobody has (RFC 5737, RFC 3849): a socket is pointed there, and no packet sent."""


class RealNetwork(Struct, frozen=True, kw_only=True):
    """Sockets of this machine."""

    timeout_seconds: float = TIMEOUT_SECONDS

    def families(self) -> frozenset[str]:
        """See ``Network.families``."""
        found = set()
        for name, family, address in _FAR:
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as asking:
                    asking.connect((address, 9))
                    found.add(name)
            except OSError:
                continue  # no route, or no such family at all
        return frozenset(found)

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

    def issuer(self, host: str, port: int) -> str:
        """See ``Network.issuer``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # nothing is said over it: who stands there is to be told
        with (
            socket.create_connection((host, port), timeout=self.timeout_seconds) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
        try:
            return "nobody" if shown is None else x509.load_der_x509_certificate(shown).issuer.rfc4514_string()
        except ValueError as failure:
            raise OSError(f"the certificate cannot be read: {failure}") from failure


def way_to_server(subject: Subject) -> Iterable[Check]:
    """Go to every server of this device, step by step; the first step that fails ends the way."""
    identity = subject.surroundings.state.find_identity()
    if identity is None:
        return
    if identity.server.proxy is not None:
        yield from _proxy(subject, identity.server.proxy)
        return
    for url in identity.server.urls:
        yield from _steps(subject, identity.server, url)


def answer_and_clock(subject: Subject) -> Iterable[Check]:
    """Ask the server for its signed time: whether it is the gateway that answers, and how far our clock is off."""
    if subject.surroundings.state.find_identity() is None:
        return
    try:
        offset = subject.surroundings.enrolled().check_in.ask_signed_time.measure()
    except ShieldwallError as failure:
        yield _no_answer(failure)
        return
    yield ok("network.answer", "The gateway answers, and its answer is signed by the tenant's keys.")
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


def _no_answer(failure: ShieldwallError) -> Check:
    match failure:
        case NotTheGatewayError():
            finding = "Something that is not the server answers in its place: a captive portal, or a proxy."
        case GatewayUnreachableError():
            finding = "No answer of the server comes back."
        case _:
            finding = "What answers for the server cannot be believed."
    status = code_of_error(failure.code)
    return error(
        "network.answer",
        f"{finding} Enrollment status {int(status)}.",
        evidence=failure.cause,
        remedy=failure.advice,
    )


def _proxy(subject: Subject, text: str) -> Iterable[Check]:
    url = parse_proxy_url(text)
    host, port = url.hostname or "", url.port or 3128
    try:
        subject.network.connect(host, port)
    except OSError as failure:
        remedy = "Check that the proxy runs; to use another one, or none, onboard this device again."
        finding = "The proxy through which the agent goes cannot be reached"
        yield _failed("network.proxy", finding, f"{host}:{port}: {failure}", remedy, EnrollmentCode.PROXY)
        return
    yield ok("network.proxy", "The agent goes through a proxy, which answers.", f"{host}:{port}")


def _steps(subject: Subject, server: Server, text: str) -> Iterable[Check]:
    url = parse_server_url(text)
    host, port = url.hostname or "", url.port or 443
    network = subject.network
    try:
        addresses = network.resolve(host, port)
    except OSError as failure:
        yield _no_name(host, failure)
        return
    yield ok("network.name", f"The name {host} is known.", ", ".join(addresses))
    try:
        network.connect(host, port)
    except OSError as failure:
        yield _no_connection(network.families(), host, port, addresses, failure)
        return
    yield ok("network.connection", f"Port {port} of {host} answers.")
    try:
        spoken = network.handshake(host, port, server.tls_roots)
    except OSError as failure:
        yield _no_tls(subject, host, port, failure)
        return
    pinned = len(server.tls_roots)
    by = f"by {pinned} authorities of the package alone" if pinned else "by the authorities of the system"
    yield ok("network.tls", f"TLS with {host} is trusted.", f"{spoken}; {by}")


def _no_name(host: str, failure: OSError) -> Check:
    if isinstance(failure, socket.gaierror) and failure.errno == socket.EAI_AGAIN:
        return _failed(
            "network.name",
            f"No name server answers, so the name {host} stays unknown",
            str(failure),
            "Check the network of this device and the name servers that it is given (/etc/resolv.conf).",
            EnrollmentCode.NAME_SERVICE_SILENT,
        )
    return _failed(
        "network.name",
        f"The name {host} is not known here",
        str(failure),
        "Check the DNS settings of this device, and that the server's name is published there.",
        EnrollmentCode.NAME_UNKNOWN,
    )


def _no_connection(ways_out: frozenset[str], host: str, port: int, addresses: Sequence[str], failure: OSError) -> Check:
    theirs = frozenset(filter(None, map(_family, addresses)))
    if theirs and not theirs & ways_out:
        ours = " and ".join(sorted(ways_out)) or "no network at all"
        only = "only " if ways_out else ""
        return _failed(
            "network.family",
            f"{host} has only {' and '.join(sorted(theirs))} addresses, and this device has {only}{ours}",
            f"{', '.join(addresses)}: {failure}",
            "Publish an address of the server that this device has a way to, or give it that way (NAT64, a proxy)."
            if ways_out
            else "Connect this device to a network: ip address, ip route.",
            EnrollmentCode.NO_CONNECTION,
        )
    return _failed(
        "network.connection",
        f"No connection to port {port} of {host}",
        f"{', '.join(addresses)}: {failure}",
        "Check that the server runs and that no firewall stands between.",
        EnrollmentCode.NO_CONNECTION,
    )


def _no_tls(subject: Subject, host: str, port: int, failure: OSError) -> Check:
    if not isinstance(failure, ssl.SSLCertVerificationError):
        return _failed(
            "network.tls",
            f"No TLS with {host}",
            str(failure),
            "Check what stands between this device and the server: it ends the connection.",
            EnrollmentCode.NO_CONNECTION,
        )
    try:
        shown = f"; the certificate shown was issued by {subject.network.issuer(host, port)}"
    except OSError:
        shown = ""
    return _failed(
        "network.tls",
        f"What answers for {host} shows a certificate that this device does not accept",
        f"{failure}{shown}",
        "Is that issuer yours, then it is a proxy that opens TLS: let it pass the server through. Has the server a new "
        "authority, then use a new package. Policies are signed, so nobody between can change them.",
        EnrollmentCode.SERVER_NOT_TRUSTED,
    )


def _family(address: str) -> str | None:
    try:
        return f"IPv{ip_address(address.partition('%')[0]).version}"
    except ValueError:
        return None


def _failed(check: str, finding: str, evidence: str, remedy: str, status: EnrollmentCode) -> Check:
    return error(check, f"{finding}. Enrollment status {int(status)}.", evidence=evidence, remedy=remedy)
