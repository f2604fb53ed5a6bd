from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from tests.support.samples import a_tenant, counted_id

from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.check_ins.group_commit import PATIENCE_SECONDS, GroupCommit
from shieldwall.server.storage.engine import postgresql
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.storage.errors import AlreadyExistsError
from shieldwall.server.storage.tenants import tenants


@pytest.fixture
def database(bare_database: Database) -> Database:
    """The engine itself is tried here, with rows that are nobody's."""
    return bare_database


class Broken(Exception):  # noqa: N818 - an accident of the test's own
    pass


@pytest.fixture
def group_commit(database: Database) -> Iterator[GroupCommit]:
    running = GroupCommit(database)
    yield running
    running.close()


def adding(number: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        tenants.add(connection, a_tenant(id=counted_id("1", number), domain=f"{number}.example"))
        return number

    return work


def breaking(number: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        adding(number)(connection)
        raise Broken

    return work


def numbers(database: Database) -> set[int]:
    with database.read() as connection:
        return {int(tenant.domain.partition(".")[0]) for tenant in tenants.list_tenants(connection)}


async def together(
    group_commit: GroupCommit, works: list[Callable[[Connection], Any]], meanwhile: Callable[[], None] = lambda: None
) -> list[Any]:
    """Submit works while the writer is busy, so that all of them go into one transaction."""
    busy, go_on = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        busy.set()
        go_on.wait(timeout=10)

    held = asyncio.ensure_future(group_commit.submit(hold))
    await asyncio.to_thread(busy.wait, 10)
    submitted = [asyncio.ensure_future(group_commit.submit(work)) for work in works]
    await asyncio.sleep(0)  # lets each of them reach the queue
    meanwhile()
    go_on.set()
    await held
    return await asyncio.gather(*submitted, return_exceptions=True)


def test_works_that_wait_together_share_one_commit(database: Database, group_commit: GroupCommit) -> None:
    results = asyncio.run(together(group_commit, [adding(number) for number in range(100)]))
    assert results == list(range(100))
    assert numbers(database) == set(range(100))
    assert (group_commit.commits, group_commit.acknowledged) == (2, 101)


def test_a_work_that_fails_disturbs_no_other(database: Database, group_commit: GroupCommit) -> None:
    results = asyncio.run(together(group_commit, [adding(1), breaking(2), adding(1), adding(3)]))
    assert results[0] == 1
    assert isinstance(results[1], Broken)
    assert isinstance(results[2], AlreadyExistsError)
    assert results[3] == 3
    assert numbers(database) == {1, 3}
    assert group_commit.acknowledged == 1 + 2, "who was refused is not counted among those acknowledged"


def test_nothing_is_acknowledged_before_it_is_there_for_all(database: Database, group_commit: GroupCommit) -> None:
    async def story() -> None:
        for number in range(20):
            await group_commit.submit(adding(number))
            assert number in numbers(database)

    asyncio.run(story())


def test_nothing_is_acknowledged_while_the_commit_is_under_way(database: Database, group_commit: GroupCommit) -> None:
    async def story() -> None:
        running, go_on = threading.Event(), threading.Event()

        def slow(_: Connection) -> None:
            running.set()
            go_on.wait(timeout=10)

        waiting = asyncio.ensure_future(together(group_commit, [adding(1), slow]))
        await asyncio.to_thread(running.wait, 10)
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done, "the first work is done, but its transaction is not"
        assert numbers(database) == set()
        go_on.set()
        await waiting
        assert numbers(database) == {1}

    asyncio.run(story())


def test_a_commit_that_fails_fails_every_waiter_and_the_next_one_works(
    database: Database, group_commit: GroupCommit
) -> None:
    def doom(connection: Connection) -> None:
        """Leave a violation that is found at the commit alone."""
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        else:
            connection.exec_driver_sql("ALTER TABLE people ALTER CONSTRAINT fk_people_tenant_id DEFERRABLE")
            connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
        connection.exec_driver_sql(
            "INSERT INTO people (id, tenant_id, user_name, display_name, created_at, valid_from)"
            " VALUES ('p', 'nobody', 'n', 'n', 0, 0)"
        )

    results = asyncio.run(together(group_commit, [adding(1), doom, adding(2)]))
    assert [type(result) for result in results] == [IntegrityError] * 3
    assert numbers(database) == set()
    assert (group_commit.commits, group_commit.acknowledged) == (1, 1), "only what held the writer up is durable"
    assert asyncio.run(group_commit.submit(adding(3))) == 3
    assert numbers(database) == {3}


def test_a_full_disk_fails_whoever_needs_it_as_storage_and_loses_nothing(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "small.db")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE blobs (b BLOB)"))
        connection.exec_driver_sql("INSERT INTO blobs VALUES (x'01')")
    group_commit = GroupCommit(database)

    def bounded(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 8")

    def large(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO blobs VALUES (zeroblob(200000))")

    def small(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO blobs VALUES (x'02')")

    results = asyncio.run(together(group_commit, [bounded, small, large, small]))
    assert isinstance(results[2], StorageUnavailableError)
    with database.read() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM blobs").scalar_one()
    acknowledged = [results[1], results[3]].count(None)
    assert kept == 1 + acknowledged, "what was acknowledged is there, and nothing else"
    assert asyncio.run(group_commit.submit(small)) is None
    group_commit.close()
    database.close()


def test_who_stops_waiting_disturbs_nobody(database: Database, group_commit: GroupCommit) -> None:
    async def story() -> None:
        for number in range(0, 200, 2):
            impatient = asyncio.ensure_future(group_commit.submit(adding(number)))
            patient = asyncio.ensure_future(group_commit.submit(adding(number + 1)))
            await asyncio.sleep(0)
            impatient.cancel()
            assert await patient == number + 1
            with pytest.raises(asyncio.CancelledError):
                await impatient

    asyncio.run(story())
    assert numbers(database) >= set(range(1, 200, 2))


def test_closing_finishes_what_was_submitted_and_refuses_what_comes_later(database: Database) -> None:
    async def story() -> None:
        group_commit = GroupCommit(database)
        waiting = [asyncio.ensure_future(group_commit.submit(adding(number))) for number in range(30)]
        await asyncio.sleep(0)
        await asyncio.to_thread(group_commit.close)
        assert await asyncio.gather(*waiting) == list(range(30))
        with pytest.raises(StorageUnavailableError):
            await asyncio.wait_for(group_commit.submit(adding(99)), timeout=60)

    asyncio.run(story())
    assert numbers(database) == set(range(30))


def test_a_process_killed_in_the_middle_of_commits_loses_nothing_it_acknowledged(
    database: Database, database_url: str
) -> None:
    program = Path(__file__).parent.parent / "support" / "acknowledging_writer.py"
    command = [sys.executable, str(program), database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."}) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(200)]
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read()
    acknowledged += [int(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    assert writer.returncode == -signal.SIGKILL
    assert len(acknowledged) >= 200
    assert numbers(database) >= set(acknowledged)


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True)
def test_what_may_aim_waits_for_the_lock_alone_and_with_nothing_in_its_hands(
    database: Database, group_commit: GroupCommit
) -> None:
    """Else two that wait for each other would be the rule: whoever aims a fleet anew writes to all its rows.

    SQLite has one writer anyway.
    """
    began, go_on, locked = threading.Event(), threading.Event(), list[bool]()

    def first(_: Connection) -> None:
        began.set()
        assert go_on.wait(5)

    def aiming(connection: Connection) -> int:
        locked.append(is_locked(connection))
        return adding(2)(connection)

    async def story() -> None:
        blocking = asyncio.ensure_future(group_commit.submit(first))
        await asyncio.to_thread(began.wait, 5)
        aims = asyncio.ensure_future(group_commit.submit(aiming, aims=True))
        plain = asyncio.ensure_future(group_commit.submit(adding(1)))
        await asyncio.sleep(0)  # both are in the queue, behind the first
        with database.write() as other:
            targets.lock(other)
            go_on.set()
            await asyncio.wait_for(asyncio.gather(blocking, plain), 4)
            assert numbers(database) == {1}
            assert not aims.done()
        assert await aims == 2
        assert locked == [True]

    asyncio.run(story())
    assert numbers(database) == {1, 2}


def is_locked(connection: Connection) -> bool:
    """Whether this very transaction holds an advisory lock."""
    mine = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()"
    return bool(connection.execute(text(mine)).scalar_one())


def test_nobody_waits_for_all_who_wait_for_a_database_that_takes_nothing(
    database: Database, group_commit: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shieldwall.server.storage.check_ins.group_commit.PATIENCE_SECONDS", 0.0)
    tries: list[int] = []

    def locked(number: int) -> Callable[[Connection], None]:
        def work(_: Connection) -> None:
            tries.append(number)
            raise StorageUnavailableError("It waited for a lock until its time was up.")

        return work

    results = asyncio.run(together(group_commit, [locked(number) for number in range(50)]))
    assert [type(result) for result in results] == [StorageUnavailableError] * 50
    assert tries == [0, 0], "tried with the others, then by itself, and the rest not at all"
    refuses_then = database.refuses_writes
    assert asyncio.run(group_commit.submit(adding(1))) == 1
    assert (refuses_then, database.refuses_writes) == (True, False), "what was empty and committed is nothing taken"
    assert numbers(database) == {1}


def test_a_disk_that_is_full_is_told_as_that_where_the_whole_transaction_is_undone(
    database: Database, group_commit: GroupCommit
) -> None:
    tries: list[int] = []

    def filling(number: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            tries.append(number)
            raw: Any = connection.connection.driver_connection
            raw.execute("ROLLBACK")  # as SQLite itself does then (lang_transaction.html)
            raise StorageUnavailableError("database or disk is full")

        return work

    results = asyncio.run(together(group_commit, [filling(1), adding(2), filling(3)]))
    assert {str(result.cause) for result in results} == {"database or disk is full"}
    assert tries == [1, 1], "what follows has nothing left to be written into"
    assert asyncio.run(group_commit.submit(adding(4))) == 4
    assert numbers(database) == {4}


def test_one_that_waits_until_its_time_is_up_leaves_time_for_the_others(
    database: Database, group_commit: GroupCommit
) -> None:
    def locked(_: Connection) -> None:
        raise StorageUnavailableError("It waited for a lock until its time was up.")

    results = asyncio.run(together(group_commit, [locked, adding(1), locked, adding(2)]))
    assert [type(result) for result in results] == [StorageUnavailableError, int, StorageUnavailableError, int]
    assert numbers(database) == {1, 2}
    assert postgresql.STATEMENT_MILLISECONDS / 1_000 < PATIENCE_SECONDS < 2 * postgresql.STATEMENT_MILLISECONDS / 1_000
