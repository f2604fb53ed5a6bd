"""What a gateway is made of: the process that talks to devices.

It stands apart from what the admin process is made of (``main``), so that a gateway that was killed is soon there
again: it loads neither a web framework nor whatever administrators alone need.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from typing import Any

from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId
from shieldwall.server.configuration.settings import ServerSettings, authority_of
from shieldwall.server.configuration.signers import open_signers
from shieldwall.server.gateway.acting import GatewayActing
from shieldwall.server.gateway.admission import Admission
from shieldwall.server.gateway.application import Application
from shieldwall.server.gateway.authentication import Authentication
from shieldwall.server.gateway.catching_up import CatchingUp
from shieldwall.server.gateway.gathering import Company
from shieldwall.server.gateway.guard import BodyWatch, normal_authority
from shieldwall.server.gateway.heartbeat import Heartbeat
from shieldwall.server.gateway.measures import GatewayMeasures
from shieldwall.server.gateway.reading import Reading
from shieldwall.server.gateway.routing import GatewayRouting
from shieldwall.server.gateway.wait_channels import WaitChannels
from shieldwall.server.gateway.workers import Workers
from shieldwall.server.inventory.nonces import NonceSealer
from shieldwall.server.listening.connections import ConnectionGuard
from shieldwall.server.manager import sync
from shieldwall.server.observing.observability import new_registry
from shieldwall.server.observing.tracing import NoTracing, Tracing, open_tracing
from shieldwall.server.signer.ports import Signers
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.system import RequestIds, SystemClock, draw_between, new_id
from shieldwall.server.targeting.unmoved import Unmoved


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
        tracing.follow(database.followed)
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
    tracing: Tracing | None = None,
) -> Iterator[Gateway]:
    """Put a gateway together from parts that are open; a simulation hands in time, ids and chance of its own."""
    registry = new_registry(settings)
    measures = GatewayMeasures(registry)
    writer = GroupCommit(database)
    workers, beside_signer = Workers(), Workers()  # so that nobody who is looked up waits for a slow signer
    authentication = Authentication(database, workers)
    reading = Reading(monotonic)
    connections = ConnectionGuard(settings.gateway_port, monotonic)
    admission = Admission(monotonic=monotonic, draw_between=draw_between)
    acting = GatewayActing(clock=clock, new_id=new_id, sealer=NonceSealer(key=settings.nonce_key.read_bytes()))
    unmoved = Unmoved.of(settings.run, settings.nonce_key, monotonic)
    catching_up = CatchingUp(writer, acting.in_tenant, unmoved)
    channels = WaitChannels(_due(database, workers, catching_up))
    routing = GatewayRouting(
        settings=settings,
        database=database,
        signers=signers,
        clock=clock,
        monotonic=monotonic,
        acting=acting,
        writer=writer,
        workers=workers,
        beside_signer=beside_signer,
        authentication=authentication,
        reading=reading,
        channels=channels,
        catching_up=catching_up,
        registry=registry,
    )
    measures.watch("wait_channels", "Devices waiting for a policy sync.", lambda: channels.count)
    measures.watch("caught_up", "Devices that took up a change as they came or waited.", lambda: catching_up.count)
    measures.watch("not_computed", "Devices that took up a change and kept their target.", lambda: unmoved.count)
    unmoved.measure(registry)
    _watch_commits(measures, writer)
    _watch_crowds(measures, connections, admission)
    try:
        yield Gateway(
            application=Application(
                router=routing.router(),
                authority=normal_authority(authority_of(settings.gateway_url)),
                authentication=authentication,
                reading=reading,
                clock=clock,
                connections=connections,
                bodies=BodyWatch(),
                measures=measures,
                admission=admission,
                company=Company(),
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


def _due(
    database: Database, workers: Workers, catching_up: CatchingUp
) -> Callable[[Collection[DeviceId]], Coroutine[Any, Any, frozenset[DeviceId]]]:
    """Return what finds, among devices that wait, those that something waits for."""

    def asked_to_come(waiting: Collection[DeviceId]) -> sync.AskedToCome:
        with database.read() as connection:
            return sync.asked_to_come(connection, waiting)

    async def due(waiting: Collection[DeviceId]) -> frozenset[DeviceId]:
        asked = await workers.run(asked_to_come, waiting)
        return asked.due | await catching_up.bring_all(asked.behind)

    return due


def _watch_commits(measures: GatewayMeasures, writer: GroupCommit) -> None:
    measures.watch("commits", "Transactions made durable.", lambda: writer.commits)
    measures.watch("log_bytes", "Size of SQLite's write-ahead log.", lambda: writer.log.size)
    measures.watch("writes", "Requests acknowledged by those transactions.", lambda: writer.acknowledged)


def _watch_crowds(measures: GatewayMeasures, connections: ConnectionGuard, admission: Admission) -> None:
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
