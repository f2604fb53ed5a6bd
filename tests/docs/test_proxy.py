"""The proxy of ``docs/operations.md`` works as it stands there."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from unittest import mock

import pytest
from tests.support.documentation import DOCS, blocks
from tests.support.gateway_world import GatewayWorld, until
from tests.support.ports import free_port
from tests.support.protocol_recorder import converse, named_world

from shieldwall.server.configuration.settings import authority_of
from shieldwall.trust.certificates import LocalAuthority

OPERATIONS = DOCS / "operations.md"
NGINX = "/usr/sbin/nginx"
HAPROXY = "/usr/sbin/haproxy"


@contextmanager
def proxied(world: GatewayWorld, directory: Path) -> Iterator[int]:
    """Run nginx as the page says, with the names and ports of here in place of those there."""
    port = free_port()
    chain, key = LocalAuthority.create(datetime.now(UTC)).issue_server([], datetime.now(UTC))
    (directory / "sdm.pem").write_text(chain)
    (directory / "sdm.key").write_text(key)
    (shown,) = [block.text for block in blocks(OPERATIONS) if block.language == "nginx"]
    for there, here in (
        ("listen 8444", f"listen 127.0.0.1:{port}"),
        ("127.0.0.1:18444", f"127.0.0.1:{world.settings.gateway_port}"),
        ("/etc/nginx/shieldwall-ca.pem", str(world.settings.tls_authority)),
        ("/etc/nginx/", f"{directory}/"),
    ):
        assert there in shown
        shown = shown.replace(there, here)
    temporary = "".join(f"{name}_temp_path {directory}/{name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
    (directory / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {directory}/pid; error_log {directory}/errors;\nevents {{}}\n"
        f"http {{ access_log off; client_body_temp_path {directory}/body; {temporary}\n{shown}}}\n"
    )
    with _running(port, NGINX, "-p", directory, "-c", directory / "nginx.conf"):
        yield port


@contextmanager
def _running(port: int, *command: str | Path) -> Iterator[None]:
    """Run a program from when it listens on a port."""
    process = subprocess.Popen(command)
    try:
        until(lambda: _listens(port) or process.poll() is not None)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.nginx
def test_a_device_lives_its_life_through_the_proxy_of_the_page(tmp_path: Path) -> None:
    with named_world(tmp_path / "data") as world, proxied(world, tmp_path) as port:
        trust = ssl.create_default_context(cadata=(tmp_path / "sdm.pem").read_text())

        def connect(timeout: float = 20.0) -> ssl.SSLSocket:
            plain = socket.create_connection(("127.0.0.1", port), timeout=timeout)
            return trust.wrap_socket(plain, server_hostname="localhost")

        with mock.patch.object(world, "connect", connect):
            said = dict(converse(world))

    assert "offboard-request" in said
    assert "shieldwall:seqConflict" in said["problem"]


@contextmanager
def between_prometheus_and(world: GatewayWorld, directory: Path) -> Iterator[int]:
    """Run HAProxy as the page says, with the names and ports of here in place of those there."""
    port = free_port()
    (shown,) = [block.text for block in blocks(OPERATIONS) if block.language == "haproxy"]
    for there, here in (
        ("127.0.0.1:9101", f"127.0.0.1:{port}"),
        ("10.0.0.11:18444", f"127.0.0.1:{world.settings.gateway_port}"),
        ("sdm.contoso.example:8444", authority_of(world.settings.gateway_url)),
        ("/etc/haproxy/shieldwall-ca.pem", str(world.settings.tls_authority)),
    ):
        assert there in shown
        shown = shown.replace(there, here)
    times = "".join(f"    timeout {which} 20s\n" for which in ("connect", "client", "server"))
    (directory / "haproxy.cfg").write_text(f"global\n    maxconn 20\ndefaults\n{times}\n{shown}")
    with _running(port, HAPROXY, "-db", "-f", directory / "haproxy.cfg"):
        yield port


@pytest.mark.haproxy
def test_the_numbers_of_one_of_several_gateways_are_told_as_the_page_says(tmp_path: Path) -> None:
    with named_world(tmp_path / "data") as world, between_prometheus_and(world, tmp_path) as port:
        answers = {path: _asked(port, path) for path in ("/metrics", "/readyz", "/device/v1/time")}

    assert {path: status for path, (status, _) in answers.items()} == {
        "/metrics": 200,
        "/readyz": 200,
        "/device/v1/time": 403,
    }
    assert b"shieldwall_gateway_commits" in answers["/metrics"][1]


def _asked(port: int, path: str) -> tuple[int, bytes]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
