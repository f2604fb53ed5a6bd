"""A sync that fails: whoever hears of it ends, and what it left is on disk before anybody builds upon it."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from tests.support.migrated import migrated_sqlite
from tests.support.samples import TENANT_ID, a_tenant

from shieldwall.server.storage.engine import failed_syncs
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError, translated
from shieldwall.server.storage.tenants import tenants


class Ended(BaseException):
    """The process ends: nobody catches that."""


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    def end(status: int) -> None:
        raise Ended(status)

    failed_syncs.end_process_on_failure(end)
    yield
    failed_syncs.end_process_on_failure(lambda _status: None)


def refused(code: int) -> OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return OperationalError("COMMIT", {}, error)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC])
def test_a_process_that_hears_of_a_failed_sync_ends(code: int) -> None:
    with pytest.raises(Ended, match=str(os.EX_IOERR)), translated():
        raise refused(code)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_BUSY])
def test_any_other_refusal_is_told_and_outlived(code: int) -> None:
    with pytest.raises(StorageUnavailableError), translated():
        raise refused(code)


@pytest.fixture
def left(tmp_path: Path) -> Iterator[str]:
    """A database with a log that somebody who has it open has written."""
    url = migrated_sqlite(tmp_path / "left.db")
    with closing(Database(url)) as database:
        with database.write() as connection:
            tenants.add(connection, a_tenant())
        yield url


def test_a_log_is_written_again_as_it_is_read_and_synced(
    left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "left.db-wal"
    before, synced = log.read_bytes(), list[tuple[str, int]]()
    written, sync = os.write, os.fsync
    count = 0

    def write(descriptor: int, portion: memoryview) -> int:
        nonlocal count
        done = written(descriptor, portion[:10_000])  # the kernel may take less than it is given
        count += done
        return done

    def noted(descriptor: int) -> None:
        with closing(sqlite3.connect(tmp_path / "left.db", timeout=0)) as other, pytest.raises(sqlite3.Error):
            other.execute("BEGIN IMMEDIATE")  # nobody adds to it meanwhile
        synced.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), count))
        sync(descriptor)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "fsync", noted)
    failed_syncs.write_log_again(left)

    assert synced == [(str(log), len(before))]
    assert log.read_bytes() == before
    with closing(Database(left)) as database, database.read() as connection:
        assert tenants.get(connection, TENANT_ID) == a_tenant()


def test_a_log_that_cannot_be_written_again_is_not_built_upon(left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        failed_syncs.write_log_again(left)


def test_without_a_log_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = migrated_sqlite(tmp_path / "still.db")
    monkeypatch.setattr(os, "fsync", lambda _descriptor: pytest.fail("there is nothing to sync"))
    for each in (url, f"sqlite:///{tmp_path}/nothing.db", "postgresql://there/is"):
        failed_syncs.write_log_again(each)
        with failed_syncs.held_open(each):
            pass
    assert not (tmp_path / "nothing.db").exists()


def test_a_log_stays_while_somebody_holds_the_database_open(tmp_path: Path) -> None:
    url, log = migrated_sqlite(tmp_path / "held.db"), tmp_path / "held.db-wal"
    with failed_syncs.held_open(url):
        with closing(Database(url)) as database, database.write() as connection:
            tenants.add(connection, a_tenant())
        assert log.stat().st_size > 0
    assert not log.exists()
