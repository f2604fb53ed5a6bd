"""Cursors of the list of devices: what they carry comes from outside, and is read so on either engine."""

from __future__ import annotations

from datetime import datetime

import pytest
from tests.support.samples import NOON, TENANT_ID, a_device, device_id

from shieldwall.server.inventory.machines import (
    BadCursorError,
    Wanted,
    filter_at,
    list_machines,
    read_cursor,
    write_cursor,
)
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.inventory.inventory_queries import BY_ID, Order, Position, Sort

KEYS: dict[Sort, int | datetime] = {
    Sort.EXPOSURE: 3,
    Sort.ENROLLMENT_CODE: 3,
    Sort.REGISTERED: NOON,
    Sort.LAST_CHECK_IN: NOON,
}


@pytest.mark.parametrize("by", Sort)
def test_a_cursor_says_where_it_is_and_no_other_order_takes_it(by: Sort) -> None:
    phase = 1 if by is Sort.LAST_CHECK_IN else 0
    here = Position(phase, KEYS.get(by, "web"), device_id(5) if by in BY_ID else 5)
    cursor = write_cursor(here, Order(by=by))
    assert read_cursor(cursor, Order(by=by)) == here
    with pytest.raises(BadCursorError):
        read_cursor(cursor, Order(by=by, descending=True))


@pytest.mark.parametrize(
    "cursor",
    [
        f"name.0.d2Vi.{device_id(5)}",  # as they were before rows were told apart by numbers
        "name.0.d2Vi.",
        "name.0.d2Vi.x",
        "name.0.d2Vi.\u0665",
        "name.0.d2Vi.2147483648",
        "name.0.d2Vi.-2147483648",
        "name.0.d2Vi.99999999999999",
        f"exposure.0.MjE0NzQ4MzY0OA.{device_id(5)}",
        "exposure.0.MA.5",
        "lastCheckIn.0.d2Vi.5",
    ],
)
def test_a_cursor_that_names_no_row_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursorError):
        read_cursor(cursor, Order(by=Sort(cursor.partition(".")[0])))


@pytest.mark.parametrize("last", ["2147483647", "-2147483647", "0"])
def test_a_cursor_with_any_number_begins_a_page_somewhere(tenant_database: Database, last: str) -> None:
    with tenant_database.write() as connection:
        devices.add(connection, a_device(1))
        check_ins.add(connection, device_id(1))
    with tenant_database.read() as connection:
        for name, key in (("name", ""), ("enrollmentCode", "LTIxNDc0ODM2NDc")):
            wanted = Wanted(filter=filter_at(NOON), order=Order(by=Sort(name)), cursor=f"{name}.0.{key}.{last}")
            assert [each.device.id for each in list_machines(connection, TENANT_ID, wanted)] == [device_id(1)]
