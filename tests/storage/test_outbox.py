"""The outbox: numbers follow commits, whatever writers do beside each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, NestedTransaction
from tests.support.databases import on_postgresql_alone
from tests.support.samples import NOON, TENANT_ID, a_tenant, counted_id
from tests.support.second_tenant import FABRIKAM

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.engine.outbox import Event
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import AuditEvent
from shieldwall.server.storage.tables.schema import metadata
from shieldwall.server.storage.tenants import tenants


def an_event(number: int, kind: str = "group.created", *, tenant_id: TenantId = TENANT_ID, hours: int = 0) -> Event:
    return Event(
        id=counted_id("7", number), tenant_id=tenant_id, at=NOON + timedelta(hours=hours), kind=kind, details="{}"
    )


def note(database: Database, *events: Event) -> None:
    with database.write() as connection:
        for event in events:
            outbox.note(connection, event)


def heard(database: Database, after: int = 0, **narrowed: object) -> list[int]:
    """Read the numbers of test events, in order."""
    with database.read() as connection:
        found = outbox.read(connection, after, 10_000, tenant_id=TENANT_ID, **narrowed)  # type: ignore[arg-type]
    return [int(event.id[-12:], 16) for event in found]


def test_events_are_read_in_the_order_in_which_they_were_committed(tenant_database: Database) -> None:
    note(tenant_database, an_event(3), an_event(1))
    note(tenant_database, an_event(2))

    assert heard(tenant_database) == [3, 1, 2]
    with tenant_database.read() as connection:
        found = outbox.read(connection, 0, 10, tenant_id=TENANT_ID)
        assert outbox.read(connection, found[0].sequence, 1, tenant_id=TENANT_ID) == (found[1],)
        assert outbox.newest(connection) == found[-1].sequence


def test_what_is_undone_never_happened(tenant_database: Database) -> None:
    def fail() -> None:
        with tenant_database.write() as connection:
            outbox.note(connection, an_event(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    note(tenant_database, an_event(2))

    assert heard(tenant_database) == [2]


def test_a_savepoint_takes_back_its_own_events_alone(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        outbox.note(connection, an_event(1))
        outer = connection.begin_nested()
        outbox.note(connection, an_event(2))
        inner = connection.begin_nested()
        outbox.note(connection, an_event(3))
        inner.rollback()
        outbox.note(connection, an_event(4))
        outer.commit()
        lost = connection.begin_nested()
        outbox.note(connection, an_event(5))
        lost.rollback()
    assert heard(tenant_database) == [1, 2, 4]


def test_of_works_committed_together_the_failed_one_leaves_no_event(tenant_database: Database) -> None:
    def works(connection: Connection) -> None:
        outbox.note(connection, an_event(1))

    def fails(connection: Connection) -> None:
        outbox.note(connection, an_event(2))
        raise ZeroDivisionError

    async def both() -> None:
        await asyncio.gather(writer.submit(works), writer.submit(fails), return_exceptions=True)

    writer = GroupCommit(tenant_database)
    asyncio.run(both())
    writer.close()
    assert heard(tenant_database) == [1]


def test_the_audit_trail_tells_in_the_same_transaction(tenant_database: Database) -> None:
    event = AuditEvent(
        id=counted_id("7", 1),
        tenant_id=TENANT_ID,
        at=NOON,
        actor="person:Ada",
        activity="policy.published",
        object_kind="policy",
        object_id="p",
        details='{"name":"x"}',
    )
    with tenant_database.write() as connection:
        audit.add(connection, event)
    with tenant_database.read() as connection:
        (found,) = outbox.read(connection, 0, 10, tenant_id=TENANT_ID)
    assert (found.id, found.kind, found.at) == (event.id, "policy.published", NOON)
    assert '"object":{' in found.details
    assert '"details":{"name":"x"}' in found.details


@on_postgresql_alone
def test_a_transaction_that_commits_late_is_not_passed_over(tenant_database: Database) -> None:
    """The late one began first and wrote first; who read in between still gets its event afterwards."""
    begun, may_end = threading.Event(), threading.Event()

    def late() -> None:
        with tenant_database.write() as connection:
            outbox.note(connection, an_event(1))
            connection.exec_driver_sql("UPDATE tenants SET display_name = display_name WHERE id = 'nobody'")
            begun.set()
            may_end.wait(10)

    thread = threading.Thread(target=late)
    thread.start()
    begun.wait(10)
    note(tenant_database, an_event(2))
    assert heard(tenant_database) == [2]
    with tenant_database.read() as connection:
        cursor = outbox.newest(connection)
    may_end.set()
    thread.join(10)

    assert heard(tenant_database, after=cursor) == [1]


def test_a_reader_that_follows_many_writers_misses_nothing(tenant_database: Database) -> None:
    writers, each = 8, 25
    done = threading.Event()
    followed: list[int] = []

    def write(writer: int) -> None:
        for number in range(each):
            with tenant_database.write() as connection:
                outbox.note(connection, an_event(writer * 1_000 + 2 * number))
                connection.exec_driver_sql("SELECT count(*) FROM tenants").all()
                outbox.note(connection, an_event(writer * 1_000 + 2 * number + 1))

    def follow() -> None:
        cursor = 0
        while True:
            ended = done.is_set()
            with tenant_database.read() as connection:
                found = outbox.read(connection, cursor, 7, tenant_id=TENANT_ID)
            followed.extend(int(event.id[-12:], 16) for event in found)
            if found:
                cursor = found[-1].sequence
            elif ended:
                return

    reader = threading.Thread(target=follow)
    reader.start()
    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join(60)

    assert sorted(followed) == sorted(
        writer * 1_000 + number for writer in range(writers) for number in range(2 * each)
    )
    for writer in range(writers):
        own = [number for number in followed if number // 1_000 == writer]
        assert own == sorted(own), "what one writer did is told in its order"
    assert heard(tenant_database) == followed


def test_patterns_choose_kinds(tenant_database: Database) -> None:
    kinds = ("policy.created", "policy.deleted", "policyX.created", "device.created", "alert.raised")
    note(tenant_database, *(an_event(number, kind) for number, kind in enumerate(kinds)))

    assert heard(tenant_database, patterns=["*"]) == [0, 1, 2, 3, 4]
    assert heard(tenant_database, patterns=["policy.*"]) == [0, 1]
    assert heard(tenant_database, patterns=["policy.deleted", "alert.*"]) == [1, 4]
    assert heard(tenant_database, patterns=["polic_.*", "%"]) == []
    with tenant_database.read() as connection:
        last = outbox.newest(connection)
        assert outbox.count(connection, 0, last, tenant_id=TENANT_ID, patterns=["policy.*"]) == 2
        assert outbox.count(connection, last - 1, last, tenant_id=TENANT_ID, patterns=["*"]) == 1


def test_only_what_is_old_as_a_whole_is_removed_and_the_newest_stays(tenant_database: Database) -> None:
    hours = (0, 1, 9, 2, 3)  # a clock that went back: what stands behind something young stays too
    note(tenant_database, *(an_event(number, hours=hour) for number, hour in enumerate(hours)))
    with tenant_database.write() as connection:
        first = outbox.read(connection, 0, 1, tenant_id=TENANT_ID)[0].sequence
        assert outbox.last_before(connection, TENANT_ID, NOON + timedelta(hours=5)) == first + 1
        assert outbox.last_before(connection, TENANT_ID, NOON + timedelta(days=400 * 365)) == first + 3
        assert outbox.remove(connection, TENANT_ID, first + 1, 1) == 1
        assert outbox.remove(connection, TENANT_ID, first + 1, 10) == 1
        assert outbox.remove(connection, TENANT_ID, first + 1, 10) == 0
    assert heard(tenant_database) == [2, 3, 4]
    note(tenant_database, an_event(5))
    assert heard(tenant_database)[-1] == 5


def test_each_tenant_reads_its_own(tenant_database: Database) -> None:
    note(tenant_database, an_event(1))
    with tenant_database.read() as connection:
        theirs = outbox.read(connection, 0, 10, tenant_id=FABRIKAM)
        everything = outbox.read(connection, 0, 10)
        assert outbox.find(connection, TENANT_ID, theirs[0].id) is None
        assert outbox.find(connection, FABRIKAM, counted_id("7", 1)) is None
        assert outbox.find(connection, TENANT_ID, counted_id("7", 1)) == everything[-1]
    assert {event.tenant_id for event in theirs} == {FABRIKAM}
    assert len(everything) == len(theirs) + 1


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = Database.at(tmp_path_factory.mktemp("outbox") / "shieldwall.db")
    with opened.write() as connection:
        metadata.create_all(connection)
        tenants.add(connection, a_tenant())
    yield opened
    opened.close()


@given(script=st.lists(st.sampled_from(["note", "savepoint", "back", "keep"]), max_size=25))
def test_what_remains_is_what_no_savepoint_took_back(embedded: Database, script: list[str]) -> None:
    with embedded.write() as connection:
        before = outbox.newest(connection)
        expected: list[int] = []
        open_ones: list[tuple[NestedTransaction, int]] = []
        for number, step in enumerate(script):
            if step == "note":
                outbox.note(connection, an_event(number))
                expected.append(number)
            elif step == "savepoint":
                open_ones.append((connection.begin_nested(), len(expected)))
            elif open_ones:
                savepoint, length = open_ones.pop()
                if step == "back":
                    savepoint.rollback()
                    del expected[length:]
                else:
                    savepoint.commit()
        while open_ones:
            open_ones.pop()[0].commit()
    assert heard(embedded, after=before) == expected
