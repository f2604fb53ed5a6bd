"""Who is asked to check in is found in the order of asking, page by page, and not when they came."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text
from tests.support.samples import NOON, TENANT_ID, a_device, device_id

from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.devices.sync_requests import Asked, asked
from shieldwall.server.storage.engine.database import Database


def test_pages_follow_each_other_and_leave_out_who_was_not_asked(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        for number in range(7):
            devices.add(connection, a_device(number))
            check_ins.add(connection, device_id(number))
        check_ins.request_sync(connection, [device_id(5), device_id(1)], NOON)
        check_ins.request_sync(connection, [device_id(3)], NOON + timedelta(seconds=1))
        check_ins.request_sync(connection, [device_id(2)], NOON - timedelta(minutes=1))

    with tenant_database.read() as connection:
        first = asked(connection, NOON, None, 2)
        second = asked(connection, NOON, first[-1], 2)
        third = asked(connection, NOON, second[-1], 2)

    later = NOON + timedelta(seconds=1)
    assert first == (Asked(NOON, device_id(1), TENANT_ID), Asked(NOON, device_id(5), TENANT_ID))
    assert (second, third) == ((Asked(later, device_id(3), TENANT_ID),), ())


def test_an_index_finds_them(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        for number in range(300):
            devices.add(connection, a_device(number))
            check_ins.add(connection, device_id(number))
        check_ins.request_sync(connection, [device_id(5)], NOON)
        if not tenant_database.is_sqlite:
            connection.execute(text("ANALYZE check_ins"))
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN" if tenant_database.is_sqlite else "EXPLAIN"
        query = "SELECT device_id FROM check_ins WHERE sync_requested_at IS NOT NULL AND sync_requested_at >= 0"
        plan = str(connection.execute(text(f"{explain} {query} ORDER BY sync_requested_at, device_id LIMIT 9")).all())
    assert "ix_check_ins_asked" in plan
