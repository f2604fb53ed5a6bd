"""Which endpoints a gateway has, and how often each of them may be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry

from shieldwall.catalog import loader
from shieldwall.contract.clock import Clock
from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.directory.tenancy import Tenancy
from shieldwall.server.gateway.acting import GatewayActing
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
from shieldwall.server.gateway.pacing import PacedWriter
from shieldwall.server.gateway.quiet_check_ins import QuietCheckIns
from shieldwall.server.gateway.rate_limit import SharedBucket, TokenBuckets
from shieldwall.server.gateway.reading import Reading
from shieldwall.server.gateway.routes import Route, Router
from shieldwall.server.gateway.signing import Signing
from shieldwall.server.gateway.tenancy import PathTenants
from shieldwall.server.gateway.wait_channels import WaitChannels
from shieldwall.server.gateway.workers import Workers
from shieldwall.server.manager.check_in import CheckIn
from shieldwall.server.observing.readiness import Readiness
from shieldwall.server.push import key_files
from shieldwall.server.signer.ports import Signers
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.engine.database import Database

UNSIGNED_PER_SECOND: Final = 50.0
UNSIGNED_AT_ONCE: Final = 200
TIMES_PER_SECOND: Final = 200.0
TIMES_AT_ONCE: Final = 600
"""Signed time confirms a change that might have cut a device off: a million devices ask 185 times a second for it."""
OF_ONE_DEVICE_PER_MINUTE: Final = 1.0
OF_ONE_DEVICE_AT_ONCE: Final = 60
"""Renewals, key changes and resyncs of one device together; as many check-ins that bring facts; as often its events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRouting:
    """Makes the endpoints of what they share."""

    settings: ServerSettings
    database: Database
    signers: Signers
    clock: Clock
    monotonic: Callable[[], float]
    acting: GatewayActing
    writer: GroupCommit
    workers: Workers
    beside_signer: Workers
    """Those who wait for the signer."""
    authentication: Authentication
    reading: Reading
    channels: WaitChannels
    catching_up: CatchingUp
    registry: CollectorRegistry

    def router(self) -> Router:
        """Return the way to every endpoint."""
        signing = Signing(signers=self.signers, workers=self.beside_signer)
        tenants = PathTenants(tenancy=Tenancy(self.database), workers=self.workers)
        return Router((*self._for_anybody(signing, tenants), *self._identity(signing), *self._check_in(signing)))

    def _for_anybody(self, signing: Signing, tenants: PathTenants) -> Iterator[Route]:
        """Yield what is asked by those who are not known yet, and by those who need not be."""
        home = self.settings.tenant_id
        yield from Discovery(tenants=tenants, gateway_url=self.settings.gateway_url, clock=self.clock).routes()
        yield from Enrolling(
            tenants=tenants,
            sealer=self.acting.sealer,
            onboarding_for=self.acting.onboarding,
            signing=signing,
            new_id=self.acting.new_id,
            acting_for=self.acting.for_device,
            writer=self.writer,
            clock=self.clock,
            bucket=SharedBucket(rate=UNSIGNED_PER_SECOND, burst=UNSIGNED_AT_ONCE, monotonic=self.monotonic),
            reading=self.reading,
        ).routes()
        yield from TellingTime(
            home=home,
            tenants=tenants,
            signing=signing,
            bucket=SharedBucket(rate=TIMES_PER_SECOND, burst=TIMES_AT_ONCE, monotonic=self.monotonic),
        ).routes()
        yield from Health(
            readiness=Readiness(database=self.database, signer=self.signers.for_tenant(home)),
            registry=self.registry,
        ).routes()

    def _identity(self, signing: Signing) -> Iterator[Route]:
        """Yield what a device asks about who it is."""
        writer, clock, acting_for = self.writer, self.clock, self.acting.for_device
        yield from Attesting(signing=signing, acting_for=acting_for, writer=writer, clock=clock).routes()
        yield from Promoting(promotion_for=self.acting.promotion, signing=signing, writer=writer, clock=clock).routes()
        yield from KeepingIdentity(
            signing=signing,
            sealer=self.acting.sealer,
            acting_for=acting_for,
            writer=self._paced_writer(),
            clock=clock,
        ).routes()

    def _check_in(self, signing: Signing) -> Iterator[Route]:
        """Yield what a device that is in comes with day by day."""
        writer, clock, acting_for = self.writer, self.clock, self.acting.for_device
        yield from CheckingIn(
            check_in=CheckIn(signers=self.signers, clock=clock, acting_for=acting_for, catalog=cache(loader.load)),
            clock=clock,
            writer=writer,
            signing=signing,
            channels=self.channels,
            catching_up=self.catching_up,
            quiet=QuietCheckIns(self.authentication.callers_of, writer, clock),
            reading=self.reading,
            facts_writer=self._paced_writer(),
        ).routes()
        yield from OpeningLines(broker=_broker(self.settings), writer=writer, clock=clock).routes()
        yield from TellingEvents(writer=self._paced_writer(), clock=clock).routes()

    def _paced_writer(self) -> PacedWriter:
        rate = OF_ONE_DEVICE_PER_MINUTE / 60
        buckets = TokenBuckets(rate=rate, burst=OF_ONE_DEVICE_AT_ONCE, monotonic=self.monotonic)
        return PacedWriter(writer=self.writer, buckets=buckets)


def _broker(settings: ServerSettings) -> Broker | None:
    if settings.push is None:
        return None
    return Broker(url=settings.push.url, account=key_files.load_account(settings.push_keys))
