"""The administrators' port as it runs, in this process: a real TLS socket, spoken to in bytes."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from granian.constants import Interfaces
from tests.support.admin import admin_routes
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world, read_reply

from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.configuration.settings import ServerSettings, authority_of
from shieldwall.server.directory import apps
from shieldwall.server.listening.listener import Listener
from shieldwall.server.main import Admin, compose_admin
from shieldwall.server.processes.supervise import is_listening


@dataclass(frozen=True)
class AdminSocket:
    """The port, who trusts it, and a token that allows everything."""

    world: GatewayWorld
    port: int
    trust: ssl.SSLContext
    token: str = ""

    @property
    def authority(self) -> str:
        """What every request has to name as its host."""
        return authority_of(self.world.settings.public_url)

    def connect(self, timeout: float = 20.0) -> ssl.SSLSocket:
        """Open a connection."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        return self.trust.wrap_socket(plain, server_hostname="localhost")

    def raw(self, request: bytes) -> Reply:
        """Send bytes as they are and read one answer."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_reply(connection)

    def ask(self, method: str, target: str, *lines: str, host: str | None = None, body: bytes = b"") -> Reply:
        """Send one request with the token."""
        named = [f"Host: {host or self.authority}"]
        if self.token:
            named.append(f"Authorization: Bearer {self.token}")
        if body:
            named.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([f"{method} {target} HTTP/1.1", *named, *lines, "", ""])
        return self.raw(head.encode("latin-1") + body)


@contextmanager
def admin_socket(data: Path) -> Iterator[AdminSocket]:
    """Make a server in ``data`` and run what serves administrators in a thread."""
    with gateway_world(data) as world:
        admin = compose_admin(world.services, admin_routes(), monotonic=time.monotonic)
        with _served(world.settings, admin):
            yield with_token(AdminSocket(world, world.settings.public_port, world.tls))


def with_token(admin: AdminSocket) -> AdminSocket:
    """Let an application be known, and ask for its token through the socket itself."""
    services = admin.world.services
    with services.database.write() as connection:
        app, secret = apps.create_app(
            connection, services.acting("console"), display_name="Automation", permissions=PERMISSIONS
        )
    form = (
        f"grant_type=client_credentials&client_id={app.client_id}&client_secret={secret}"
        f"&scope={admin.world.settings.public_url}/.default"
    ).encode()
    path = f"/{services.tenant.id}/oauth2/v2.0/token"
    answer = admin.ask("POST", path, "Content-Type: application/x-www-form-urlencoded", body=form)
    assert answer.status == 200, answer.body
    return AdminSocket(admin.world, admin.port, admin.trust, answer.json["access_token"])


@contextmanager
def _served(settings: ServerSettings, admin: Admin) -> Iterator[None]:
    loop, stop, ready = uvloop.new_event_loop(), asyncio.Event(), threading.Event()
    listener = Listener(
        address=settings.listen, port=settings.public_port, certificate=settings.tls_certificate, key=settings.tls_key
    )

    async def serve() -> None:
        serving = asyncio.create_task(listener.serve(admin.application, Interfaces.ASGI, stop.wait))
        while not await is_listening(settings.listen, settings.public_port):  # noqa: ASYNC110 - Granian says nothing
            await asyncio.sleep(0.01)
        ready.set()
        await serving

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="admin")
    thread.start()
    assert ready.wait(60), "the administrators' port did not open"
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
