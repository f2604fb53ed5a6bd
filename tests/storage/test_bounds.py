"""What clients make up may take so long and no longer, and leaves the connection as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.storage.statements.bounds import bounded

ENDLESS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) SELECT count(*) FROM numbers"
FINITE = ENDLESS.replace("FROM numbers)", "FROM numbers WHERE n < 500000)")


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Database]:
    """SQLite: PostgreSQL's own limit is in force on every connection."""
    with closing(Database.at(tmp_path / "shieldwall.db")) as opened:
        yield opened


def test_a_question_without_end_is_ended(embedded: Database) -> None:
    with (
        pytest.raises(StorageUnavailableError, match="interrupted"),
        embedded.read() as connection,
        bounded(connection, seconds=0.05),
    ):
        connection.execute(text(ENDLESS))


def test_what_comes_after_has_its_own_time(embedded: Database) -> None:
    with embedded.read() as connection:
        with pytest.raises(OperationalError), bounded(connection, seconds=0.0):
            connection.execute(text(ENDLESS))
        assert connection.scalar(text(FINITE)) == 500_000
