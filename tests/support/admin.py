"""The administrators' front doors as they are served, in this process: every layer but the TLS socket is real.

``AdminWorld`` has the services over a database of the test's own, a signer in this process and a clock set by hand.
``Client`` speaks to the whole ASGI application the way a browser or a program does.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from litestar import Litestar
from litestar.types import ASGIApp
from sqlalchemy import Connection
from tests.support.described import DescribedApi, described
from tests.support.manager_world import World, add_tenant
from tests.support.policies import catalog
from tests.support.samples import TENANT_ID, CountingIds, HandClock, a_tenant
from tests.support.scratch import scratch

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.throttling import Limits
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.directory import administrators, apps
from shieldwall.server.directory.tenancy import Tenancy
from shieldwall.server.main import Admin, compose_admin, create_admin_routes
from shieldwall.server.outgoing.opening import outgoing_of
from shieldwall.server.outgoing.resolving import SystemResolver
from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.server.signer.keys import SigningKeys, create_keys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.token_keys import TokenKeyRing
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.records import Tenant
from shieldwall.trust.certificates import LocalAuthority

AUTHORITY: Final = "localhost:8443"
PUBLIC_URL: Final = f"https://{AUTHORITY}"
MANY: Final = 1_000_000
"""Requests that a world takes: some tests ask for every route with every permission."""


class Client(httpx.Client):
    """A program that talks to the application: cookies are kept, redirects are looked at.

    With ``api`` every answer is compared with what the API's description says.
    """

    def __init__(self, application: ASGIApp, api: DescribedApi | None = None) -> None:
        self._runner = asyncio.Runner()
        weakref.finalize(self, self._runner.close)
        super().__init__(base_url=PUBLIC_URL, transport=_InProcess(application, self._runner, api))

    def close(self) -> None:
        """End the loop that served the requests."""
        super().close()
        self._runner.close()

    def __exit__(self, *failure: object) -> None:
        self.close()


class _InProcess(httpx.BaseTransport):
    """Calls the application; a failure inside it comes out here, unless the application made a page of it."""

    def __init__(self, application: ASGIApp, runner: asyncio.Runner, api: DescribedApi | None) -> None:
        self._application = httpx.ASGITransport(application)  # type: ignore[arg-type]  # the same protocol, other names
        self._runner = runner
        self._api = api

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._runner.run(self._answer(request))
        if self._api is not None:
            self._api.check(request, answer)
        return answer

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        asked = httpx.Request(request.method, request.url, headers=request.headers.raw, content=content)
        answer = await self._application.handle_async_request(asked)
        sent = b"".join([part async for part in answer.aiter_raw()])  # as it was sent: whoever asked unpacks it
        return httpx.Response(answer.status_code, headers=answer.headers.raw, content=sent)


@dataclass(frozen=True)
class AdminWorld:
    """One tenant and its front doors; Fabrikam is served beside it."""

    services: AdminServices
    clock: HandClock
    signer: InProcessSigner

    @cached_property
    def application(self) -> ASGIApp:
        """The application on the public port, put together as the server does."""
        return self.admin.application

    @cached_property
    def admin(self) -> Admin:
        """What the server's process for administrators is made of; what turns beside the application stands still."""
        return compose_admin(self.services, self.framework, monotonic=time.monotonic)

    @property
    def framework(self) -> Litestar:
        """The innermost layer, which knows the routes: the same for every world."""
        return admin_routes()

    @property
    def manager(self) -> World:
        """The heart of the same tenant, to set up devices, groups and policies."""
        new_id = self.services.new_id
        assert isinstance(new_id, CountingIds)
        return World(
            database=self.services.database,
            catalog=self.services.catalog,
            signer=self.signer,
            clock=self.clock,
            new_id=new_id,
        )

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction, to set something up."""
        with self.services.database.write() as connection:
            yield connection

    def client(self) -> Client:
        """A caller without cookies."""
        return Client(self.application, described(self.framework))

    def application_client(self, *permissions: str, name: str = "Automation", tenant: Tenant | None = None) -> Client:
        """A program that has a token with these permissions; none of them takes a token that allows nothing."""
        services = self.services if tenant is None else self.services.of(tenant)
        with self.writing() as connection:
            app, secret = apps.create_app(
                connection,
                services.acting("console"),
                display_name=name,
                permissions=permissions or ("Nothing.At.All",),
            )
        client = self.client()
        answer = client.post(
            f"/{services.tenant.id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": app.client_id,
                "client_secret": secret,
                "scope": f"{PUBLIC_URL}/.default",
            },
        )
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client

    def invite(self, name: str = "Ada", tenant: Tenant | None = None) -> str:
        """A code that signs a person in once."""
        services = self.services if tenant is None else self.services.of(tenant)
        with self.writing() as connection:
            return administrators.invite(connection, services.acting("console"), display_name=name)

    def sign_in(self, client: Client, name: str = "Ada", tenant: Tenant | None = None) -> None:
        """Sign a client in to the admin center."""
        answer = client.post("/sign-in", data={"code": self.invite(name, tenant)}, headers={"Origin": PUBLIC_URL})
        assert answer.status_code == 303, answer.text


@cache
def admin_routes() -> Litestar:
    """Return the routes, put together once for every world of a test run: they hold nothing of one."""
    return create_admin_routes()


def create_admin_world(database: Database, data: Path) -> AdminWorld:
    """Put the services together over an empty database that has its tables."""
    add_tenant(database)
    return admin_world_over(database, data)


def admin_world_over(database: Database, data: Path) -> AdminWorld:
    """Put the services together over a database that has the tenant; their keys are new ones in ``data``."""
    clock = HandClock()
    signers = _Signers(data, clock)
    settings = ServerSettings(
        data=data,
        tenant_id=TENANT_ID,
        database="",
        public_url=PUBLIC_URL,
        gateway_url="https://localhost:8444",
        listen="127.0.0.1",
        public_port=8443,
        gateway_port=8444,
        limits=Limits(app_requests=MANY, tenant_requests=MANY, app_writes=MANY, tenant_writes=MANY),
    )
    settings.tls_authority.parent.mkdir(parents=True)
    settings.tls_authority.write_text(_authority())
    settings.nonce_key.write_bytes(bytes(32))
    services = AdminServices(
        database=database,
        catalog=catalog(),
        signers=signers,
        clock=clock,
        new_id=CountingIds(),
        tenancy=Tenancy(database),
        tenant=a_tenant(),
        settings=settings,
        outgoing=outgoing_of(settings, SystemResolver()),
    )
    return AdminWorld(services=services, clock=clock, signer=signers.for_tenant(TENANT_ID))


@dataclass(frozen=True)
class _Signers:
    """The signer of each tenant, in this process."""

    data: Path
    clock: HandClock
    rings: dict[TenantId, TokenKeyRing] = field(default_factory=dict)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.data / "signer")

    def for_tenant(self, tenant_id: TenantId) -> InProcessSigner:
        return InProcessSigner(keys=self._keys_of(tenant_id), ledger=self.ledger, clock=self.clock)

    def _keys_of(self, tenant_id: TenantId) -> SigningKeys:
        """The tenant's keys, with a ring of token keys of this world's own: another world may turn its keys over."""
        if tenant_id not in self.rings:
            first = _keys(tenant_id).token_keys.signing(HandClock().now())
            self.rings[tenant_id] = TokenKeyRing(first, None)
        return replace(_keys(tenant_id), token_keys=self.rings[tenant_id])


@cache
def _keys(tenant_id: TenantId) -> SigningKeys:
    """Keys of a tenant for every world of a test run: making them takes longer than most tests."""
    with TemporaryDirectory(dir=scratch()) as folder:
        return create_keys(Path(folder) / "keys", tenant_id, HandClock())


@cache
def _authority() -> str:
    return LocalAuthority.create(HandClock().now()).certificate_pem
