"""Pages of devices follow an index in every order, also where it holds only those that are not like the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from tests.support.samples import NOON, TENANT_ID, a_device, device_id

from shieldwall.server.storage.check_ins import kept_answers, kept_certificates
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.inventory import inventory, inventory_windows
from shieldwall.server.storage.inventory.inventory_queries import BY_ID, Cut, Filter, Health, Order, Position, Sort
from shieldwall.server.storage.reports import retention

EVERYBODY = Filter(inactive_before=NOON - timedelta(days=7), states=frozenset(DeviceState))
KEYS: dict[Sort, Any] = {
    Sort.NAME: "web-000001",
    Sort.OS: "linux 000012",
    Sort.AGENT_VERSION: "000001",
    Sort.MANAGED_BY: "MDE",
    Sort.ENROLLMENT_CODE: 1,
    Sort.ATTESTATION: "none",
    Sort.TAG: "",
    Sort.REGISTERED: NOON,
    Sort.EXPOSURE: 0,
    Sort.STATE: "active",
}
OTHERS: dict[Sort, Any] = {Sort.EXPOSURE: 2, Sort.STATE: "pending"}
INDEXES = {Sort.EXPOSURE: "ix_inventory_exposed", Sort.STATE: "ix_inventory_other_states"}


@pytest.fixture
def some_devices(tenant_database: Database) -> None:
    """Devices that are all alike: PostgreSQL finds one index of an empty list as good as the other."""
    if tenant_database.is_sqlite:
        return
    with tenant_database.write() as connection:
        for number in range(1, 101):
            devices.add(connection, a_device(number))


@pytest.fixture
def plans(tenant_database: Database) -> Iterator[tuple[Connection, list[str]]]:
    """A connection of the empty list, and how each of its statements is carried out: a table is never read through."""
    found: list[str] = []
    if not tenant_database.is_sqlite:  # else what is left of rows and figures of other tests would count
        with closing(tenant_database.engine.raw_connection()) as outside:
            outside.cursor().execute("VACUUM (FULL, ANALYZE) inventory, devices, check_ins")
    with tenant_database.read() as connection:
        if not tenant_database.is_sqlite:  # it plans by the size of tables; what it can do is the same
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            connection.execute(text("SET LOCAL enable_sort = off"))
            connection.execute(text("SET LOCAL enable_bitmapscan = off"))

        def explain(_: Any, cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
            word = "EXPLAIN QUERY PLAN" if tenant_database.is_sqlite else "EXPLAIN"
            rows = cursor.connection.cursor().execute(f"{word} {statement}", parameters).fetchall()
            found.append("\n".join(str(row[-1]) for row in rows))

        event.listen(connection, "before_cursor_execute", explain)
        yield connection, found
        event.remove(connection, "before_cursor_execute", explain)


def is_sorted(plan: str) -> bool:
    return "TEMP B-TREE" in plan or "Sort" in plan


@pytest.mark.parametrize("descending", [False, True])
def test_no_page_sorts_a_fleet(plans: tuple[Connection, list[str]], descending: bool) -> None:
    connection, found = plans
    for by, key in [*KEYS.items(), *OTHERS.items()]:
        for after in (None, Position(0, key, device_id(5) if by in BY_ID else 5)):
            cut = Cut(order=Order(by=by, descending=descending), after=after, size=50)
            inventory.portion(connection, TENANT_ID, EVERYBODY, cut)
            assert found
            assert not any(map(is_sorted, found)), (by, found)
            assert by not in INDEXES or any(INDEXES[by] in plan for plan in found), (by, found)
            found.clear()


@pytest.mark.parametrize("descending", [False, True])
def test_a_page_goes_through_none_of_those_before_it_that_are_like_its_first(
    plans: tuple[Connection, list[str]], descending: bool
) -> None:
    connection, found = plans
    places = [each for each in KEYS.items() if each[0] not in BY_ID]
    bound = "<" if descending else ">"
    is_sqlite = connection.dialect.name == "sqlite"
    for by, key in [*places, (Sort.HEALTH, "web-000001")]:
        cut = Cut(order=Order(by=by, descending=descending), after=Position(0, key, 5), size=50)
        inventory.portion(connection, TENANT_ID, EVERYBODY, cut)
        there = f"AND rowid{bound}?" if is_sqlite else f"number) {bound} ROW("
        assert any(there in plan for plan in found), (by, found)
        found.clear()


@pytest.mark.parametrize("portion", [kept_answers.portion, kept_certificates.portion])
def test_who_goes_through_a_tenant_reads_nothing_of_the_others(
    plans: tuple[Connection, list[str]], portion: Callable[..., object]
) -> None:
    connection, found = plans
    portion(connection, TENANT_ID, device_id(5), 50)
    (plan,) = found
    assert "ix_inventory_device_id" in plan
    assert "tenant_number" in plan
    assert not is_sorted(plan)


@pytest.mark.usefixtures("some_devices")
def test_those_that_are_not_like_the_others_are_found_without_reading_these(
    plans: tuple[Connection, list[str]],
) -> None:
    connection, found = plans
    inventory_windows.known(connection, TENANT_ID, replace(EVERYBODY, is_drifted=True))
    assert any("ix_inventory_exposed" in plan for plan in found), found
    impaired = replace(EVERYBODY, health=frozenset({Health.IMPAIRED}))
    inventory.portion(connection, TENANT_ID, impaired, Cut(size=50))
    assert "ix_inventory_troubled" in found.pop()
    retention.count_retired(connection, TENANT_ID, NOON)
    assert "ix_inventory_other_states" in found.pop()


# PostgreSQL knows how many rows fit; SQLite takes the index of which more columns are given.
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_in_the_order_of_check_ins_these_lead_whatever_is_asked_of_devices(
    plans: tuple[Connection, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, found = plans
    monkeypatch.setattr(inventory, "_FEW", -1)  # as where many devices fit
    order = Order(by=Sort.LAST_CHECK_IN)
    for changes in ({}, {"os_types": frozenset({"macOS"})}, {"search": "web"}, {"is_drifted": True}):
        for after in (None, Position(1, NOON, device_id(5))):
            cut = Cut(order=order, after=after, size=50)
            inventory.portion(connection, TENANT_ID, replace(EVERYBODY, **changes), cut)
            joined = [plan for plan in found if "check_ins" in plan]
            assert joined
            assert not any("ix_inventory" in plan for plan in joined), joined
            found.clear()


# PostgreSQL asks by what a comparison costs; SQLite in the order in which it is told.
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_texts_that_are_looked_for_are_asked_before_all_else(
    tenant_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, active = list[str](), frozenset({DeviceState.ACTIVE})
    asked = replace(EVERYBODY, search="web", tags=("edge",), states=active, health=frozenset({Health.ACTIVE}))
    with tenant_database.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: told.append(given[2]))
        inventory.few(connection, TENANT_ID, asked)
        (size, texts) = told
        monkeypatch.setattr(inventory, "_FEW", -1)  # as where many have them
        inventory.few(connection, TENANT_ID, asked)

    assert "LIKE" not in size
    assert "inventory" not in texts
    conditions = texts.partition("WHERE")[2]
    assert sorted(("state", "LIKE", "tenant_number"), key=conditions.index) == ["LIKE", "state", "tenant_number"]
    conditions = told[-1].partition("WHERE")[2]
    assert min(("tags", "impaired", "inventory.tenant_number"), key=conditions.index) == "tags"


@pytest.mark.usefixtures("some_devices")
@pytest.mark.parametrize("word", [device_id(5), "1234", "9abc-", "ffff", "dada"])
def test_ids_are_found_by_how_they_begin_in_their_indexes(plans: tuple[Connection, list[str]], word: str) -> None:
    connection, found = plans
    inventory.few(connection, TENANT_ID, replace(EVERYBODY, search=word))
    if connection.dialect.name == "sqlite":
        assert all(f"({column}>? AND {column}<?)" in found[-1] for column in ("id", "object_id")), found
    else:
        assert all(f"{index} on devices" in found[1] for index in ("uq_devices_id", "uq_devices_object_id")), found


@pytest.mark.parametrize("by", OTHERS)
def test_a_place_says_by_itself_in_which_part_of_a_list_it_is(tenant_database: Database, by: Sort) -> None:
    """Programs that read such lists in one part, and others, take each other's places."""
    with tenant_database.write() as connection:
        for number in range(1, 7):
            devices.add(connection, a_device(number))
        change = {
            Sort.EXPOSURE: "UPDATE inventory SET exposure = 3 WHERE device_id IN (:one, :two)",
            Sort.STATE: "UPDATE devices SET state = 'pending' WHERE id IN (:one, :two)",
        }[by]
        connection.execute(text(change), {"one": device_id(2), "two": device_id(4)})
    alike, others = [1, 3, 5, 6], [2, 4]
    with tenant_database.read() as connection:
        for descending, expected in ((False, alike + others), (True, others[::-1] + alike[::-1])):
            whole = Cut(order=Order(by=by, descending=descending))
            found = inventory.portion(connection, TENANT_ID, EVERYBODY, whole)
            assert [each.device_id for each in found] == [device_id(number) for number in expected]
            assert {each.position.phase for each in found} == {0}
            for number, each in enumerate(found, start=1):
                rest = inventory.portion(connection, TENANT_ID, EVERYBODY, replace(whole, after=each.position))
                assert rest == found[number:]
