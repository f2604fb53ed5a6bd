"""The database through PgBouncer, set up as ``docs/scale.md`` says: each transaction may have another connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, make_url, select, text
from tests.support.databases import database_url
from tests.support.pgbouncer import pooled
from tests.support.samples import TENANT_ID, a_tenant

from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.engine import migrate, postgresql
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.storage.tables.schema import tenants as tenants_table
from shieldwall.server.storage.tenants import tenants

__all__ = ["database_url"]

pytestmark = [
    pytest.mark.pgbouncer,
    pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True),
]
CONNECTIONS = 2


@pytest.fixture
def through(database_url: str, tmp_path: Path) -> Iterator[Database]:
    """A database with every table, made and reached through PgBouncer."""
    with pooled(database_url, tmp_path / "pool", connections=CONNECTIONS) as url, closing(Database(url)) as database:
        migrate.upgrade(database)
        yield database


def test_transactions_of_many_threads_share_few_connections(through: Database, database_url: str) -> None:
    with through.write() as connection:
        tenants.add(connection, a_tenant())
    pids: set[int] = set()

    def look(_turn: int) -> tuple[str, str]:
        with through.read() as connection:
            pids.add(connection.scalar(text("SELECT pg_backend_pid()")))
            found = connection.execute(select(tenants_table.c.id)).scalar_one()
            return found, connection.scalar(text("SHOW transaction_isolation"))

    async def write() -> list[int]:
        writer = GroupCommit(through)
        try:
            return await asyncio.gather(*(writer.submit(_counted) for _ in range(50)))
        finally:
            writer.close()

    with ThreadPoolExecutor(8) as threads:
        writes = threads.submit(asyncio.run, write())
        assert set(threads.map(look, range(200))) == {(TENANT_ID, "repeatable read")}
        assert len(writes.result()) == 50
    assert len(pids) <= CONNECTIONS

    with psycopg.connect(_direct(database_url), autocommit=True) as direct:
        opened = direct.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").fetchone()
    assert opened is not None
    assert opened[0] <= CONNECTIONS + 1


def test_nothing_of_a_transaction_is_left_in_its_connection(through: Database, database_url: str) -> None:
    del database_url
    for _ in range(20):  # psycopg would prepare what it sees for the sixth time
        with through.write() as connection:
            assert connection.scalar(text("SHOW statement_timeout")) == "5s"
            assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "10s"
            connection.execute(select(tenants_table.c.id)).all()
        with through.glance() as connection:
            assert connection.scalar(text("SHOW statement_timeout")) == "5s"

    with psycopg.connect(_raw(through), autocommit=True) as other:  # on the connections that were used just now
        for setting, value in (("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")):
            assert other.execute(f"SHOW {setting}".encode()).fetchone() == (value,)
        assert other.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert other.execute(locks).fetchone() == (0,)


def test_a_statement_is_given_up_after_its_time(
    through: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del database_url
    monkeypatch.setattr(postgresql, "WRITING", "BEGIN;SET LOCAL statement_timeout = 50")
    with pytest.raises(StorageUnavailableError, match="statement timeout"), through.write() as connection:
        connection.execute(text("SELECT pg_sleep(5)"))


def _counted(connection: Connection) -> int:
    return int(connection.scalar(text("SELECT count(*) FROM tenants")) or 0)


def _direct(url: str) -> str:
    there = make_url(url)
    return f"host={there.query['host']} user={there.username} dbname={there.database}"


def _raw(database: Database) -> str:
    there = database.engine.url
    return f"host={there.host} port={there.port} user={there.username} dbname={there.database}"
