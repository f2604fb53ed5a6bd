"""``server restore``: a server out of a backup, where none is. Nothing is ever overwritten.

The manifests that devices have seen since the backup carry higher numbers than it knows of. So every tenant begins a
new incarnation, whose numbers are above all of the one before (``trust.verification``); forgetting that step would
leave a fleet that refuses its server. ``server.json`` comes last: where it is, everything else is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from sqlalchemy.engine import make_url

from shieldwall.contract import strict_json
from shieldwall.contract.ids import TenantId
from shieldwall.server.backup.archive import POSTGRESQL, SQLITE, Contents, Progress, extract
from shieldwall.server.backup.databases import check_sqlite, load_postgresql
from shieldwall.server.backup.errors import BadBackupError, RestoreTargetError
from shieldwall.server.configuration.settings import FILE, ServerSettings, default_database, resolved, write_private
from shieldwall.server.configuration.settings_file import SettingsFile
from shieldwall.server.signer.incarnations import begin_incarnation
from shieldwall.server.signer.keys import held_tenants
from shieldwall.server.storage.engine import migrate

_NEEDED: Final = (FILE, "nonce.key", "tls/server.pem", "tls/server.key", "tls/ca.pem")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was brought back, and the incarnation that each tenant begins."""

    contents: Contents
    settings: ServerSettings
    incarnations: dict[TenantId, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Bring a server back. ``tell`` hears of each step before it is taken."""

    tell: Callable[[str], None]
    progress: Progress

    def __call__(self, source: BinaryIO, data: Path, *, database: str | None = None) -> Restored:
        """Make a server in ``data`` out of a backup; ``database`` is another PostgreSQL than the one it had.

        Raises:
            RestoreTargetError: There is something already.
            BadBackupError: The backup is none, not whole, or of a newer program.
            DatabaseToolError: PostgreSQL's program for copies is missing or failed.
        """
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(data.iterdir()):
            raise RestoreTargetError(f"{data} is not empty.")
        data.chmod(0o700)
        try:
            return self._restore(source, data, database)
        except BaseException:
            _empty(data)  # so that a second try finds the directory as the first one did
            raise

    def _restore(self, source: BinaryIO, data: Path, database: str | None) -> Restored:
        self.tell("Reading and comparing the files of the backup")
        contents = extract(source, data, self.progress)
        file = _whole(contents, data)
        (data / FILE).unlink()

        self.tell("Bringing back the database")
        file = _with_database(file, data, database)
        settings = resolved(data, file)

        self.tell("Beginning a new incarnation, so that devices take what this server signs for newer")
        incarnations = {tenant: begin_incarnation(settings.keys, tenant) for tenant in held_tenants(settings.keys)}

        write_private(data / FILE, msgspec.json.format(strict_json.encode(file), indent=2) + b"\n")
        _sync(data)
        return Restored(contents=contents, settings=settings, incarnations=incarnations)


def _whole(contents: Contents, data: Path) -> SettingsFile:
    """Refuse a backup that lacks what no server can do without; return its settings."""
    missing = [name for name in _NEEDED if name not in contents.files]
    if missing or not contents.files.keys() & {SQLITE, POSTGRESQL}:
        raise BadBackupError(f"The backup lacks {', '.join(missing) or 'the database'}.")
    if not migrate.knows(contents.schema):
        raise BadBackupError(
            f"The backup was made by the newer program {contents.program}.",
            remedy="Restore it with that program or a later one.",
        )
    return strict_json.decode((data / FILE).read_bytes(), SettingsFile)


def _with_database(file: SettingsFile, data: Path, database: str | None) -> SettingsFile:
    if (data / SQLITE).exists():
        if database is not None:
            raise RestoreTargetError(
                "The backup holds a SQLite database.", remedy="Leave out --database: it is restored into the directory."
            )
        check_sqlite(data / SQLITE)
        url = default_database(data)
        place = make_url(url).database
        assert place is not None, "the default is a file"
        (data / SQLITE).rename(place)
        return msgspec.structs.replace(file, database=url)
    url = database or file.database
    load_postgresql(url, data / POSTGRESQL)
    (data / POSTGRESQL).unlink()
    return msgspec.structs.replace(file, database=url)


def _empty(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _sync(directory: Path) -> None:
    for folder in (directory, *(path for path in directory.rglob("*") if path.is_dir())):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
