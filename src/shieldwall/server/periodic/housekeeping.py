"""Housekeeping: beside the administrators' front door, and nowhere else, every tenant is cleaned up once an hour."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import following
from shieldwall.server.events.keeping import forget_all
from shieldwall.server.inventory import held_certificates
from shieldwall.server.inventory.cleaning import ACTOR, Cleaning, CleanUp, get_rules, preview
from shieldwall.server.manager import answers, unfinished
from shieldwall.server.manager.protection import end_troubleshooting
from shieldwall.server.storage.fleets import fleet_feed
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.statements.bulk import MOST_AT_ONCE
from shieldwall.server.storage.tenants import tenants

FIRST_AFTER_SECONDS: Final = 60.0
EVERY_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """Cleans up after everybody."""

    services: AdminServices
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Clean up every hour, until cancelled. What fails is tried again in the next round."""
        await self.sleep(FIRST_AFTER_SECONDS)
        while True:
            await asyncio.to_thread(self.once)
            await self.sleep(EVERY_SECONDS)

    def once(self) -> None:
        """Clean up one time. A tenant that cannot be cleaned up does not keep the others from it."""
        log = structlog.get_logger()
        for tenant in self._tenants():
            try:
                done = self.clean(tenant)
            except ShieldwallError as error:
                log.warning("clean_up_failed", tenant=tenant.id, code=error.code, cause=error.cause)
            except Exception:
                log.exception("clean_up_failed", tenant=tenant.id)
            else:
                if not done.is_nothing:
                    counts = {"replaced": done.replaced, "retired": done.retired, "removed": done.removed}
                    log.info("cleaned_up", tenant=tenant.id, **counts, rows=dict(done.rows))
        try:
            self.trim_feed()
        except ShieldwallError as error:
            log.warning("clean_up_failed", code=error.code, cause=error.cause)

    def trim_feed(self) -> None:
        """Forget which devices changed, as far as everybody knows who keeps fleets in memory; often that is nobody."""
        forgotten = MOST_AT_ONCE
        while forgotten == MOST_AT_ONCE:
            with self.services.database.write() as connection:
                forgotten = fleet_feed.trim(connection, self.services.clock.now(), MOST_AT_ONCE)

    def clean(self, tenant: Tenant) -> CleanUp:
        """Clean up one tenant."""
        services = self.services.of(tenant)
        services.signer.rotate_token_key(only_if_due=True)
        with services.database.write() as connection:
            end_troubleshooting(connection, services.acting(ACTOR))
            unfinished.forget_old(connection, tenant.id, services.clock.now())
        streams = [each.name for each in services.settings.audit_streams]
        forget_all(
            services.database, tenant.id, services.clock.now(), home=services.settings.tenant_id, streams=streams
        )
        following.forget_old(services.database, tenant.id, services.clock.now())
        answers.forget_superseded(services.database, tenant.id)
        held_certificates.forget_held(services.database, tenant.id)
        return Cleaning(database=services.database, acting=services.acting(ACTOR), signer=services.signer)()

    def looked(self) -> Iterator[tuple[Tenant, CleanUp]]:
        """Say of every tenant what would be cleaned up now."""
        now = self.services.clock.now()
        for tenant in self._tenants():
            with self.services.database.read() as connection:
                yield tenant, preview(connection, tenant.id, get_rules(connection, tenant.id), now)

    def cleaned(self) -> Iterator[tuple[Tenant, CleanUp]]:
        """Clean up every tenant, and say what was."""
        for tenant in self._tenants():
            yield tenant, self.clean(tenant)

    def _tenants(self) -> tuple[Tenant, ...]:
        with self.services.database.read() as connection:
            return tenants.list_tenants(connection)
