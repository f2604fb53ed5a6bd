"""Bringing a database to the schema this program knows, in one transaction: all of it or nothing.

Programs that differ run side by side while one is exchanged for the other. So a revision *expands*: what the program
before it reads and writes stays as it is. What nobody reads any more is taken away by a later revision, which
*contracts*. Which programs may go on says the name of a revision: ``0031_0028`` is the thirty-first, and serves every
program whose own newest is the twenty-eighth or a later one. An older program finds there, without knowing the revision
itself, whether it may serve.

What does it is loaded when it is needed: a gateway that starts again does not, and shall be there soon.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.storage.engine import first_look
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS: Final = first_look.MIGRATIONS
_VERSION: Final = "alembic_version"
_LOCK: Final = 0x5348_4D47  # any number that nobody else takes, as long as every Shieldwall server takes the same

_LOCK_MILLISECONDS: Final = 2_000
"""So long a change of a table waits for those who use it; everybody who comes later waits behind it."""
_ATTEMPTS: Final = 30
_LOCK_NOT_FREED: Final = "55P03"
"""SQLSTATE lock_not_available."""
_PROMISE: Final = re.compile(r"(?P<number>\d{4})_(?P<oldest>\d{4})")


class UnknownSchemaError(ShieldwallError):
    """The database is at a revision this program does not have: a newer program made it."""

    code = "unknownSchema"
    remedy = "Start the newer program, or restore the backup made before the upgrade."


def upgrade(database: Database) -> None:
    """Bring the database to the newest revision; one that is there already stays as it is.

    So does one that a newer program made, if that says that this program may go on. Servers that start at the same time
    wait for each other, and servers that run go on meanwhile.

    Raises:
        UnknownSchemaError: A newer program has been here, and took away what this one needs.
        StorageUnavailableError: The database cannot take it; nothing was changed.
    """
    if revision(database) == head():
        return
    for left in reversed(range(_ATTEMPTS)):
        try:
            with database.rebuild() as connection:
                _upgrade(connection)
        except StorageUnavailableError as error:
            if not left or not _is_lock_not_freed(error):
                raise
            time.sleep(_LOCK_MILLISECONDS / 1_000)  # so that those who waited behind us have their turn
        else:
            return


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - see above
    from alembic.util import CommandError  # noqa: PLC0415 - see above

    if connection.dialect.name != "sqlite":  # SQLite has one writer at a time anyway
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = {_LOCK_MILLISECONDS}"))
    if _is_promised(MigrationContext.configure(connection).get_current_revision()):
        return
    try:
        command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise UnknownSchemaError(f"The database's schema is not known to this program: {error}.") from error


def _is_lock_not_freed(error: StorageUnavailableError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OperationalError) and getattr(cause.orig, "sqlstate", None) == _LOCK_NOT_FREED


def is_current(database: Database) -> bool:
    """Whether this program can serve: the schema is its own, or a newer one that says so."""
    present = revision(database)
    return present == head() or _is_promised(present)


def head() -> str:
    """Return the newest revision of this program."""
    return first_look.newest(_MIGRATIONS)


def _is_promised(present: str | None) -> bool:
    """Say whether a revision that is newer than all of this program serves it nevertheless."""
    promise = _PROMISE.fullmatch(present or "")
    if promise is None or knows(promise[0]):
        return False
    return promise["oldest"] <= head()[:4] < promise["number"]


def revision(database: Database) -> str:
    """Return the revision that the database is at, nothing where it has no schema yet."""
    with database.read() as connection:
        if not inspect(connection).has_table(_VERSION):
            return ""
        return connection.execute(text(f"SELECT version_num FROM {_VERSION}")).scalar() or ""  # noqa: S608 - our own


def knows(known: str) -> bool:
    """Whether this program can bring a database of this revision to its own."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    return known in {script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()}


def _config(connection: Connection) -> Config:
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
