"""Bringing a database to the schema this program knows, in one transaction: all of it or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.storage.database import Database

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x5348_4D47  # any number that nobody else takes, as long as every Shieldwall server takes the same


class UnknownSchemaError(ShieldwallError):
    """The database is at a revision this program does not have: a newer program made it."""

    code = "unknownSchema"
    remedy = "Start the newer program, or restore the backup made before the upgrade."


def upgrade(database: Database) -> None:
    """Bring the database to the newest revision; one that is there already stays as it is.

    Servers that start at the same time wait for each other.

    Raises:
        UnknownSchemaError: A newer program has been here.
        StorageUnavailableError: The database cannot take it; nothing was changed.
    """
    with database.write() as connection:
        if not database.is_sqlite:  # SQLite has one writer at a time anyway
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        try:
            command.upgrade(_config(connection), "head")
        except CommandError as error:
            raise UnknownSchemaError(f"The database's schema is not known to this program: {error}.") from error


def is_current(database: Database) -> bool:
    """Whether the database is at the newest revision of this program."""
    with database.read() as connection:
        heads = ScriptDirectory.from_config(_config(connection)).get_heads()
        return set(MigrationContext.configure(connection).get_current_heads()) == set(heads)


def revision(database: Database) -> str:
    """Return the revision that the database is at."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def knows(known: str) -> bool:
    """Whether this program can bring a database of this revision to its own."""
    return known in {script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()}


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
