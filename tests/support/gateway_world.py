"""A gateway as it runs, in this process: TLS socket, database, signer; only the clock is moved by hand."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop
from granian.constants import Interfaces
from tests.support.migrated import migrated_sqlite
from tests.support.ports import free_port
from tests.support.second_tenant import with_second_tenant

from shieldwall.catalog import loader
from shieldwall.contract import strict_json
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.console.initialise import Initialise
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.tenancy import Tenancy
from shieldwall.server.gateway.composition import Gateway, compose_gateway
from shieldwall.server.inventory.packages import PackageDraft, ServerAddress, create_package
from shieldwall.server.listening.listener import Listener
from shieldwall.server.outgoing.opening import outgoing_of
from shieldwall.server.outgoing.resolving import SystemResolver
from shieldwall.server.processes.supervise import is_listening
from shieldwall.server.signer.keys import load_keys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.tenants import TenantSigners
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.records import Tenant
from shieldwall.server.system import new_id
from shieldwall.trust.onboarding import OnboardingPackage, open_package

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass
class HandClock:
    moment: datetime = START

    def now(self) -> datetime:
        return self.moment

    def forward(self, **units: float) -> None:
        self.moment += timedelta(**units)


@dataclass(frozen=True)
class Reply:
    """What came back: the body also as JSON, where it is some."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem document, which is looked at as a whole while at it."""
        assert self.headers["content-type"] == "application/problem+json"
        problem = self.json
        assert problem["status"] == self.status
        assert problem["requestId"]
        assert problem["detail"]
        assert problem["remedy"]
        return str(problem["code"])

    @property
    def shape(self) -> tuple[int, dict[str, Any]]:
        """Everything but the name of the request."""
        return self.status, self.json | {"requestId": ""}


@dataclass
class GatewayWorld:
    settings: ServerSettings
    services: AdminServices
    clock: HandClock
    gateway: Gateway
    tls: ssl.SSLContext

    @property
    def authority(self) -> str:
        return f"localhost:{self.settings.gateway_port}"

    @property
    def acting(self) -> Acting:
        return self.services.acting("test")

    def of(self, tenant: Tenant) -> GatewayWorld:
        """The same gateway as another of its tenants sees it."""
        return replace(self, services=self.services.of(tenant))

    def package(self, **draft: Any) -> OnboardingPackage:
        with self.services.database.write() as connection:
            _, envelope = create_package(
                connection,
                self.acting,
                self.services.signer,
                PackageDraft(**({"display_name": "Test"} | draft)),
                ServerAddress(urls=(self.settings.gateway_url,)),
            )
        return open_package(strict_json.encode(envelope), self.clock.now())

    def connect(self, timeout: float = 20.0) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.settings.gateway_port), timeout=timeout)
        return self.tls.wrap_socket(plain, server_hostname="localhost")

    def raw(self, request: bytes) -> Reply:
        """Send bytes as they are and read one answer."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_reply(connection)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, host: str | None = None
    ) -> Reply:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or self.authority}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        return self.raw("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def post(self, path: str, body: bytes, **headers: str) -> Reply:
        return self.ask("POST", path, body, {"Content-Type": "application/json", **headers})


def read_reply(connection: ssl.SSLSocket) -> Reply:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += _more(connection)
    return Reply(status=int(status_line.split()[1]), headers=headers, body=body)


def _more(connection: ssl.SSLSocket) -> bytes:
    chunk = connection.recv(65536)
    if not chunk:
        raise ConnectionResetError("the gateway closed the connection without an answer")
    return chunk


@contextmanager
def gateway_world(
    data: Path,
    database: str | None = None,
    *,
    clock: HandClock | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    prepared: Callable[[ServerSettings], ServerSettings] = lambda settings: settings,
) -> Iterator[GatewayWorld]:
    """Make a server in ``data`` and run its gateway in a thread, with a ``database`` or beside one in a file.

    ``prepared`` may set up more of it before it runs.
    """
    clock = clock or HandClock()
    settings = Initialise(clock=clock, new_id=new_id, randomness=_random, tell=lambda _step: None)(
        data,
        database=database or migrated_sqlite(data.with_name(f"{data.name}.db")),
        public_url=f"https://localhost:{free_port()}",
        gateway_url=f"https://localhost:{free_port()}",
        listen="127.0.0.1",
        tenant_name="Test",
        domain="test.example",
    )
    settings = prepared(settings)
    opened = Database(settings.database)
    ledger = Ledger(data / "signer")
    signers = TenantSigners(lambda tenant_id: load_keys(settings.keys, tenant_id), ledger=ledger, clock=clock)
    tenancy = Tenancy(opened)
    services = AdminServices(
        database=opened,
        catalog=loader.load(),
        signers=signers,
        clock=clock,
        new_id=new_id,
        tenancy=tenancy,
        tenant=tenancy.get(settings.tenant_id),
        settings=settings,
        outgoing=outgoing_of(settings, SystemResolver()),
    )
    trust = ssl.create_default_context(cafile=str(settings.tls_authority))
    try:
        with (
            with_second_tenant(opened),
            compose_gateway(settings, database=opened, signers=signers, clock=clock, monotonic=monotonic) as gateway,
            _served(settings, _unhurried(gateway)),
        ):
            yield GatewayWorld(settings=settings, services=services, clock=clock, gateway=gateway, tls=trust)
    finally:
        ledger.close()
        opened.close()


def _unhurried(gateway: Gateway) -> Gateway:
    """Let its loop never be late: what else the machine and this interpreter do shall not have a device sent away."""
    return replace(gateway, heartbeat=replace(gateway.heartbeat, monotonic=lambda: 0.0))


@contextmanager
def _served(settings: ServerSettings, gateway: Gateway) -> Iterator[None]:
    loop = uvloop.new_event_loop()
    stop = asyncio.Event()
    ready = threading.Event()
    listener = Listener(
        address=settings.listen,
        port=settings.gateway_port,
        certificate=settings.tls_certificate,
        key=settings.tls_key,
    )

    async def serve() -> None:
        async with gateway.running():
            serving = asyncio.create_task(
                listener.serve(gateway.application, Interfaces.RSGI, lambda: gateway.until(stop))
            )
            while not await is_listening(settings.listen, settings.gateway_port):  # noqa: ASYNC110 - Granian says nothing
                await asyncio.sleep(0.01)
            ready.set()
            await serving

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="gateway")
    thread.start()
    assert ready.wait(30), "the gateway did not start"
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for what no event tells of across a socket."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def _random(size: int) -> bytes:
    return b"n" * size
