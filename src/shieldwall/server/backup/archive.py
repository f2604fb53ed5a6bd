"""The file that holds a backup: a tar archive that anybody can look into, with a list of what is in it at its end.

The list comes last because only then everything was read; an archive without it was cut short. Reading believes
nothing: names are of a fixed form, links and devices do not exist, every file is compared with the list.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Literal

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.server.backup.errors import BackupFileError, BadBackupError

CONTENTS: Final = "contents.json"
SQLITE: Final = "database.sqlite"
POSTGRESQL: Final = "database.dump"
_NAME: Final = re.compile(
    r"server\.json|nonce\.key|database\.(sqlite|dump)|(tls|keys|hosts|signer|push)(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){1,4}"
)
_MOST_CONTENTS: Final = 16 * 1024 * 1024
_CHUNK: Final = 1024 * 1024

Progress = Callable[[str, int, int], None]
"""Hears of what is being done, how far it is and how far it will go; both in bytes, or pages of a database."""


class Contents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What an archive holds. ``files`` are digests (SHA-256, hexadecimal) by name, ``schema`` that of the database."""

    format: Literal[1] = 1
    taken_at: str
    program: str
    schema: str
    files: dict[str, str]


class _Hashing(io.RawIOBase):
    """Reads on, and knows the digest of what was read."""

    def __init__(self, source: BinaryIO, name: str, size: int, progress: Progress) -> None:
        self._source, self._name, self._size, self._progress = source, name, size, progress
        self._read = 0
        self.digest: Final = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read as the source does."""
        part = self._source.read(size)
        self.digest.update(part)
        self._read += len(part)
        self._progress(self._name, self._read, self._size)
        return part


class ArchiveWriter:
    """Writes one archive from its first file to its list."""

    def __init__(self, archive: tarfile.TarFile, progress: Progress) -> None:
        self._archive = archive
        self._progress = progress
        self.files: Final[dict[str, str]] = {}

    def add(self, name: str, path: Path) -> None:
        """Add a file as it is now, under a name of its own."""
        assert _NAME.fullmatch(name), f"{name} could not be restored"
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            reading = _Hashing(file, name, size, self._progress)
            self._archive.addfile(_entry(name, size), reading)
        self.files[name] = reading.digest.hexdigest()

    def finish(self, *, taken_at: str, program: str, schema: str) -> Contents:
        """Write the list; without it the archive is worth nothing."""
        contents = Contents(taken_at=taken_at, program=program, schema=schema, files=self.files)
        body = strict_json.encode(contents)
        self._archive.addfile(_entry(CONTENTS, len(body)), io.BytesIO(body))
        return contents


@contextmanager
def writing(out: BinaryIO, progress: Progress, *, compressed: bool) -> Iterator[ArchiveWriter]:
    """Write an archive to a stream, from its beginning to its end."""
    with tarfile.open(fileobj=out, mode="w|gz" if compressed else "w|", format=tarfile.PAX_FORMAT) as archive:
        yield ArchiveWriter(archive, progress)


def extract(source: BinaryIO, into: Path, progress: Progress) -> Contents:
    """Read an archive into an empty directory, and return what it holds; every file is private and as it was.

    Raises:
        BadBackupError: It is none, was cut short, or a file is not what it was.
    """
    digests: dict[str, str] = {}
    contents: Contents | None = None
    try:
        with tarfile.open(fileobj=source, mode="r|*") as archive:
            for entry in archive:
                if contents is not None:
                    raise BadBackupError("There is something behind the end of the backup.")
                if entry.name == CONTENTS and entry.isreg():
                    contents = _read_contents(_opened(archive, entry), entry.size)
                else:
                    digests[entry.name] = _extract_one(archive, entry, into, progress)
    except OSError as error:
        if error.errno is not None:  # of the machine: no room, no right; what is wrong with a compressed file has none
            raise BackupFileError(f"The backup cannot be unpacked into {into}: {error.strerror}.") from None
        raise BadBackupError(f"The file cannot be read as a backup: {error}.") from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise BadBackupError(f"The file cannot be read as a backup: {error}.") from None
    if contents is None:
        raise BadBackupError("The backup ends before its list of contents: it was cut short.")
    wrong = [name for name in contents.files.keys() | digests.keys() if contents.files.get(name) != digests.get(name)]
    if wrong:
        raise BadBackupError(f"Files of the backup are not what they were: {', '.join(sorted(wrong)[:3])}.")
    return contents


def _extract_one(archive: tarfile.TarFile, entry: tarfile.TarInfo, into: Path, progress: Progress) -> str:
    if not entry.isreg() or not _NAME.fullmatch(entry.name):
        raise BadBackupError(f"{entry.name[:80]!r} has no place in a backup.")
    path = into / entry.name
    for folder in reversed(path.relative_to(into).parents[:-1]):
        (into / folder).mkdir(mode=0o700, exist_ok=True)
    reading = _Hashing(_opened(archive, entry), entry.name, entry.size, progress)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise BadBackupError(f"{entry.name} is in the backup twice.") from None
    with os.fdopen(descriptor, "wb") as file:
        while part := reading.read(_CHUNK):
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    return reading.digest.hexdigest()


def _read_contents(source: BinaryIO, size: int) -> Contents:
    if size > _MOST_CONTENTS:
        raise BadBackupError("The list of contents is too long.")
    try:
        return strict_json.decode(source.read(_MOST_CONTENTS), Contents)
    except InvalidJsonError as error:
        raise BadBackupError(f"The list of contents cannot be read: {error.cause}") from None


def _opened(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> BinaryIO:
    opened = archive.extractfile(entry)
    assert opened is not None, "a regular file can be opened"
    return opened  # type: ignore[return-value]  # a reader of bytes, as the library hands it out


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry
