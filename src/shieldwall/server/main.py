"""The composition root: read this and you know what a server is made of.

Three processes share one data directory. The **signer** alone holds keys (``shieldwall.server.signer``). The
**gateway** talks to devices, ``open_gateway``. The **admin** process talks to administrators and their tools,
``open_admin``. ``running.run`` starts the three and watches over them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection

from shieldwall import __version__
from shieldwall.catalog import loader
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.connections import ConnectionGuard
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.tenancy import Tenancy
from shieldwall.server.directory.verification_keys import VerificationKeys
from shieldwall.server.events.dispatching import Dispatching
from shieldwall.server.events.measures import EventMeasures
from shieldwall.server.events.sealing import SecretBox
from shieldwall.server.events.streams.opening import open_streams
from shieldwall.server.events.streams.streaming import Streaming
from shieldwall.server.gateway.admission import Admission
from shieldwall.server.gateway.application import Application
from shieldwall.server.gateway.authentication import KeyRing
from shieldwall.server.gateway.catching_up import CatchingUp
from shieldwall.server.gateway.endpoints.attesting import Attesting
from shieldwall.server.gateway.endpoints.checking_in import CheckingIn, taking_unchanged
from shieldwall.server.gateway.endpoints.discovery import Discovery
from shieldwall.server.gateway.endpoints.enrolling import Enrolling
from shieldwall.server.gateway.endpoints.health import Health
from shieldwall.server.gateway.endpoints.keeping_identity import KeepingIdentity
from shieldwall.server.gateway.endpoints.promoting import Promoting
from shieldwall.server.gateway.endpoints.telling_events import TellingEvents
from shieldwall.server.gateway.endpoints.telling_time import TellingTime
from shieldwall.server.gateway.guard import normal_authority
from shieldwall.server.gateway.heartbeat import Heartbeat
from shieldwall.server.gateway.measures import GatewayMeasures
from shieldwall.server.gateway.pacing import PacedWriter
from shieldwall.server.gateway.rate_limit import TokenBucket, TokenBuckets
from shieldwall.server.gateway.routes import Router
from shieldwall.server.gateway.tenancy import PathTenants
from shieldwall.server.gateway.wait_channels import WaitChannels
from shieldwall.server.gateway.workers import Workers
from shieldwall.server.housekeeping import Housekeeping
from shieldwall.server.inventory.nonces import NonceSealer
from shieldwall.server.inventory.onboarding import Onboarding
from shieldwall.server.inventory.promotion import Promotion
from shieldwall.server.manager import sync
from shieldwall.server.manager.catching_up import CATCHING_UP
from shieldwall.server.manager.check_in import CheckIn
from shieldwall.server.manager.figures import FleetFigures
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.observability import new_registry
from shieldwall.server.outgoing.opening import open_outgoing
from shieldwall.server.permissions import PERMISSIONS
from shieldwall.server.readiness import Readiness
from shieldwall.server.reporting.following import FleetReports
from shieldwall.server.reporting.running import Following
from shieldwall.server.sampling import Sampling
from shieldwall.server.services import AdminServices
from shieldwall.server.settings import ServerSettings, authority_of
from shieldwall.server.signer.client import SignerClient
from shieldwall.server.signer.ports import Signers
from shieldwall.server.storage.database import Database
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.group_commit import GroupCommit
from shieldwall.server.sweeping import Sweeping, SweepMeasures
from shieldwall.server.system import RequestIds, SystemClock, draw_between, new_id
from shieldwall.server.throttling import Attempts, Throttle
from shieldwall.server.tracing import NoTracing, Tracing, open_tracing

if TYPE_CHECKING:
    from litestar import Litestar

    from shieldwall.server.openapi.publishing import Publishing
    from shieldwall.server.portal.live.watching import Watching
    from shieldwall.server.portal.work.works import Works

ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]
UNSIGNED_PER_SECOND: Final = 50.0
UNSIGNED_AT_ONCE: Final = 200
TIMES_PER_SECOND: Final = 200.0
TIMES_AT_ONCE: Final = 600
"""Signed time confirms a change that might have cut a device off: a million devices ask 185 times a second for it."""
OF_ONE_DEVICE_PER_MINUTE: Final = 1.0
OF_ONE_DEVICE_AT_ONCE: Final = 60
"""Renewals, key changes and resyncs of one device together; as many check-ins that bring facts; as often its events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The application that takes requests, and what has to turn beside it."""

    application: Application
    channels: WaitChannels
    connections: ConnectionGuard
    heartbeat: Heartbeat

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep going what turns beside the application."""
        async with _beside(self.channels.run(), self.connections.run(), self.heartbeat.run()):
            yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """The application for administrators, and what has to turn beside it."""

    application: ASGIApplication
    connections: ConnectionGuard
    publishing: Publishing
    works: Works
    watching: Watching
    housekeeping: Housekeeping
    sampling: Sampling
    sweeping: Sweeping
    following: Following | None
    dispatching: Dispatching
    streaming: Streaming

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep going what turns beside the application."""
        self.publishing.prepare()
        self.works.open()
        async with _beside(
            self.connections.run(),
            self.housekeeping.run(),
            self.sampling.run(),
            self.sweeping.run(),
            *(() if self.following is None else (self.following.run(),)),
            self.dispatching.run(),
            self.streaming.run(),
            self.watching.run(),
        ):
            try:
                yield
            finally:
                self.works.close()


@contextmanager
def open_gateway(settings: ServerSettings, *, monotonic: Callable[[], float]) -> Iterator[Gateway]:
    """Open the database and the line to the signer, and put a gateway together."""
    with (
        SignerClient(settings.data) as signer,
        _database(settings) as database,
        compose_gateway(
            settings, database=database, signers=signer, clock=SystemClock(), monotonic=monotonic
        ) as gateway,
    ):
        yield gateway


@contextmanager
def compose_gateway(
    settings: ServerSettings,
    *,
    database: Database,
    signers: Signers,
    clock: Clock,
    monotonic: Callable[[], float],
    new_id: Callable[[], str] = new_id,
    draw_between: Callable[[int, int], int] = draw_between,
) -> Iterator[Gateway]:
    """Put a gateway together from parts that are open; a simulation hands in time, ids and chance of its own."""
    registry = new_registry()
    measures = GatewayMeasures(registry)
    writer = GroupCommit(database)
    workers = Workers()
    connections = ConnectionGuard(settings.gateway_port, monotonic)
    admission = Admission(monotonic=monotonic, draw_between=draw_between)
    sealer = NonceSealer(key=settings.nonce_key.read_bytes())

    def aim_anew(connection: Connection, device_ids: frozenset[DeviceId]) -> None:
        retarget(connection, device_ids, clock.now())

    def acting_in(tenant_id: TenantId, actor: str = CATCHING_UP) -> Acting:
        return Acting(tenant_id=tenant_id, actor=actor, clock=clock, new_id=new_id, on_devices_changed=aim_anew)

    def acting_for(device: CallingDevice) -> Acting:
        return acting_in(device.tenant_id, f"device:{device.id}")

    catching_up = CatchingUp(writer, acting_in)

    def asked_to_come(waiting: Collection[DeviceId]) -> sync.AskedToCome:
        with database.read() as connection:
            return sync.asked_to_come(connection, waiting)

    async def due(waiting: Collection[DeviceId]) -> frozenset[DeviceId]:
        asked = await workers.run(asked_to_come, waiting)
        return asked.due | await catching_up.bring_all(asked.behind)

    def paced_writer() -> PacedWriter:
        rate = OF_ONE_DEVICE_PER_MINUTE / 60
        return PacedWriter(
            writer=writer, buckets=TokenBuckets(rate=rate, burst=OF_ONE_DEVICE_AT_ONCE, monotonic=monotonic)
        )

    channels = WaitChannels(due)

    def onboarding_for(tenant_id: TenantId) -> Onboarding:
        return Onboarding(
            tenant_id=tenant_id,
            signer=signers.for_tenant(tenant_id),
            sealer=sealer,
            clock=clock,
            new_id=new_id,
            on_devices_changed=aim_anew,
        )

    def promotion_for(device: CallingDevice) -> Promotion:
        return Promotion(acting=acting_for(device), signer=signers.for_tenant(device.tenant_id), sealer=sealer)

    path_tenants = PathTenants(tenancy=Tenancy(database), workers=workers)
    enrolling = Enrolling(
        tenants=path_tenants,
        sealer=sealer,
        onboarding_for=onboarding_for,
        acting_for=acting_for,
        writer=writer,
        clock=clock,
        bucket=TokenBucket(rate=UNSIGNED_PER_SECOND, burst=UNSIGNED_AT_ONCE, monotonic=monotonic),
    )
    router = Router(
        (
            *Discovery(tenants=path_tenants, gateway_url=settings.gateway_url, clock=clock).routes(),
            *enrolling.routes(),
            *Attesting(signers=signers, acting_for=acting_for, writer=writer, clock=clock).routes(),
            *Promoting(promotion_for=promotion_for, writer=writer, clock=clock).routes(),
            *KeepingIdentity(
                signers=signers,
                sealer=sealer,
                acting_for=acting_for,
                writer=paced_writer(),
                clock=clock,
            ).routes(),
            *CheckingIn(
                check_in=CheckIn(signers=signers, clock=clock, acting_for=acting_for, catalog=cache(loader.load)),
                clock=clock,
                writer=writer,
                workers=workers,
                channels=channels,
                catching_up=catching_up,
                unchanged=taking_unchanged(writer, clock),
                facts_writer=paced_writer(),
            ).routes(),
            *TellingEvents(writer=paced_writer(), clock=clock).routes(),
            *TellingTime(
                home=settings.tenant_id,
                tenants=path_tenants,
                signers=signers,
                workers=workers,
                bucket=TokenBucket(rate=TIMES_PER_SECOND, burst=TIMES_AT_ONCE, monotonic=monotonic),
            ).routes(),
            *Health(
                readiness=Readiness(database=database, signer=signers.for_tenant(settings.tenant_id)),
                workers=workers,
                registry=registry,
            ).routes(),
        )
    )
    measures.watch("wait_channels", "Devices waiting for a policy sync.", lambda: channels.count)
    measures.watch("commits", "Transactions made durable.", lambda: writer.commits)
    measures.watch("writes", "Requests acknowledged by those transactions.", lambda: writer.acknowledged)
    measures.watch("caught_up", "Devices that took up a change as they came or waited.", lambda: catching_up.count)
    measures.watch("connections", "Connections open when it was last looked.", lambda: connections.open)
    measures.watch("connections_shut", "Silent connections shut.", lambda: connections.closed)
    measures.watch(
        "connections_surplus", "Connections shut that one network had too many.", lambda: connections.surplus
    )
    measures.watch("under_way", "Requests of devices taken on and not yet answered.", lambda: admission.under_way)
    measures.watch("wait_seconds", "How long whatever is taken on now waits.", admission.wait)
    measures.watch(
        "pace", "Requests that are answered in a second when there is no end of them.", lambda: admission.per_second
    )
    measures.watch("promised", "Requests sent away whose time to come back is yet to come.", lambda: admission.promised)
    try:
        yield Gateway(
            application=Application(
                router=router,
                authority=normal_authority(authority_of(settings.gateway_url)),
                keys=KeyRing(database, workers),
                clock=clock,
                connections=connections,
                measures=measures,
                admission=admission,
                new_request_id=RequestIds(),
                draw_between=draw_between,
            ),
            channels=channels,
            connections=connections,
            heartbeat=Heartbeat(admission=admission, measures=measures, monotonic=monotonic),
        )
    finally:
        workers.close()
        writer.close()


@contextmanager
def open_services(settings: ServerSettings, tenant: str | None = None) -> Iterator[AdminServices]:
    """Open everything that administrators' front doors and the console need.

    They work for the tenant named by its id or domain, or for the one that the server was made with.

    Raises:
        NotFoundError: There is no such tenant.
    """
    with (
        SignerClient(settings.data) as signers,
        _database(settings) as database,
        open_outgoing(settings) as outgoing,
    ):
        tenancy = Tenancy(database)
        served = tenancy.named(settings.tenant_id if tenant is None else tenant)
        if served is None:
            raise NotFoundError(f"There is no tenant {tenant or settings.tenant_id}.")
        catalog, clock = loader.load(), SystemClock()
        fleets = FleetReports(
            database,
            catalog,
            clock,
            name=f"reports:{socket.gethostname()}:{settings.public_port}",
            new_mark=new_id,
        )
        with closing(fleets):
            yield AdminServices(
                database=database,
                catalog=catalog,
                signers=signers,
                clock=clock,
                new_id=new_id,
                tenancy=tenancy,
                tenant=served,
                settings=settings,
                outgoing=outgoing,
                figures=FleetFigures(quicker=fleets),
                fleets=fleets,
            )


@contextmanager
def open_admin(settings: ServerSettings, *, monotonic: Callable[[], float]) -> Iterator[Admin]:
    """Open the services and put the administrators' application together."""
    with (
        open_services(settings) as services,
        closing(open_tracing(settings.telemetry, "admin", draw_between)) as tracing,
    ):
        services.outgoing.trust()  # so that an authority that cannot be read is told at the start
        tracing.follow(services.database.engine)
        yield compose_admin(services, create_admin_routes(), monotonic=monotonic, tracing=tracing)


def create_admin_routes() -> Litestar:
    """Put the routes of all front doors for administrators together: they hold nothing of this server.

    Raises:
        UndeclaredRouteError: A route does not say who may call it.
        UndescribedRouteError: A route of an API does not say what it takes and answers.
    """
    # Here, so that the gateway's process does not load a web framework that it never uses.
    from shieldwall.server.admin_application import answer_problem, create_admin_application  # noqa: PLC0415 - see above
    from shieldwall.server.graph import app as graph  # noqa: PLC0415 - see above
    from shieldwall.server.identity import app as identity  # noqa: PLC0415 - see above
    from shieldwall.server.portal import app as portal  # noqa: PLC0415 - see above
    from shieldwall.server.portal.rendering import load_templates  # noqa: PLC0415 - see above

    templates = load_templates()
    return create_admin_application(
        routes=(*graph.create_routes(), identity.create_routes(), portal.create_routes(templates)),
        unrouted=graph.answering_unrouted(portal.answering_unrouted(templates, answer_problem)),
    )


def compose_admin(
    services: AdminServices, routes: Litestar, *, monotonic: Callable[[], float], tracing: Tracing | None = None
) -> Admin:
    """Put the administrators' application together from parts that are open, and the routes that find them."""
    # Here, so that the gateway's process does not load a web framework that it never uses.
    from shieldwall.server.admin_front import AdminFront  # noqa: PLC0415 - see above
    from shieldwall.server.admin_requests import AdminMeasures, WatchedRequests  # noqa: PLC0415 - see above
    from shieldwall.server.callers import Callers  # noqa: PLC0415 - see above
    from shieldwall.server.graph.batch import Inside  # noqa: PLC0415 - see above
    from shieldwall.server.graph.catalog_resources import CatalogResources  # noqa: PLC0415 - see above
    from shieldwall.server.graph.paths import NormalPaths, names_in  # noqa: PLC0415 - see above
    from shieldwall.server.openapi.document import About, create_document  # noqa: PLC0415 - see above
    from shieldwall.server.openapi.permission_words import in_words  # noqa: PLC0415 - see above
    from shieldwall.server.openapi.publishing import Publishing  # noqa: PLC0415 - see above
    from shieldwall.server.parts import WithParts  # noqa: PLC0415 - see above
    from shieldwall.server.portal.live.watching import Watching  # noqa: PLC0415 - see above
    from shieldwall.server.portal.sign_in.limits import SignInLimits  # noqa: PLC0415 - see above
    from shieldwall.server.portal.sign_in.provider_client import ProviderClient  # noqa: PLC0415 - see above
    from shieldwall.server.portal.work.works import Works  # noqa: PLC0415 - see above

    settings, registry = services.settings, new_registry()
    connections = ConnectionGuard(settings.public_port, monotonic)
    attempts = Attempts(settings.limits, monotonic)
    about = About(
        version=__version__,
        public_urls=settings.public_urls,
        token_url=f"{settings.public_url}/{settings.tenant_id}/oauth2/v2.0/token",
        permissions=in_words(PERMISSIONS),
    )
    publishing = Publishing(lambda: create_document(routes.routes, about))
    works = Works(services)
    watching = Watching(services, works, draw_between)
    parts: dict[type, object] = {
        AdminServices: services,
        Attempts: attempts,
        Callers: Callers(services, VerificationKeys(services.signers, services.clock)),
        CatalogResources: CatalogResources(services.catalog),
        CollectorRegistry: registry,
        ProviderClient: ProviderClient(services.outgoing),
        Publishing: publishing,
        Readiness: Readiness(database=services.database, signer=services.signer),
        SignInLimits: SignInLimits(attempts, monotonic),
        Throttle: Throttle(settings.limits, monotonic),
        Watching: watching,
        Works: works,
    }
    paths = NormalPaths(WithParts(routes, parts), names_in(route.path for route in routes.routes))
    measures, new_request_id = AdminMeasures(registry), RequestIds()
    parts[Inside] = Inside(WatchedRequests(application=paths, measures=measures, new_request_id=new_request_id))
    front = AdminFront(
        application=paths,
        addresses={normal_authority(authority_of(url)): url for url in settings.public_urls},
        connections=connections,
    )
    watched = WatchedRequests(
        application=front, measures=measures, new_request_id=new_request_id, tracing=tracing or NoTracing()
    )
    told = EventMeasures(registry)
    return Admin(
        application=watched,
        connections=connections,
        publishing=publishing,
        works=works,
        watching=watching,
        housekeeping=Housekeeping(services=services),
        sampling=Sampling(services=services),
        sweeping=Sweeping(services=services, measures=SweepMeasures(registry), holder=new_id()),
        following=None if services.fleets is None else Following(fleets=services.fleets),
        dispatching=Dispatching(
            services=services, box=SecretBox.from_file(settings.nonce_key), draw=draw_between, measures=told
        ),
        streaming=Streaming(services=services, streams=open_streams(services), draw=draw_between, measures=told),
    )


@contextmanager
def _database(settings: ServerSettings) -> Iterator[Database]:
    database = Database(settings.database)
    try:
        yield database
    finally:
        database.close()


@asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
