"""A proxy named in the configuration: it carries bytes and never sees what they say."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.simulated_gateway import TENANT, SimulatedGateway, served

from shieldwall.agent.service.errors import GatewayUnreachableError
from shieldwall.agent.service.transport import HttpsTransport, parse_server_url, tls_context


@contextlib.contextmanager
def proxy(seen: list[bytes], answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> Iterator[str]:
    """Carry one connection to wherever it wants to go."""
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                seen.append(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            with client:
                wish = client.recv(65_536)
                seen.append(wish)
                client.sendall(answer)
                host, _, port = wish.split()[1].decode().rpartition(":")
                with socket.create_connection((host, int(port))) as server:
                    back = threading.Thread(target=carry, args=(server, client), daemon=True)
                    back.start()
                    carry(client, server)
                    back.join(10)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join(10)


def test_a_configured_proxy_is_gone_through_and_sees_nothing(tmp_path: Path, gateway: SimulatedGateway) -> None:
    seen: list[bytes] = []
    with served(gateway, tmp_path) as url, proxy(seen) as through:
        network = HttpsTransport(
            context=tls_context((gateway.tls_authority.certificate_pem,)), monotonic=time.monotonic, proxy=through
        )
        answer = network.post(
            parse_server_url(url),
            f"/{TENANT}/EnrollmentServer/nonce",
            headers={"Content-Type": "application/json"},
            body=b"{}",
            timeout_seconds=10,
        )

    assert answer.status == 200
    assert seen[0].startswith(f"CONNECT {gateway.authority} ".encode())
    assert TENANT.encode() not in b"".join(seen)


def test_a_proxy_that_refuses_counts_as_no_answer(gateway: SimulatedGateway) -> None:
    url = parse_server_url(f"https://{gateway.authority}")
    with proxy([], b"HTTP/1.1 407 Log in first\r\n\r\n") as through:
        network = HttpsTransport(context=tls_context(()), monotonic=time.monotonic, proxy=through)
        with pytest.raises(GatewayUnreachableError, match="407"):
            network.post(url, "/x", headers={}, body=b"{}", timeout_seconds=10)
