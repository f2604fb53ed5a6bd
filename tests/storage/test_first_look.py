from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from tests.support.migrated import migrated_sqlite

from shieldwall.server.storage.engine import first_look

KILLED_IN_THE_MIDDLE = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("CREATE TABLE more (value TEXT)")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_newest_revision_is_the_one_that_a_migration_leads_to() -> None:
    assert first_look.newest() == ScriptDirectory(str(first_look.MIGRATIONS)).get_current_head()


def test_a_database_of_today_is_seen_to_be_so_and_any_other_is_not(tmp_path: Path) -> None:
    url = migrated_sqlite(tmp_path / "with ? and #.db")
    assert first_look.is_surely_newest(url)

    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    assert not first_look.is_surely_newest(url)


@pytest.mark.parametrize("url", ["sqlite:///{}/nothing.db", "sqlite:///{}/no-database", "postgresql://there/is"])
def test_what_cannot_be_told_is_not_believed_to_be_newest(url: str, tmp_path: Path) -> None:
    (tmp_path / "no-database").write_bytes(b"something else" * 100)
    assert not first_look.is_surely_newest(url.format(tmp_path))
    assert not (tmp_path / "nothing.db").exists()


def test_a_look_leaves_the_log_of_a_killed_process_where_it_is(tmp_path: Path) -> None:
    url = migrated_sqlite(tmp_path / "killed.db")
    done = subprocess.run([sys.executable, "-c", KILLED_IN_THE_MIDDLE, url.removeprefix("sqlite:///")], check=False)
    assert done.returncode == -signal.SIGKILL
    log = tmp_path / "killed.db-wal"
    size = log.stat().st_size
    assert size > 0

    assert first_look.is_surely_newest(url)
    assert log.stat().st_size == size
