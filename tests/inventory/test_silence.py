"""Stale devices: each in the band of its silence, listed from the longest on, however the list is cut."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, update
from tests.support.samples import NOON, TENANT_ID, a_device, device_id

from shieldwall.server.inventory import silence
from shieldwall.server.inventory.machines import BadCursorError
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tables.schema import check_ins as check_in_rows
from shieldwall.server.storage.tables.schema import inventory

LONG_AGO = NOON - timedelta(days=400)


@pytest.fixture
def connection(tenant_database: Database) -> Iterator[Connection]:
    with tenant_database.write() as connection:
        yield connection


def silent_for(connection: Connection, number: int, days: float | None, **changes: object) -> None:
    devices.add(connection, a_device(number, **({"registered_at": LONG_AGO} | changes)))
    check_ins.add(connection, device_id(number))
    at = None if days is None else NOON - timedelta(days=days)
    row = check_in_rows.c.device_id == device_id(number)
    connection.execute(update(check_in_rows).where(row).values(last_check_in=at))


def listed(connection: Connection, days: int, size: int, only: tuple[object, ...] = ()) -> list[str]:
    found: list[str] = []
    page = Page(size=size, where=only)  # type: ignore[arg-type]  # conditions
    while True:
        machines, cursor = silence.list_stale(connection, TENANT_ID, NOON, days, page)
        found += [each.device.id for each in machines]
        if not cursor:
            return found
        page = Page(size=size, after=cursor, where=only)  # type: ignore[arg-type]  # conditions


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(0, 200).map(lambda days: round(days, 3))), max_size=8),
    st.sampled_from(silence.DAYS),
    st.integers(1, 4),
)
def test_every_silent_device_is_listed_and_counted_once(
    connection: Connection, told: list[float | None], days: int, size: int
) -> None:
    with connection.begin_nested() as savepoint:
        for number, silent in enumerate(told, start=1):
            silent_for(connection, number, silent)

        found = listed(connection, days, size)
        counted = silence.bands(connection, TENANT_ID, NOON)

        stale = {n: silent for n, silent in enumerate(told, start=1) if silent is None or silent > days}
        wanted = sorted(stale, key=lambda n: (-(stale[n] if stale[n] is not None else 9e9), n))  # type: ignore[operator]
        assert found == [device_id(number) for number in wanted]
        for band in counted:
            assert band.count == sum(in_band(silent, band) for silent in told)
        savepoint.rollback()


def in_band(silent: float | None, band: silence.Band) -> bool:
    if silent is None or band.since is None:
        return silent is None and band.since is None
    return silent > band.since and (band.upto is None or silent <= band.upto)


def test_who_left_or_has_just_come_is_not_stale(connection: Connection) -> None:
    silent_for(connection, 1, 20, state=DeviceState.RETIRED)
    silent_for(connection, 2, None, registered_at=NOON)
    silent_for(connection, 3, 20)
    silent_for(connection, 4, 20)

    assert listed(connection, 7, 10) == [device_id(3), device_id(4)]
    assert listed(connection, 7, 10, (inventory.c.device_id == device_id(4),)) == [device_id(4)]


@pytest.mark.parametrize(
    "cursor", ["", "x", "never", f"1.{'x' * 36}", f"-{'9' * 14}.{device_id(1)}", f"'.{device_id(1)}"]
)
def test_a_cursor_that_is_none_of_ours_is_refused(connection: Connection, cursor: str) -> None:
    with pytest.raises(BadCursorError):
        silence.list_stale(connection, TENANT_ID, NOON, 7, Page(size=2, after=cursor))


def test_counting_stops_at_the_bound(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "MOST_COUNTED", 2)
    for number in range(1, 6):
        silent_for(connection, number, 8)

    first: silence.Band = silence.bands(connection, TENANT_ID, datetime.fromtimestamp(NOON.timestamp(), NOON.tzinfo))[0]
    assert first.count == 3
