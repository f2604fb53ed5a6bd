"""``server backup``: a copy of a whole server while it runs.

The order matters. The signer's memory is copied **after** the database, so that it is never the older one: it may know
a revision that the database does not, never the other way round. Keys come after both; they only ever get more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from shieldwall import __version__
from shieldwall.contract.clock import Clock
from shieldwall.server.backup.archive import POSTGRESQL, SQLITE, Contents, Progress, writing
from shieldwall.server.backup.databases import copy_sqlite, dump_postgresql
from shieldwall.server.configuration.settings import FILE, ServerSettings
from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.engine.postgresql import parse

LEDGER: Final = "signer/ledger.sqlite3"

_Add = Callable[[str, Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBackup:
    """Take a backup. ``progress`` hears how far each part is."""

    clock: Clock
    progress: Progress

    def __call__(self, settings: ServerSettings, out: BinaryIO, *, room: Path, compressed: bool) -> Contents:
        """Write a backup to ``out``; ``room`` is a directory with space for a copy of the database.

        Raises:
            StorageUnavailableError: The database cannot be read.
            DatabaseToolError: PostgreSQL's program for copies is missing or failed.
        """
        taken_at = self.clock.now().isoformat(timespec="seconds")
        with (
            tempfile.TemporaryDirectory(prefix=".shieldwall-backup-", dir=room) as beside,
            writing(out, self.progress, compressed=compressed) as archive,
        ):
            schema = self._add_database(settings, Path(beside), archive.add)
            if (settings.data / LEDGER).exists():  # before its first start a server has signed nothing
                ledger = Path(beside, "ledger")
                copy_sqlite(settings.data / LEDGER, ledger, LEDGER, self.progress)
                archive.add(LEDGER, ledger)
            for name in _private_files(settings):
                archive.add(name, settings.data / name)
            archive.add(FILE, settings.data / FILE)
            return archive.finish(taken_at=taken_at, program=__version__, schema=schema)

    def _add_database(self, settings: ServerSettings, beside: Path, add: _Add) -> str:
        copy = beside / "database"
        if (source := parse(settings.database)).get_backend_name() == "sqlite":
            assert source.database is not None, "a server's database is a file"
            copy_sqlite(Path(source.database), copy, SQLITE, self.progress)
            schema = _schema_of(f"sqlite:///{copy}")
            add(SQLITE, copy)
        else:
            schema = _schema_of(settings.database)
            dump_postgresql(settings.database, copy)
            add(POSTGRESQL, copy)
        copy.unlink()
        return schema


def _private_files(settings: ServerSettings) -> Iterator[str]:
    """Name every other file that a server needs to be what it is."""
    yield settings.nonce_key.name
    for folder in ("tls", "keys", "hosts", "push"):
        for path in sorted((settings.data / folder).rglob("*")):
            inside = path.relative_to(settings.data)
            if path.is_file() and not any(part.startswith(".") for part in inside.parts):
                yield inside.as_posix()


def _schema_of(url: str) -> str:
    database = Database(url)
    try:
        return migrate.revision(database)
    finally:
        database.close()
