"""What a gateway is made of: the process that talks to devices.

It stands apart from what the admin process is made of (``main``), so that a gateway that was killed is soon there
again: it loads neither a web framework nor whatever administrators alone need.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection

from shieldwall.catalog import loader
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.connections import ConnectionGuard
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.tenancy import Tenancy
from shieldwall.server.gateway.admission import Admission
from shieldwall.server.gateway.application import Application
from shieldwall.server.gateway.authentication import Authentication
from shieldwall.server.gateway.catching_up import CatchingUp
from shieldwall.server.gateway.endpoints.attesting import Attesting
from shieldwall.server.gateway.endpoints.checking_in import CheckingIn
from shieldwall.server.gateway.endpoints.discovery import Discovery
from shieldwall.server.gateway.endpoints.enrolling import Enrolling
from shieldwall.server.gateway.endpoints.health import Health
from shieldwall.server.gateway.endpoints.keeping_identity import KeepingIdentity
from shieldwall.server.gateway.endpoints.opening_lines import Broker, OpeningLines
from shieldwall.server.gateway.endpoints.promoting import Promoting
from shieldwall.server.gateway.endpoints.telling_events import TellingEvents
from shieldwall.server.gateway.endpoints.telling_time import TellingTime
from shieldwall.server.gateway.guard import BodyWatch, normal_authority
from shieldwall.server.gateway.heartbeat import Heartbeat
from shieldwall.server.gateway.measures import GatewayMeasures
from shieldwall.server.gateway.pacing import PacedWriter
from shieldwall.server.gateway.quiet_check_ins import QuietCheckIns
from shieldwall.server.gateway.rate_limit import SharedBucket, TokenBuckets
from shieldwall.server.gateway.reading import Reading
from shieldwall.server.gateway.routes import Router
from shieldwall.server.gateway.signing import Signing
from shieldwall.server.gateway.tenancy import PathTenants
from shieldwall.server.gateway.wait_channels import WaitChannels
from shieldwall.server.gateway.workers import Workers
from shieldwall.server.inventory.nonces import NonceSealer
from shieldwall.server.inventory.onboarding import Onboarding
from shieldwall.server.inventory.pending import CertificateIssuer
from shieldwall.server.inventory.promotion import Promotion
from shieldwall.server.manager import sync
from shieldwall.server.manager.catching_up import CATCHING_UP
from shieldwall.server.manager.check_in import CheckIn
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.observability import new_registry
from shieldwall.server.push import key_files
from shieldwall.server.readiness import Readiness
from shieldwall.server.settings import ServerSettings, authority_of
from shieldwall.server.signer.ports import Signers
from shieldwall.server.signers import open_signers
from shieldwall.server.storage.database import Database
from shieldwall.server.storage.group_commit import GroupCommit
from shieldwall.server.system import RequestIds, SystemClock, draw_between, new_id
from shieldwall.server.targeting.unmoved import Unmoved
from shieldwall.server.tracing import NoTracing, Tracing, open_tracing

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
        async with beside(self.channels.run(), self.connections.run(), self.heartbeat.run()):
            yield

    async def until(self, asked: asyncio.Event) -> None:
        """Wait until somebody asks for the end, and then let those go who would be waited for, for minutes."""
        await asked.wait()
        self.channels.end()


@contextmanager
def open_gateway(settings: ServerSettings, *, monotonic: Callable[[], float]) -> Iterator[Gateway]:
    """Open the database and the line to the signer, and put a gateway together."""
    with (
        open_signers(settings) as signer,
        opened_database(settings) as database,
        closing(open_tracing(settings.telemetry, "gateway", draw_between)) as tracing,
        compose_gateway(
            settings, database=database, signers=signer, clock=SystemClock(), monotonic=monotonic, tracing=tracing
        ) as gateway,
    ):
        tracing.follow(database.engine)
        yield gateway


def _broker(settings: ServerSettings) -> Broker | None:
    if settings.push is None:
        return None
    return Broker(url=settings.push.url, account=key_files.load_account(settings.push_keys))


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
    tracing: Tracing | None = None,
) -> Iterator[Gateway]:
    """Put a gateway together from parts that are open; a simulation hands in time, ids and chance of its own."""
    registry = new_registry(settings)
    measures = GatewayMeasures(registry)
    writer = GroupCommit(database)
    workers, beside_signer = Workers(), Workers()  # so that nobody who is looked up waits for a slow signer
    signing = Signing(signers=signers, workers=beside_signer)
    authentication = Authentication(database, workers)
    reading = Reading(monotonic)
    connections = ConnectionGuard(settings.gateway_port, monotonic)
    admission = Admission(monotonic=monotonic, draw_between=draw_between)
    sealer = NonceSealer(key=settings.nonce_key.read_bytes())

    def aim_anew(connection: Connection, device_ids: frozenset[DeviceId]) -> None:
        retarget(connection, device_ids, clock.now())

    def acting_in(tenant_id: TenantId, actor: str = CATCHING_UP) -> Acting:
        return Acting(tenant_id=tenant_id, actor=actor, clock=clock, new_id=new_id, on_devices_changed=aim_anew)

    def acting_for(device: CallingDevice) -> Acting:
        return acting_in(device.tenant_id, f"device:{device.id}")

    unmoved = Unmoved.of(settings.run, settings.nonce_key, monotonic)
    catching_up = CatchingUp(writer, acting_in, unmoved)

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

    def onboarding_for(tenant_id: TenantId, issuer: CertificateIssuer) -> Onboarding:
        return Onboarding(
            tenant_id=tenant_id,
            signer=issuer,
            sealer=sealer,
            clock=clock,
            new_id=new_id,
            on_devices_changed=aim_anew,
        )

    def promotion_for(device: CallingDevice, issuer: CertificateIssuer) -> Promotion:
        return Promotion(acting=acting_for(device), signer=issuer, sealer=sealer)

    path_tenants = PathTenants(tenancy=Tenancy(database), workers=workers)
    enrolling = Enrolling(
        tenants=path_tenants,
        sealer=sealer,
        onboarding_for=onboarding_for,
        signing=signing,
        new_id=new_id,
        acting_for=acting_for,
        writer=writer,
        clock=clock,
        bucket=SharedBucket(rate=UNSIGNED_PER_SECOND, burst=UNSIGNED_AT_ONCE, monotonic=monotonic),
        reading=reading,
    )
    router = Router(
        (
            *Discovery(tenants=path_tenants, gateway_url=settings.gateway_url, clock=clock).routes(),
            *enrolling.routes(),
            *Attesting(signing=signing, acting_for=acting_for, writer=writer, clock=clock).routes(),
            *Promoting(promotion_for=promotion_for, signing=signing, writer=writer, clock=clock).routes(),
            *KeepingIdentity(
                signing=signing, sealer=sealer, acting_for=acting_for, writer=paced_writer(), clock=clock
            ).routes(),
            *CheckingIn(
                check_in=CheckIn(signers=signers, clock=clock, acting_for=acting_for, catalog=cache(loader.load)),
                clock=clock,
                writer=writer,
                signing=signing,
                channels=channels,
                catching_up=catching_up,
                quiet=QuietCheckIns(authentication.callers_of, writer, clock),
                reading=reading,
                facts_writer=paced_writer(),
            ).routes(),
            *OpeningLines(broker=_broker(settings), writer=writer, clock=clock).routes(),
            *TellingEvents(writer=paced_writer(), clock=clock).routes(),
            *TellingTime(
                home=settings.tenant_id,
                tenants=path_tenants,
                signing=signing,
                bucket=SharedBucket(rate=TIMES_PER_SECOND, burst=TIMES_AT_ONCE, monotonic=monotonic),
            ).routes(),
            *Health(
                readiness=Readiness(database=database, signer=signers.for_tenant(settings.tenant_id)),
                workers=beside_signer,
                registry=registry,
            ).routes(),
        )
    )
    measures.watch("wait_channels", "Devices waiting for a policy sync.", lambda: channels.count)
    measures.watch("commits", "Transactions made durable.", lambda: writer.commits)
    measures.watch("log_bytes", "Size of SQLite's write-ahead log.", lambda: writer.log.size)
    measures.watch("writes", "Requests acknowledged by those transactions.", lambda: writer.acknowledged)
    measures.watch("caught_up", "Devices that took up a change as they came or waited.", lambda: catching_up.count)
    measures.watch("not_computed", "Devices that took up a change and kept their target.", lambda: unmoved.count)
    unmoved.measure(registry)
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
                authentication=authentication,
                reading=reading,
                clock=clock,
                connections=connections,
                bodies=BodyWatch(),
                measures=measures,
                admission=admission,
                new_request_id=RequestIds(),
                draw_between=draw_between,
                tracing=tracing or NoTracing(),
            ),
            channels=channels,
            connections=connections,
            heartbeat=Heartbeat(admission=admission, measures=measures, monotonic=monotonic),
        )
    finally:
        workers.close()
        beside_signer.close()
        writer.close()


@contextmanager
def opened_database(settings: ServerSettings) -> Iterator[Database]:
    """Open the database of a server, and close it at the end."""
    database = Database(settings.database)
    try:
        yield database
    finally:
        database.close()


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Keep work going beside what is done meanwhile, and end it with that."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
