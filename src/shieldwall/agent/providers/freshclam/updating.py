"""One run of freshclam, and what came of it, noted for whoever asks later.

A run is what proves an update: configuration, mirror and databases together. Its outcome is told by freshclam's exit
code (libfreshclam's ``fc_error_t``); a database that does not load is refused by freshclam itself, which keeps the old.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from shieldwall.agent.host.in_time import in_time
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.marked_block import arguments
from shieldwall.contract.clock import Clock
from shieldwall.contract.kinds import learned

CONFIGURATION: Final = PurePosixPath("/etc/clamav/freshclam.conf")
RECORD: Final = PurePosixPath("/var/lib/shieldwall-applier/definitions/last.json")
DATABASE: Final = PurePosixPath("/var/lib/clamav")
PROGRAM: Final = "freshclam"

_SECONDS: Final = 1800.0
"""Longest run; a whole database over a slow line takes its time."""
_DATABASES: Final = frozenset(
    (
        *(".cvd", ".cld", ".cud", ".cdb", ".crb", ".fp", ".ftm", ".gdb", ".hdb", ".hdu", ".hsb"),
        *(".hsu", ".idb", ".ign", ".ign2", ".imp", ".info", ".ldb", ".ldu", ".mdb", ".mdu", ".msb"),
        *(".msu", ".ndb", ".ndu", ".pdb", ".pwdb", ".rmd", ".sdb", ".sfp", ".wdb", ".yar", ".yara"),
        *(".zmd"),
    )
)
_OURS: Final = "shieldwall-"
_HEADER: Final = re.compile(rb"ClamAV-VDB:(\d{1,2} \w{3} \d{4} \d{2}-\d{2} [+-]\d{4}):(\d+):")
_LONGEST: Final = 512
_MOST_FILES: Final = 10_000
"""A directory that somebody else serves may have no end."""


class Outcome(StrEnum):
    """How a run of freshclam ended."""

    UPDATED = "updated"
    UP_TO_DATE = "upToDate"
    MIRROR_UNREACHABLE = "mirrorUnreachable"
    MIRROR_INCOMPLETE = "mirrorIncomplete"
    """The mirror answers and does not have what is asked for."""
    DATABASE_REFUSED = "databaseRefused"
    """What the mirror gave is damaged or not signed by the vendor; the old databases stay."""
    BUSY = "anotherUpdateRuns"
    FAILED = "updateFailed"


_OUTCOMES: Final = {5: Outcome.MIRROR_UNREACHABLE, 7: Outcome.DATABASE_REFUSED, 8: Outcome.DATABASE_REFUSED}
_OUTCOMES_OF_HTTP: Final = 11
GOOD: Final = frozenset({Outcome.UPDATED, Outcome.UP_TO_DATE})


class Run(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The last run."""

    at: str
    outcome: Outcome
    returncode: int
    configuration: str
    """Digest of the configuration it ran with."""
    said: str = ""


class Databases(msgspec.Struct, frozen=True, kw_only=True):
    """The databases of definitions that lie on this device."""

    newest: datetime | None
    """When the newest was made, as its own header says, or the file where it has none."""
    version: str
    """Version of the vendor's daily database; empty without one."""
    daily: datetime | None
    """When the vendor made that."""
    digest: str
    """Changes whenever any of them does."""


def update(host: Host, clock: Clock) -> Run:
    """Run freshclam once and note the outcome. Raises: HostError; ProviderError when there is no freshclam."""
    program = host.find_program(PROGRAM)
    content = host.read_file(CONFIGURATION)
    if program is None or content is None:
        raise ProviderError("freshclam is not on this device.", remedy="Install the package clamav-freshclam.")
    before = databases(host, content).digest
    done = host.run([program, f"--config-file={host.locate(CONFIGURATION)}", "--stdout"], timeout_seconds=_SECONDS)
    said = done.stdout.decode(errors="replace")
    run = Run(
        at=clock.now().isoformat(timespec="seconds"),
        outcome=_outcome(done.returncode, said, changed=databases(host, content).digest != before),
        returncode=done.returncode,
        configuration=digest_of(content),
        said=_last_words(said),
    )
    host.write_file(RECORD, msgspec.json.encode(run) + b"\n", mode=0o640)
    return run


def last(host: Host) -> Run | None:
    """Return the last run that was noted. Raises: HostError."""
    content = host.read_file(RECORD)
    try:
        return None if content is None else msgspec.json.decode(content, type=learned(Run))
    except msgspec.DecodeError:
        return None


def databases(host: Host, configuration: bytes) -> Databases:
    """Look at the databases on this device; those that Shieldwall itself puts there do not count.

    Raises:
        HungError: The directory, which is the engine's own user's, does not answer.
    """
    directory = database_directory(host, configuration)
    return in_time(f"The databases in {directory}", lambda: _databases(directory))


def _databases(directory: Path) -> Databases:
    newest: datetime | None = None
    daily: datetime | None = None
    version, digest = "", hashlib.sha256()
    for path in _files(directory):
        try:
            # The directory belongs to the engine's user: what is opened there may have become a pipe meanwhile.
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    continue
                header = _HEADER.match(file.read(512))
        except OSError:
            continue
        digest.update(f"{path.name}:{status.st_size}:{status.st_mtime_ns}\n".encode())
        made = _made(header) or datetime.fromtimestamp(status.st_mtime, UTC)
        newest = made if newest is None or made > newest else newest
        if header is not None and path.stem == "daily":
            version, daily = header[2].decode(), made
    return Databases(newest=newest, version=version, daily=daily, digest=digest.hexdigest())


def database_directory(host: Host, configuration: bytes) -> Path:
    """Return where the databases lie, in freshclam's own view of the system."""
    given = arguments(configuration, "DatabaseDirectory")
    return Path(given[0]) if given else host.locate(DATABASE)


def digest_of(configuration: bytes) -> str:
    """Return by what a configuration is known in the note of a run."""
    return hashlib.sha256(configuration).hexdigest()


def _outcome(returncode: int, said: str, *, changed: bool) -> Outcome:
    if returncode in (0, 1):
        return Outcome.UPDATED if changed else Outcome.UP_TO_DATE
    if "locked by another process" in said:
        return Outcome.BUSY
    if returncode == _OUTCOMES_OF_HTTP:
        refused = "Couldn't connect" in said or "resolve" in said or "Timeout was reached" in said
        return Outcome.MIRROR_UNREACHABLE if refused else Outcome.MIRROR_INCOMPLETE
    return _OUTCOMES.get(returncode, Outcome.FAILED)


def _last_words(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "WARNING", "Unexpected"))]
    return " ".join(errors or lines[-1:])[:_LONGEST]


def _files(directory: Path) -> Iterator[Path]:
    try:
        found = sorted(islice(directory.iterdir(), _MOST_FILES))
    except OSError:
        return
    for path in found:
        if path.suffix in _DATABASES and not path.name.startswith(_OURS) and path.is_file():
            yield path


def _made(header: re.Match[bytes] | None) -> datetime | None:
    if header is None:
        return None
    try:
        return datetime.strptime(header[1].decode(), "%d %b %Y %H-%M %z").astimezone(UTC)
    except ValueError:
        return None
