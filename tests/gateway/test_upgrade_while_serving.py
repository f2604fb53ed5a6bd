"""A newer program migrates the database while a gateway of this one serves: first expanding, later contracting."""

from __future__ import annotations

import http.client
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support.databases import migrated_database_url
from tests.support.scaled_server import ScaledServer
from tests.support.steady_load import Ledger, Load, loaded
from tests.support.storm_server import SHIELDWALL

from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database

__all__ = ["migrated_database_url"]

pytestmark = pytest.mark.parametrize(
    "migrated_database_url", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)
EXPANDING = """
revision, down_revision = "9001_{own}", "{head}"
from alembic import op
import sqlalchemy as sa

def upgrade():
    op.add_column("check_ins", sa.Column("more", sa.String(16), nullable=False, server_default="none"))
    op.create_table("newer", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("SELECT pg_sleep(1.5)")  # what takes long, while the tables above are locked

def downgrade():
    op.drop_table("newer")
    op.drop_column("check_ins", "more")
"""
CONTRACTING = """
revision, down_revision = "9002_9001", "9001_{own}"
from alembic import op

def upgrade():
    op.drop_column("check_ins", "more")

def downgrade():
    raise NotImplementedError
"""


class NewerProgram:
    """A program with two more revisions than this one."""

    def __init__(self, home: Path) -> None:
        self._migrations = home / "migrations"
        shutil.copytree(migrate._MIGRATIONS, self._migrations)
        self._head = migrate.head()

    def migrate(self, database: Database, monkeypatch: pytest.MonkeyPatch, script: str, name: str) -> None:
        """Take one step further, as ``server run`` of that program does first."""
        written = script.format(own=self._head[:4], head=self._head)
        (self._migrations / "versions" / f"{name}.py").write_text(written)
        with monkeypatch.context() as patched:
            patched.setattr(migrate, "_MIGRATIONS", self._migrations)
            migrate.upgrade(database)


@pytest.fixture
def scaled(migrated_database_url: str, tmp_path: Path) -> Iterator[ScaledServer]:
    with ScaledServer.running(tmp_path, migrated_database_url, gateways=1) as server:
        yield server


def test_an_older_gateway_serves_on_until_the_schema_takes_away_what_it_needs(
    scaled: ScaledServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = scaled.server.enrolled(16)
    port = next(part.port for part in scaled.parts if part.port)
    newer = NewerProgram(tmp_path / "newer")
    with scaled.server.database() as database:
        with loaded(Load(scaled.server.authority, port, fleet)) as ledger:
            some_more(ledger)
            with closing(Database(scaled.server.settings.database)) as busy, busy.write() as connection:
                # Somebody reads for longer than a migration waits for its lock: it stands back and tries again.
                connection.execute(text("SELECT count(*) FROM check_ins"))
                began = time.monotonic()
                worker = migrating(newer, database, monkeypatch)
                time.sleep(3)
            worker.join(60)
            assert time.monotonic() - began > 3
            assert migrate.revision(database).startswith("9001")
            some_more(ledger)
        assert set(ledger.answers) <= {"200", "204"}, "not one had to ask twice"
        assert ready(scaled, port) == (200, "ready")
        assert starts(scaled)

        newer.migrate(database, monkeypatch, CONTRACTING, "9002_contracting")
        status, told = ready(scaled, port)
        assert (status, told) == (503, "notReady"), "whoever stands in front sends nobody here any more"
        assert not starts(scaled)


def migrating(newer: NewerProgram, database: Database, monkeypatch: pytest.MonkeyPatch) -> threading.Thread:
    worker = threading.Thread(target=newer.migrate, args=(database, monkeypatch, EXPANDING, "9001_expanding"))
    worker.start()
    return worker


def some_more(ledger: Ledger) -> None:
    """Wait until everybody was served again."""
    before = ledger.answers.total()
    until = time.monotonic() + 30
    while ledger.answers.total() < before + 64:
        assert time.monotonic() < until, ledger.answers
        time.sleep(0.02)


def ready(scaled: ScaledServer, port: int) -> tuple[int, str]:
    trust = ssl.create_default_context(cafile=str(scaled.server.settings.tls_authority))
    with closing(http.client.HTTPSConnection("localhost", port, context=trust, timeout=20)) as connection:
        connection.request("GET", "/readyz", headers={"Host": scaled.server.authority})
        answer = connection.getresponse()
        return answer.status, "ready" if b'"ready"' in answer.read() else "notReady"


def starts(scaled: ScaledServer) -> bool:
    """Whether this program still starts with that database; it looks before it starts anything."""
    settings = scaled.server.settings
    command = [str(SHIELDWALL), "server", "run", "--data", str(settings.data), "--role", "gateway"]
    with subprocess.Popen([*command, "--gateway-port", str(settings.public_port)], stderr=-1, stdout=-1) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        has_started = bool(process.stdout.readline())
        process.terminate()
        if not has_started:
            assert b"[unknownSchema]" in process.stderr.read()
        return has_started
