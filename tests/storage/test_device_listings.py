"""Who is silent is found by the index of check-ins, and every page is what going through the devices would say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import ColumnElement, and_, event, literal
from tests.support.samples import NOON, TENANT_ID, a_device, device_id

from shieldwall.server.storage.devices import device_listings, devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.order_terms import OrderTerm, Tally
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tables.folding import Folded
from shieldwall.server.storage.tables.schema import check_ins, inventory
from shieldwall.server.storage.tables.schema import devices as devices_table

SEEN = {1: 9, 2: None, 3: 5, 4: 8, 5: 0, 6: 7, 7: None, 8: 7, 9: 30}
"""How many days ago each was in touch."""
contact = check_ins.c.last_check_in
LATE = contact < NOON - timedelta(days=6)
IN_TIME = contact >= NOON - timedelta(days=6)
EVEN = inventory.c.device_id.in_([device_id(number) for number in (2, 4, 6, 8)])
LINUX = inventory.c.os_folded == "linux"
MAKERS = {1: "Contoso", 3: "CONTOSO", 4: "Stra\u00dfe 7", 6: "Contoso Ltd", 8: "\u212aelvin"}
"""The others are made by Fabrikam. The last begins with a sign that is a small k, as letters are made small."""


def made_by(maker: str) -> ColumnElement[bool]:
    return Folded(devices_table.c.manufacturer) == literal(maker)


ASKED: dict[str, tuple[tuple[ColumnElement[bool], ...], set[int]]] = {
    "silent": ((LATE,), {1, 4, 6, 8, 9}),
    "never": ((contact.is_(None),), {2, 7}),
    "in touch": ((IN_TIME,), {3, 5}),
    "silent or never": ((LATE | contact.is_(None),), {1, 2, 4, 6, 7, 8, 9}),
    "silent, and some": ((LATE, EVEN), {4, 6, 8}),
    "as one": ((and_(LATE, LINUX, EVEN),), {4, 6, 8}),
    "nobody": ((and_(LATE, IN_TIME),), set()),
    "a maker": ((made_by("contoso"),), {1, 3}),
    "a maker, some": ((made_by("contoso"), LATE), {1}),
    "a maker of other letters": ((made_by("stra\u00dfe 7"),), {4}),
    "a maker of a sign": ((made_by("kelvin"),), {8}),
    "no maker": ((made_by("contos"),), set()),
    "no name": ((made_by(""),), set()),
}
ORDERS: dict[str, tuple[OrderTerm, ...]] = {
    "contact": (OrderTerm(contact, nullable=True),),
    "contact, turned round": (OrderTerm(contact, nullable=True, descending=True),),
    "name": (OrderTerm(inventory.c.name_folded),),
    "id": (),
}


@pytest.fixture
def fleet(tenant_database: Database) -> Database:
    """Nine devices; the names go the other way than the ids."""
    with tenant_database.write() as connection:
        for number, days in SEEN.items():
            maker = MAKERS.get(number, "Fabrikam")
            devices.add(connection, a_device(number, display_name=f"web-{20 - number}", manufacturer=maker))
            seen = None if days is None else NOON - timedelta(days=days)
            row = {"device_id": device_id(number), "tenant_id": TENANT_ID, "epoch": 1, "seq": 1}
            connection.execute(check_ins.insert().values(last_check_in=seen, **row))
    return tenant_database


def in_order(numbers: set[int], order: str) -> list[int]:
    if order in {"name", "id"}:
        return sorted(numbers, reverse=order == "name")
    ago = {number: 1_000 if days is None else days for number, days in SEEN.items()}
    found = sorted(numbers, key=lambda number: (-ago[number], number))
    return found[::-1] if "turned" in order else found


@pytest.mark.parametrize("few", [1, 4, 5_000])
def test_pages_are_those_of_going_through_all(fleet: Database, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_listings, "FEW", few)
    names = {device_id(number): f"web-{20 - number}" for number in SEEN}
    moments = {
        device_id(number): None if days is None else NOON - timedelta(days=days) for number, days in SEEN.items()
    }
    with fleet.read() as connection:
        for what, (where, fitting) in ASKED.items():
            for order, terms in ORDERS.items():
                found: list[Any] = []
                after, tally = None, Tally()
                place: tuple[Any, ...] = ()
                while True:
                    page = Page(size=2, after=after, where=where, order=terms, place=place, tally=tally)
                    ids = device_listings.list_ids(connection, TENANT_ID, page)
                    assert tally.total == len(fitting)
                    found += ids
                    if len(ids) < 2:
                        break
                    after = ids[-1]
                    place = (names[after] if order == "name" else moments[after],) if terms else ()
                assert found == [device_id(number) for number in in_order(fitting, order)], (what, order)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("more", [(), (LINUX,)])
def test_of_few_silent_ones_no_others_are_read(fleet: Database, more: tuple[ColumnElement[bool], ...]) -> None:
    plans: list[str] = []

    def explain(_: Any, cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        rows = cursor.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        plans.append("\n".join(str(row[-1]) for row in rows))

    with fleet.read() as connection:
        event.listen(connection, "before_cursor_execute", explain)
        page = Page(size=2, where=(LATE, *more), order=ORDERS["contact"])
        device_listings.list_ids(connection, TENANT_ID, page)
        event.remove(connection, "before_cursor_execute", explain)

    assert "ix_check_ins_tenant_number_last_check_in_device_id (tenant_number=? AND last_check_in<?)" in plans[0]
    assert more or not any("inventory" in plan for plan in plans), plans
    assert not any("inventory USING" in plan and "(tenant_id=?" in plan for plan in plans), plans
