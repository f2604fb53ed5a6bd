"""How often PostgreSQL is asked, and that what is not asked is not missed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError
from tests.support.databases import on_postgresql_alone
from tests.support.samples import TENANT_ID, a_tenant

from shieldwall.server.storage.engine import postgresql_connections
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.storage.tables.schema import tenants as tenants_table
from shieldwall.server.storage.tables.schema import used_nonces
from shieldwall.server.storage.tenants import tenants

pytestmark = on_postgresql_alone


class Broken(Exception):  # noqa: N818 - an accident of the test's own
    pass


@pytest.fixture(autouse=True)
def _tenant(database: Database) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())


def raw(connection: Connection) -> psycopg.Connection[tuple[object, ...]]:
    found = connection.connection.driver_connection
    assert isinstance(found, psycopg.Connection)
    return found


def backend(database: Database) -> int:
    with database.read() as connection:
        return int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)


@contextmanager
def messages(database: Database, file: Path) -> Iterator[list[str]]:
    """Gives, when it ends, what was sent to the database on the connection that is used next."""
    sent: list[str] = []
    with database.read() as connection:
        pgconn = raw(connection).pgconn
    with file.open("wb") as trace:
        pgconn.trace(trace.fileno())
        try:
            yield sent
        finally:
            pgconn.untrace()
            os.fsync(trace.fileno())
    sent += re.findall(r'\tF\t\d+\tQuery\t "(.*?)"\n', file.read_text(), re.DOTALL)


def test_a_transaction_begins_in_the_message_of_its_first_statement(database: Database, tmp_path: Path) -> None:
    with messages(database, tmp_path / "trace") as sent:
        with database.read() as connection:
            assert connection.scalars(select(tenants_table.c.id).where(tenants_table.c.id == TENANT_ID)).all()
            assert connection.scalar(text("SHOW transaction_isolation")) == "repeatable read"
            assert connection.scalar(text("SHOW statement_timeout")) == "5s"
        with database.write() as connection:
            assert connection.scalar(text("SHOW transaction_read_only")) == "off"
    reading, isolation, limit, undo, writing, commit = sent
    assert reading.startswith("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
    assert "SELECT tenants.id" in reading
    assert writing.startswith("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;")
    assert [isolation, limit, undo, commit] == [
        "SHOW transaction_isolation",
        "SHOW statement_timeout",
        "ROLLBACK",
        "COMMIT",
    ]


def test_a_glance_is_one_message(database: Database, tmp_path: Path) -> None:
    with messages(database, tmp_path / "trace") as sent, database.glance() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "5s"
    assert len(sent) == 1
    with database.glance() as connection:
        for _ in range(2):  # what is asked there by mistake is held to the same
            assert connection.scalar(text("SHOW transaction_read_only")) == "on"
    with database.engine.connect() as connection:
        assert raw(connection).execute("SHOW statement_timeout").fetchone() == ("0",)


def test_a_transaction_in_which_nothing_is_asked_sends_nothing(database: Database, tmp_path: Path) -> None:
    with messages(database, tmp_path / "trace") as sent:
        for transaction in (database.read, database.write):
            with transaction():
                pass
    assert sent == []
    with database.read() as connection:
        assert connection.scalar(text("SHOW transaction_read_only")) == "on"


def test_what_is_never_sent_begins_nothing(database: Database) -> None:
    """The driver refuses the first statement; those after it are in the transaction all the same."""
    with suppress(Broken), database.write() as connection:
        with pytest.raises(DBAPIError, match="NUL"):
            connection.execute(select(tenants_table.c.id).where(tenants_table.c.domain == "\0"))
        connection.execute(insert(used_nonces).values(nonce(1)))
        raise Broken
    assert nonces_in(database) == 0


def test_what_fails_first_has_begun_the_transaction(database: Database) -> None:
    with suppress(Broken), database.write() as connection:
        with pytest.raises(DBAPIError, match="division by zero"):
            connection.execute(text("SELECT 1 / 0"))
        with pytest.raises(DBAPIError, match="transaction is aborted"):
            connection.execute(insert(used_nonces).values(nonce(1)))
        raise Broken
    assert nonces_in(database) == 0


def test_many_rows_at_once_are_in_the_transaction(database: Database) -> None:
    with suppress(Broken), database.write() as connection:
        connection.execute(insert(used_nonces), [nonce(number) for number in range(3)])
        raise Broken
    assert nonces_in(database) == 0


def test_a_savepoint_may_be_the_first_statement(database: Database) -> None:
    with database.write() as connection:
        with connection.begin_nested() as savepoint:
            connection.execute(insert(used_nonces).values(nonce(1)))
            savepoint.rollback()
        connection.execute(insert(used_nonces).values(nonce(2)))
    assert nonces_in(database) == 1


def test_rows_that_are_read_in_portions_are_of_one_view(database: Database) -> None:
    with database.read() as connection:
        rows = connection.execute(select(tenants_table.c.id).execution_options(yield_per=1))
        assert TENANT_ID in rows.scalars().all()
        assert connection.scalar(text("SHOW transaction_isolation")) == "repeatable read"


def test_values_are_what_was_meant(database: Database) -> None:
    meant = "a'b\\c%d%%s;--\"ü"
    with database.read() as connection:
        assert connection.scalar(text("SELECT CAST(:value AS text)"), {"value": meant}) == meant
        assert connection.scalar(text("SELECT 3 - CAST(:value AS bigint)"), {"value": -(2**62)}) == 3 + 2**62
        assert connection.scalar(text("SELECT '%' || CAST(:value AS text)"), {"value": None}) is None


def test_a_connection_that_was_ended_is_replaced_unseen(database: Database) -> None:
    first = backend(database)
    end(database, first)
    assert backend(database) != first


def test_a_connection_that_is_known_to_be_closed_is_replaced_unseen(database: Database) -> None:
    first = backend(database)
    with database.read() as connection:
        closed = raw(connection)
    closed.close()
    assert backend(database) != first


def test_a_connection_that_has_news_is_asked_and_kept(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = backend(database)
    monkeypatch.setattr(postgresql_connections.Connection, "_has_news", lambda _: True)
    with messages(database, tmp_path / "trace") as sent:
        assert backend(database) == first
    assert sent[0] == "SELECT 1"


def test_a_connection_that_rested_is_asked(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_connections, "BELIEVED_SECONDS", 0.0)
    with messages(database, tmp_path / "trace") as sent:
        backend(database)
    assert sent[0] == "SELECT 1"


def test_a_connection_that_ends_in_a_transaction_is_told_of(database: Database) -> None:
    def write_and_be_ended() -> None:
        with database.write() as connection:
            connection.execute(insert(used_nonces).values(nonce(1)))
            end(database, raw(connection).info.backend_pid)
            connection.execute(insert(used_nonces).values(nonce(2)))

    with pytest.raises(StorageUnavailableError):
        write_and_be_ended()
    assert nonces_in(database) == 0


def end(database: Database, pid: int) -> None:
    there = database.engine.url
    address = f"host={there.query['host']} user={there.username} dbname={there.database}"
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def nonce(number: int) -> dict[str, object]:
    return {"tenant_id": TENANT_ID, "digest": f"{number:064x}", "expires_at": datetime(2026, 11, 27, tzinfo=UTC)}


def nonces_in(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(used_nonces.c.digest).where(used_nonces.c.tenant_id == TENANT_ID)).all())
