from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from tests.support.samples import a_tenant, counted_id

from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.engine import write_ahead_log
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.engine.write_ahead_log import WriteAheadLog
from shieldwall.server.storage.tenants import tenants

LARGE = 200_000


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Database]:
    """A database whose log is larger than is liked."""
    database = Database.at(tmp_path / "large.db")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE blobs (b BLOB)")
    grow(database)
    yield database
    database.close()


def grow(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO blobs VALUES (zeroblob(?))", (2 * LARGE,))


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM blobs").scalar_one())


def test_a_large_log_starts_anew_and_nothing_is_lost(large: Database) -> None:
    log = WriteAheadLog(large, LARGE)
    assert log.size > LARGE
    log.keep_small()
    assert (log.size, log.restarts) == (0, 1)
    assert count(large) == 1


def test_a_small_one_is_left_alone(large: Database) -> None:
    log = WriteAheadLog(large)
    log.keep_small()
    assert log.size > LARGE
    assert log.restarts == 0


def test_one_that_cannot_be_looked_at_keeps_nobody_from_writing(tmp_path: Path) -> None:
    unseen = WriteAheadLog(Database.at(tmp_path / ("n" * 300)))  # longer than any name of a file
    unseen.keep_small()
    assert unseen.size == 0


def test_who_reads_from_it_holds_up_writing_shortly_and_seldom(
    large: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = WriteAheadLog(large, LARGE)
    with large.read() as reading:
        before = reading.exec_driver_sql("SELECT count(*) FROM blobs").scalar_one()
        grow(large)
        began = time.monotonic()
        log.keep_small()
        log.keep_small()  # at once again: it is not tried
        assert time.monotonic() - began < 2
        assert log.size > LARGE
        assert reading.exec_driver_sql("SELECT count(*) FROM blobs").scalar_one() == before
    assert log.restarts == 0
    monkeypatch.setattr(write_ahead_log, "monotonic", lambda: time.monotonic() + 60)
    log.keep_small()
    assert (log.size, log.restarts) == (0, 1)
    assert count(large) == 2


def test_a_connection_that_has_read_nothing_does_nothing_and_says_so_to_nobody(large: Database) -> None:
    """The trap itself, so that it is noticed should SQLite ever change."""
    path = large.engine.url.database
    assert path is not None
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() in {(0, -1, -1), (0, 0, 0)}


def test_whatever_goes_wrong_writing_goes_on(large: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(sqlite3, "connect", broken)
    log = WriteAheadLog(large, LARGE)
    log.keep_small()
    assert log.restarts == 0


def test_it_is_kept_small_between_commits(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead_log, "LARGE_BYTES", 1)
    monkeypatch.setattr(write_ahead_log, "REST_SECONDS", 0.0)
    writer = GroupCommit(database)

    async def story() -> None:
        for number in range(3):
            await writer.submit(
                partial(tenants.add, tenant=a_tenant(id=counted_id("1", number), domain=f"{number}.example"))
            )

    asyncio.run(story())
    writer.close()
    assert writer.log.restarts == (3 if database.is_sqlite else 0)
    assert writer.log.size == 0
