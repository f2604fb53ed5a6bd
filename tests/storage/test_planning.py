"""PostgreSQL answers pages of lists in one process, and other transactions of the connection as before."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.statements import planning

_SHOWN = text("SELECT current_setting('max_parallel_workers_per_gather'), current_setting('jit')")


def shown(connection: Connection) -> tuple[str, str]:
    workers, jit = connection.execute(_SHOWN).one()
    return workers, jit


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_it_holds_for_one_transaction(database: Database) -> None:
    with database.read() as connection:
        before = shown(connection)
        planning.at_once(connection)
        assert shown(connection) == ("0", "off")
    with database.read() as connection:
        assert shown(connection) == before != ("0", "off")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_is_told_nothing(database: Database) -> None:
    with database.read() as connection:
        planning.at_once(connection)
        assert connection.scalar(text("SELECT 1")) == 1
