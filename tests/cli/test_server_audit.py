"""``shieldwall server audit``: all of the trail in order, and nobody waits for whoever reads it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.databases import database_url
from tests.support.samples import a_tenant

from shieldwall.cli.server_audit import _events
from shieldwall.contract.ids import TenantId
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.console.initialise import Initialise
from shieldwall.server.main import open_services
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import AuditEvent
from shieldwall.server.storage.tenants import tenants
from shieldwall.server.system import SystemClock, new_id

__all__ = ["database_url"]

BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)
ELSEWHERE = TenantId("99999999-0000-4000-8000-000000000001")
COUNT = 450


@pytest.fixture
def services(tmp_path: Path, database_url: str) -> Iterator[AdminServices]:
    """A server of two tenants, whose trail nobody has to be told of any more."""
    made = Initialise(clock=SystemClock(), new_id=new_id, randomness=lambda size: b"x" * size, tell=lambda _step: None)(
        tmp_path / "data",
        database=database_url,
        public_url="https://admin.example",
        gateway_url="https://devices.example:8444",
        listen="127.0.0.1",
        tenant_name="Example",
        domain="example.org",
    )
    with open_services(made) as opened:
        with opened.database.write() as connection:
            tenants.add(connection, a_tenant(id=ELSEWHERE, domain="elsewhere.example"))
            for number in range(COUNT):
                audit.add(connection, event(number, (made.tenant_id, ELSEWHERE)[number % 2]))
        with opened.database.write() as connection:
            for tenant_id in (made.tenant_id, ELSEWHERE):
                outbox.remove(connection, tenant_id, outbox.newest(connection), COUNT * 2)
        yield opened


def event(number: int, tenant_id: TenantId) -> AuditEvent:
    """Several happen at each moment."""
    return AuditEvent(
        id=new_id(),
        tenant_id=tenant_id,
        at=BEGINNING + timedelta(seconds=number // 8),
        actor="somebody",
        activity="group.created",
        object_kind="group",
        object_id=str(number),
        details="{}",
    )


def test_every_event_of_all_tenants_is_told_once_and_in_order(services: AdminServices) -> None:
    told = [(each.at, each.id) for each in _events(services, BEGINNING, None, follow=False)]
    assert len(told) >= COUNT
    assert told == sorted(set(told))


def test_one_tenant_is_told_from_a_moment_on(services: AdminServices) -> None:
    since = BEGINNING + timedelta(seconds=10)
    told = list(_events(services, since, services.tenant.domain, follow=False))
    own = [each for each in told if each.kind == "group.created"]
    assert len(own) == (COUNT - 10 * 8) / 2
    assert {each.tenant_id for each in told} == {services.tenant.id}


def test_no_connection_is_held_while_somebody_reads(services: AdminServices) -> None:
    """A pager that is left open over night shall keep neither SQLite's log nor a view of PostgreSQL."""
    told = _events(services, BEGINNING, None, follow=False)
    for _ in range(COUNT):
        next(told)
        assert services.database.followed.pool.checkedout() == 0  # type: ignore[attr-defined]  # every pool of ours counts
