"""The real network on the loopback: TLS, limits, and everything that is not the gateway."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import SplitResult

import pytest
from tests.support.simulated_gateway import TENANT, SimulatedGateway, served

from shieldwall.agent.service import transport
from shieldwall.agent.service.errors import (
    GatewayUnreachableError,
    NameServiceSilentError,
    NameUnknownError,
    ProxyFailedError,
    ServerNotTrustedError,
    UnusableAddressError,
)
from shieldwall.agent.service.transport import (
    HttpAnswer,
    HttpsTransport,
    parse_proxy_url,
    parse_server_url,
    tls_context,
)
from shieldwall.trust.certificates import LocalAuthority

Exchange = Callable[[ssl.SSLSocket], None]


@pytest.fixture(scope="module")
def authority() -> LocalAuthority:
    return LocalAuthority.create(datetime.now(UTC))


@contextlib.contextmanager
def speaking(
    authority: LocalAuthority, directory: Path, exchange: Exchange, *, host: str = "localhost"
) -> Iterator[SplitResult]:
    """Answer one connection with whatever ``exchange`` says."""
    chain, key = authority.issue_server((), datetime.now(UTC))
    (directory / "one.pem").write_text(chain + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "one.pem")
    listener = socket.create_server(("127.0.0.1" if host == "localhost" else host, 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as secured:
                request = b""
                while not request.endswith(b"{}"):
                    request += secured.recv(65_536)
                exchange(secured)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield parse_server_url(f"https://{host}:{listener.getsockname()[1]}")
    finally:
        listener.close()
        thread.join(10)


def post(authority: LocalAuthority, url: SplitResult, *, timeout_seconds: float = 10.0) -> HttpAnswer:
    network = HttpsTransport(context=tls_context((authority.certificate_pem,)), monotonic=time.monotonic)
    return network.post(
        url, "/x", headers={"Content-Type": "application/json"}, body=b"{}", timeout_seconds=timeout_seconds
    )


def says(text: str) -> Exchange:
    return lambda peer: peer.sendall(text.encode())


def test_an_answer_comes_back_whole(authority: LocalAuthority, tmp_path: Path) -> None:
    answer = "HTTP/1.1 503 x\r\nContent-Type: application/problem+json; charset=utf-8\r\nRetry-After: 7\r\n"
    with speaking(authority, tmp_path, says(answer + "Content-Length: 2\r\n\r\n{}")) as url:
        received = post(authority, url)

    assert received == HttpAnswer(
        status=503, content_type="application/problem+json", body=b"{}", retry_after_seconds=7
    )


@pytest.mark.parametrize(("seconds", "is_long"), [(30.0, False), (90.0, True)])
def test_a_long_wait_is_told_of_between_the_request_and_its_answer(
    authority: LocalAuthority, tmp_path: Path, seconds: float, *, is_long: bool
) -> None:
    silent, heard = threading.Event(), list[bool]()

    def answers(peer: ssl.SSLSocket) -> None:
        heard.append(silent.wait(30 if is_long else 0))
        peer.sendall(b"HTTP/1.1 204 x\r\n\r\n")

    with speaking(authority, tmp_path, answers) as url:
        network = HttpsTransport(
            context=tls_context((authority.certificate_pem,)), monotonic=time.monotonic, before_silence=silent.set
        )
        network.post(url, "/x", headers={}, body=b"{}", timeout_seconds=seconds)

    assert heard == [is_long]
    assert silent.is_set() == is_long


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("HTTP/1.1 302 x\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n", "redirects"),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", "captive portal"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "no type"),
        ("HTTP/1.1 502 x\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n", "not the gateway"),
        ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}", "breaks off"),
        ("SSH-2.0-OpenSSH\r\n", "does not answer"),
        ("", "does not answer"),
    ],
)
def test_what_is_not_the_gateway_counts_as_no_answer(
    authority: LocalAuthority, tmp_path: Path, answer: str, reason: str
) -> None:
    with speaking(authority, tmp_path, says(answer)) as url, pytest.raises(GatewayUnreachableError, match=reason):
        post(authority, url)


def test_an_answer_without_end_is_cut_off(
    authority: LocalAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 100_000)

    def endless(peer: ssl.SSLSocket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            peer.sendall(b" " * 50_000)

    with speaking(authority, tmp_path, endless) as url, pytest.raises(GatewayUnreachableError, match="does not end"):
        post(authority, url)


def test_an_answer_that_trickles_is_cut_off(authority: LocalAuthority, tmp_path: Path) -> None:
    done = threading.Event()

    def trickle(peer: ssl.SSLSocket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not done.wait(0.05):
            peer.sendall(b" ")

    with speaking(authority, tmp_path, trickle) as url:
        with pytest.raises(GatewayUnreachableError, match="slowly"):
            post(authority, url, timeout_seconds=0.4)
        done.set()


def test_silence_is_given_up(authority: LocalAuthority, tmp_path: Path) -> None:
    done = threading.Event()

    def wait(_peer: ssl.SSLSocket) -> None:
        done.wait(10)

    with speaking(authority, tmp_path, wait) as url:
        with pytest.raises(GatewayUnreachableError):
            post(authority, url, timeout_seconds=0.3)
        done.set()


def test_a_certificate_of_another_authority_is_refused(authority: LocalAuthority, tmp_path: Path) -> None:
    stranger = LocalAuthority.create(datetime.now(UTC))
    with (
        speaking(stranger, tmp_path, says("")) as url,
        pytest.raises(ServerNotTrustedError, match="certificate is not accepted"),
    ):
        post(authority, url)


def test_a_certificate_for_another_name_is_refused(authority: LocalAuthority, tmp_path: Path) -> None:
    with (
        speaking(authority, tmp_path, says(""), host="127.0.0.2") as url,
        pytest.raises(ServerNotTrustedError, match=r"certificate is not accepted .*127\.0\.0\.2"),
    ):
        post(authority, url)


def test_nobody_there_is_said(authority: LocalAuthority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(GatewayUnreachableError, match="refused") as nobody:
        post(authority, parse_server_url(f"https://localhost:{port}"))
    assert nobody.value.code == "gatewayUnreachable"


def test_a_proxy_that_does_not_answer_is_told_from_a_server_that_does_not(authority: LocalAuthority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    network = HttpsTransport(
        context=tls_context((authority.certificate_pem,)),
        monotonic=time.monotonic,
        proxy=f"http://127.0.0.1:{port}",
    )

    with pytest.raises(ProxyFailedError):
        network.post(parse_server_url("https://gateway.example"), "/x", headers={}, body=b"{}", timeout_seconds=5.0)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), NameUnknownError),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), NameServiceSilentError),
    ],
)
def test_a_name_that_is_unknown_is_told_from_a_name_service_that_is_silent(
    authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch, failure: OSError, kind: type[GatewayUnreachableError]
) -> None:
    def resolve(*_arguments: object, **_more: object) -> None:
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    with pytest.raises(kind, match=r"gateway\.example does not answer"):
        post(authority, parse_server_url("https://gateway.example"))


def test_a_proxy_of_the_environment_is_not_used(
    tmp_path: Path, gateway: SimulatedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with served(gateway, tmp_path) as url:
        network = HttpsTransport(
            context=tls_context((gateway.tls_authority.certificate_pem,)), monotonic=time.monotonic
        )
        answer = network.post(
            parse_server_url(url),
            f"/{TENANT}/EnrollmentServer/nonce",
            headers={"Content-Type": "application/json"},
            body=b"{}",
            timeout_seconds=10,
        )

    assert answer.status == 200


@pytest.mark.parametrize("url", ["https://p", "http://", "http://u:p@h", "http://h:0", "http://h/x", "socks://h"])
def test_what_is_no_proxy_is_refused(url: str) -> None:
    with pytest.raises(UnusableAddressError):
        parse_proxy_url(url)


@pytest.mark.parametrize(
    "url", ["http://x", "https://", "https://u@h", "https://h:0", "https://h:x", "https://h/?q", "", "h"]
)
def test_what_is_no_https_address_is_refused(url: str) -> None:
    with pytest.raises(UnusableAddressError):
        parse_server_url(url)
