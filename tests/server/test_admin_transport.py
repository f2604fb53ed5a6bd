"""What no client may get through with at the administrators' port (bad-inputs 9.1), over a real TLS socket.

The same targets are sent through nginx too: what it makes of them must lead nowhere else than without it.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.admin_socket import AdminSocket, admin_socket
from tests.support.gateway_world import read_reply, until
from tests.support.ports import free_port

GROUPS = "/v1.0/groups"
NGINX = "/usr/sbin/nginx"
ODD_TARGETS = [
    "/v1.0/%2e%2e/v1.0/groups",
    "/v1.0/%2E%2E/sign-in",
    "/v1.0/../sign-in",
    "/v1.0/./groups",
    "//v1.0/groups",
    "/v1.0//groups",
    "/v1.0/groups//",
    "/v1.0/groups;x",
    "/v1.0/groups;x=1/y",
    "/v1.0/groups%00",
    "/v1.0/%5c..%5csign-in",
    "/v1.0/groups%0d%0aX:%20y",
    "/V1.0/groups",
    "/nowhere",
]


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminSocket]:
    with admin_socket(tmp_path_factory.mktemp("server") / "data") as made:
        yield made


def head(admin: AdminSocket, *lines: str, first: str = f"GET {GROUPS} HTTP/1.1") -> bytes:
    return "\r\n".join([first, f"Host: {admin.authority}", *lines, "", ""]).encode("latin-1")


def test_what_is_right_is_answered(admin: AdminSocket) -> None:
    for target in (GROUPS, f"{GROUPS}/", "/v1.0/GROUPS?$top=1", "/v1.0/groups?%24top=1"):
        assert admin.ask("GET", target).status == 200, target


@pytest.mark.parametrize("target", ODD_TARGETS)
def test_a_path_that_could_be_read_in_two_ways_does_not_exist(admin: AdminSocket, target: str) -> None:
    assert admin.ask("GET", target).status in {400, 404}


@pytest.mark.parametrize("target", ["/v1.0/gro\x00ups", "/v1.0/gro ups", "v1.0/groups", "*"])
def test_a_target_that_is_no_path_is_refused(admin: AdminSocket, target: str) -> None:
    assert admin.ask("GET", target).status in {400, 404}


def test_the_host_of_a_target_in_absolute_form_is_heeded_nowhere(admin: AdminSocket) -> None:
    answer = admin.ask("GET", f"https://evil.example{GROUPS}")  # the listener hands on the path alone
    assert answer.status == 200
    assert b"evil" not in answer.body + repr(answer.headers).encode()
    assert answer.json["@odata.context"].startswith(f"{admin.world.settings.public_url}/")
    assert admin.ask("GET", f"https://{admin.authority}{GROUPS}", host="evil.example").status == 421
    assert admin.ask("GET", "https://evil.example//v1.0/groups").status == 404


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW"])
def test_an_unknown_method_is_refused(admin: AdminSocket, method: str) -> None:
    target = admin.authority if method == "CONNECT" else GROUPS
    answer = admin.ask(method, target)
    assert answer.status in {400, 404, 405}
    assert b"Bearer" not in answer.body


@pytest.mark.parametrize("host", ["evil.example", "localhost", "localhost:1", "127.0.0.1", "user@localhost"])
def test_another_host_is_refused(admin: AdminSocket, host: str) -> None:
    assert admin.ask("GET", GROUPS, host=host).status == 421


def test_exactly_one_host_is_named(admin: AdminSocket) -> None:
    for hosts in ("", f"Host: {admin.authority}\r\n" * 2, f"Host: {admin.authority}\r\nHost: evil.example\r\n"):
        answer = admin.raw(f"GET {GROUPS} HTTP/1.1\r\n{hosts}\r\n".encode())
        assert answer.status in {400, 421}, hosts


def test_what_a_proxy_says_about_the_host_reaches_no_link(admin: AdminSocket) -> None:
    spoofed = ("X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http", "Forwarded: host=evil.example")
    answer = admin.ask("GET", GROUPS, *spoofed)
    assert answer.status == 200
    assert answer.json["@odata.context"].startswith(f"{admin.world.settings.public_url}/")
    assert b"evil" not in answer.body


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: +5",),
        ("Content-Length: -5",),
        ("Transfer-Encoding: gzip, chunked",),
        ("X-Folded: one", " two", "Content-Length: 5"),
        ("Bad Name: x", "Content-Length: 5"),
        ("Content-Length : 5",),
    ],
    ids=str,
)
def test_a_header_that_two_servers_could_read_differently_makes_nothing(
    admin: AdminSocket, lines: tuple[str, ...]
) -> None:
    token = f"Authorization: Bearer {admin.token}"
    first = f"POST {GROUPS} HTTP/1.1"
    answer = admin.raw(head(admin, token, "Content-Type: application/json", *lines, first=first) + b"0\r\n\r\n")
    assert 400 <= answer.status < 500


@pytest.mark.parametrize(
    "lines", [[f"X-{number}: 1" for number in range(5000)], ["X: " + "a" * 200_000]], ids=["5,000 headers", "200 kB"]
)
def test_a_header_that_is_too_large_is_refused(admin: AdminSocket, lines: list[str]) -> None:
    with admin.connect() as connection:
        with suppress(OSError):  # it is refused before all of it is sent
            connection.sendall(head(admin, *lines))
        assert read_reply(connection).status == 431


def test_a_body_over_the_limit_is_refused_unread(admin: AdminSocket) -> None:
    answer = admin.ask("POST", GROUPS, "Content-Type: application/json", f"Content-Length: {64 * 1024 * 1024}")
    assert answer.status == 413


@contextmanager
def proxied(admin: AdminSocket, directory: Path) -> Iterator[AdminSocket]:
    """Run nginx before the port, as an administrator would: it hands on the target as it came."""
    port, settings = free_port(), admin.world.settings
    temporary = "".join(f"{name}_temp_path {directory}/{name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
    (directory / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {directory}/pid; error_log {directory}/errors;\nevents {{}}\n"
        f"http {{ access_log off; client_body_temp_path {directory}/body; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {settings.tls_certificate};"
        f" ssl_certificate_key {settings.tls_key}; location / {{ proxy_pass https://127.0.0.1:{admin.port};"
        f" proxy_ssl_protocols TLSv1.3;"
        f" proxy_set_header Host $http_host; proxy_http_version 1.1; }} }} }}\n"
    )
    process = subprocess.Popen([NGINX, "-p", directory, "-c", directory / "nginx.conf"])
    try:
        until(lambda: _listens(port) or process.poll() is not None)
        yield replace(admin, port=port)
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.nginx
def test_behind_a_proxy_nothing_is_read_otherwise(admin: AdminSocket, tmp_path: Path) -> None:
    with proxied(admin, tmp_path) as outside:
        assert outside.ask("GET", GROUPS).status == 200
        for target in ODD_TARGETS:
            assert outside.ask("GET", target).status in {400, 404}, target
        for host in ("evil.example", "localhost:1"):
            assert outside.ask("GET", GROUPS, host=host).status == 421
        smuggled = head(
            admin,
            f"Authorization: Bearer {admin.token}",
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
            first=f"POST {GROUPS} HTTP/1.1",
        )
        with outside.connect() as connection:
            connection.sendall(smuggled + b"0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert 400 <= read_reply(connection).status < 500
