"""The composition root: read this and you know what a server is made of.

Three processes share one data directory. The **signer** alone holds keys (``shieldwall.server.signer``). The
**gateway** talks to devices (``gateway.composition``). The **admin** process talks to administrators and their tools,
``open_admin``. ``running.run`` starts the three and watches over them.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from shieldwall import __version__
from shieldwall.catalog import loader
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.access.throttling import Attempts, Throttle
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.configuration.settings import ServerSettings, authority_of
from shieldwall.server.configuration.signers import open_signers
from shieldwall.server.directory.tenancy import Tenancy
from shieldwall.server.directory.verification_keys import VerificationKeys
from shieldwall.server.events.dispatching import Dispatching
from shieldwall.server.events.measures import EventMeasures
from shieldwall.server.events.sealing import SecretBox
from shieldwall.server.events.streams.opening import open_streams
from shieldwall.server.events.streams.streaming import Streaming
from shieldwall.server.gateway.composition import beside, opened_database
from shieldwall.server.gateway.guard import normal_authority
from shieldwall.server.listening.connections import ConnectionGuard
from shieldwall.server.manager.figures import FleetFigures
from shieldwall.server.observing.observability import new_registry
from shieldwall.server.observing.readiness import Readiness
from shieldwall.server.observing.tracing import NoTracing, Tracing, open_tracing
from shieldwall.server.observing.upkeep import Upkeep
from shieldwall.server.outgoing.opening import open_outgoing
from shieldwall.server.periodic.housekeeping import Housekeeping
from shieldwall.server.periodic.keeping_history import keeping_history
from shieldwall.server.periodic.sampling import Sampling
from shieldwall.server.periodic.sweeping import Sweeping, SweepMeasures
from shieldwall.server.push import key_files
from shieldwall.server.push.waking import PushMeasures, Waking
from shieldwall.server.reporting.following import FleetReports
from shieldwall.server.reporting.history.keeping import KeepingHistory
from shieldwall.server.reporting.running import Following
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.system import RequestIds, SystemClock, draw_between, new_id
from shieldwall.server.targeting.rule_previews import RulePreviews
from shieldwall.server.targeting.unmoved import Unmoved

if TYPE_CHECKING:
    from litestar import Litestar

    from shieldwall.server.openapi.publishing import Publishing
    from shieldwall.server.portal.live.watching import Watching
    from shieldwall.server.portal.work.works import Works

ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]


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
    history: KeepingHistory | None
    waking: Waking | None
    dispatching: Dispatching
    streaming: Streaming

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep going what turns beside the application."""
        self.publishing.prepare()
        self.works.open()
        async with beside(
            self.connections.run(),
            self.housekeeping.run(),
            self.sampling.run(),
            self.sweeping.run(),
            *(() if self.following is None else (self.following.run(),)),
            *(() if self.history is None else (self.history.run(),)),
            *(() if self.waking is None else (self.waking.run(),)),
            self.dispatching.run(),
            self.streaming.run(),
            self.watching.run(),
        ):
            try:
                yield
            finally:
                self.works.close()


@contextmanager
def open_services(settings: ServerSettings, tenant: str | None = None) -> Iterator[AdminServices]:
    """Open everything that administrators' front doors and the console need.

    They work for the tenant named by its id or domain, or for the one that the server was made with.

    Raises:
        NotFoundError: There is no such tenant.
    """
    with (
        open_signers(settings) as signers,
        opened_database(settings) as database,
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
            home=settings.held_fleets,
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
        tracing.follow(services.database.followed)
        previews = RulePreviews.of(services.database, settings.run, settings.targeting_rules_socket, monotonic)
        asking = replace(services, rule_previews=previews)
        yield compose_admin(asking, create_admin_routes(), monotonic=monotonic, tracing=tracing)


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


def _waking(services: AdminServices, registry: CollectorRegistry) -> Waking | None:
    settings = services.settings
    if settings.push is None:
        return None
    return Waking(
        push=settings.push,
        account=key_files.load_account(settings.push_keys),
        context=ssl.create_default_context(cafile=str(settings.tls_authority)),
        database=services.database,
        clock=services.clock,
        measures=PushMeasures(registry),
    )


def compose_admin(
    services: AdminServices, routes: Litestar, *, monotonic: Callable[[], float], tracing: Tracing | None = None
) -> Admin:
    """Put the administrators' application together from parts that are open, and the routes that find them."""
    # Here, so that the gateway's process does not load a web framework that it never uses.
    from shieldwall.server.admin.callers import Callers  # noqa: PLC0415 - see above
    from shieldwall.server.admin.parts import WithParts  # noqa: PLC0415 - see above
    from shieldwall.server.graph.batch import Inside  # noqa: PLC0415 - see above
    from shieldwall.server.graph.catalog_resources import CatalogResources  # noqa: PLC0415 - see above
    from shieldwall.server.graph.paths import NormalPaths, names_in  # noqa: PLC0415 - see above
    from shieldwall.server.listening.admin_front import AdminFront  # noqa: PLC0415 - see above
    from shieldwall.server.listening.admin_requests import AdminMeasures, WatchedRequests  # noqa: PLC0415 - see above
    from shieldwall.server.openapi.document import About, create_document  # noqa: PLC0415 - see above
    from shieldwall.server.openapi.permission_words import in_words  # noqa: PLC0415 - see above
    from shieldwall.server.openapi.publishing import Publishing  # noqa: PLC0415 - see above
    from shieldwall.server.portal.live.watching import Watching  # noqa: PLC0415 - see above
    from shieldwall.server.portal.sign_in.limits import SignInLimits  # noqa: PLC0415 - see above
    from shieldwall.server.portal.sign_in.provider_client import ProviderClient  # noqa: PLC0415 - see above
    from shieldwall.server.portal.work.works import Works  # noqa: PLC0415 - see above

    settings, history = services.settings, keeping_history(services)
    registry = new_registry(settings, () if history is None else (Upkeep.HISTORY,))
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
        sweeping=Sweeping(
            services=services,
            measures=SweepMeasures(registry),
            holder=new_id(),
            unmoved=Unmoved.of(settings.run, settings.nonce_key, monotonic),
        ),
        following=None if services.fleets is None else Following(fleets=services.fleets),
        history=history,
        waking=_waking(services, registry),
        dispatching=Dispatching(
            services=services, box=SecretBox.from_file(settings.nonce_key), draw=draw_between, measures=told
        ),
        streaming=Streaming(services=services, streams=open_streams(services), draw=draw_between, measures=told),
    )
