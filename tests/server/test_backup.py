"""A server is copied while it is written to, and brought back as it was: on both engines, and never in part."""

from __future__ import annotations

import errno
import io
import json
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.engine import make_url
from tests.support.databases import database_url
from tests.support.samples import a_device, device_id
from tests.support.trust import NOON, HandClock
from typer.testing import CliRunner

from shieldwall.cli.shieldwall import app
from shieldwall.contract.ids import KeyThumbprint, PolicyId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.backup.archive import CONTENTS, SQLITE
from shieldwall.server.backup.databases import copy_sqlite
from shieldwall.server.backup.errors import BackupFileError, BadBackupError, RestoreTargetError
from shieldwall.server.backup.restoring import Restore, Restored
from shieldwall.server.backup.taking import TakeBackup
from shieldwall.server.configuration import settings as settings_file
from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.console.initialise import Initialise
from shieldwall.server.observing.upkeep import Upkeep, failures, last_done
from shieldwall.server.signer.keys import load_keys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.service import SignerService
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.schema import devices as devices_table
from shieldwall.server.system import new_id
from shieldwall.trust.verification import open_manifest

__all__ = ["database_url"]

POLICY = PolicyId("11111111-1111-4111-8111-111111111111")


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 26, 12, tzinfo=UTC)


def quietly(_what: str, _done: int, _total: int) -> None:
    pass


@dataclass(frozen=True)
class Kept:
    """A server that has a device and a signed revision, and its backup."""

    settings: ServerSettings
    archive: bytes


@pytest.fixture
def kept(tmp_path: Path, database_url: str) -> Kept:
    settings = Initialise(
        clock=FixedClock(), new_id=new_id, randomness=lambda size: b"x" * size, tell=lambda _step: None
    )(
        tmp_path / "data",
        database=database_url,
        public_url="https://admin.example",
        gateway_url="https://devices.example:8444",
        listen="127.0.0.1",
        tenant_name="Example",
        domain="example.org",
    )
    with closing(Database(settings.database)) as database, database.write() as connection:
        devices.add(connection, a_device(1, tenant_id=settings.tenant_id))
    with closing(Ledger(settings.data / "signer")) as ledger:
        ledger.claim_revision(settings.tenant_id, POLICY, 3, digest_of_bytes(b"third"))
    return Kept(settings, backup_of(settings, tmp_path))


def backup_of(settings: ServerSettings, room: Path) -> bytes:
    out = io.BytesIO()
    TakeBackup(clock=FixedClock(), progress=quietly)(settings, out, room=room, compressed=True)
    return out.getvalue()


def restore(archive: bytes, data: Path, database: str | None = None) -> Restored:
    return Restore(tell=lambda _step: None, progress=quietly)(io.BytesIO(archive), data, database=database)


def emptied(settings: ServerSettings) -> None:
    """Lose the database of a server on PostgreSQL, as whoever restores has."""
    if make_url(settings.database).get_backend_name() == "sqlite":
        return
    with closing(Database(settings.database)) as database, database.engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")


def test_a_server_comes_back_as_it_was(kept: Kept, tmp_path: Path) -> None:
    emptied(kept.settings)
    restored = restore(kept.archive, tmp_path / "back")

    found = settings_file.load(tmp_path / "back")
    assert found == restored.settings
    assert (found.tenant_id, found.public_url) == (kept.settings.tenant_id, kept.settings.public_url)
    with closing(Database(found.database)) as database, database.read() as connection:
        assert devices.get(connection, device_id(1)).tenant_id == found.tenant_id
    assert found.nonce_key.read_bytes() == kept.settings.nonce_key.read_bytes()
    for path in (path for path in found.data.rglob("*") if path.name != "run"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_what_is_signed_after_a_restore_is_newer_than_anything_before(kept: Kept, tmp_path: Path) -> None:
    emptied(kept.settings)
    before = load_keys(kept.settings.keys, kept.settings.tenant_id)
    after = load_keys(restore(kept.archive, tmp_path / "back").settings.keys, kept.settings.tenant_id)

    assert after.unit.incarnation == before.unit.incarnation + 1
    assert after.trust_root().roles == before.trust_root().roles
    with closing(Ledger(tmp_path / "back" / "signer")) as ledger, pytest.raises(Exception, match="another document"):
        ledger.claim_revision(kept.settings.tenant_id, POLICY, 3, digest_of_bytes(b"another third"))


def test_a_copy_is_of_one_moment_while_others_write(tmp_path: Path) -> None:
    source, stop = tmp_path / "source.db", threading.Event()
    with closing(sqlite3.connect(source)) as made:
        made.executescript("PRAGMA journal_mode=WAL; CREATE TABLE pairs (a INTEGER, b INTEGER);")
        made.executemany("INSERT INTO pairs VALUES (?, ?)", [(0, 0)] * 50_000)
        made.commit()

    def write() -> None:
        with closing(sqlite3.connect(source)) as writer:
            number = 0
            while not stop.is_set():
                number += 1
                writer.execute("UPDATE pairs SET a = ?, b = ? WHERE rowid % 1000 = 0", (number, number))
                writer.commit()

    seen: list[int] = []
    thread = threading.Thread(target=write)
    thread.start()
    try:
        copy_sqlite(source, tmp_path / "copy.db", "copy", lambda _what, done, _total: seen.append(done))
    finally:
        stop.set()
        thread.join()

    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(DISTINCT a) FROM pairs WHERE rowid % 1000 = 0").fetchone() == (1,)
        assert copy.execute("SELECT count(*) FROM pairs WHERE a <> b").fetchone() == (0,)
    assert seen == sorted(seen), "it never began anew"


def test_nothing_is_overwritten(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "note").touch()

    with pytest.raises(RestoreTargetError, match="not empty"):
        restore(kept.archive, tmp_path / "taken")

    if make_url(kept.settings.database).get_backend_name() == "postgresql":
        with pytest.raises(RestoreTargetError, match="is not empty"):
            restore(kept.archive, tmp_path / "back")
        assert not any((tmp_path / "back").iterdir())


@pytest.fixture
def unpacked(kept: Kept) -> Iterator[dict[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(kept.archive), mode="r:*") as archive:
        yield {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return out.getvalue()


def linking(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("keys/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return out.getvalue() + packed(files)


def listed(unpacked: dict[str, bytes], /, **changed: object) -> dict[str, bytes]:
    return unpacked | {CONTENTS: json.dumps(json.loads(unpacked[CONTENTS]) | changed).encode()}


def test_a_backup_that_is_not_whole_brings_nothing_back(unpacked: dict[str, bytes], kept: Kept, tmp_path: Path) -> None:
    contents = unpacked.pop(CONTENTS)
    whole = unpacked | {CONTENTS: contents}
    bad = {
        "cut in the middle": kept.archive[: len(kept.archive) // 2],
        "without its list": packed(unpacked),
        "another file": packed(whole | {"nonce.key": b"y" * 32}),
        "a file too few": packed({name: body for name, body in whole.items() if name != "tls/ca.pem"}),
        "a file too many": packed({"keys/stranger": b"", **whole}),
        "something behind the end": packed(whole | {"tls/late": b""}),
        "a way out": packed({"../escaped": b"", **whole}),
        "a way out of keys": packed({"keys/../../escaped": b"", **whole}),
        "an absolute name": packed({"/tmp/escaped": b"", **whole}),
        "a link": linking(whole),
        "of a newer program": packed(listed(whole, schema="9999")),
        "in a newer form": packed(listed(whole, format=2)),
        "no archive": b"nothing of the kind",
        "nothing": b"",
    }
    for what, archive in bad.items():
        with pytest.raises(BadBackupError):
            restore(archive, tmp_path / "back")
        assert not any((tmp_path / "back").iterdir()), what
    assert not (tmp_path / "escaped").exists()


def test_a_damaged_database_is_found(unpacked: dict[str, bytes], tmp_path: Path) -> None:
    if SQLITE not in unpacked:
        pytest.skip("pg_restore refuses what is damaged by itself")
    broken = bytearray(unpacked[SQLITE])
    broken[4096:12288] = bytes(8192)
    files = unpacked | {SQLITE: bytes(broken)}
    digests = json.loads(unpacked[CONTENTS])["files"] | {SQLITE: digest_of_bytes(bytes(broken))}

    with pytest.raises(BadBackupError, match="damaged"):
        restore(packed(listed(files, files=digests)), tmp_path / "back")


def test_a_backup_counts_what_was_there(kept: Kept, tmp_path: Path) -> None:
    def count(connection: Connection) -> int:
        return connection.scalar(select(func.count()).select_from(devices_table)) or 0

    with closing(Database(kept.settings.database)) as database, database.write() as connection:
        devices.add(connection, a_device(2, tenant_id=kept.settings.tenant_id))
        assert count(connection) == 2
    emptied(kept.settings)
    with (
        closing(Database(restore(kept.archive, tmp_path / "back").settings.database)) as database,
        database.read() as connection,
    ):
        assert count(connection) == 1


def test_what_the_disk_refuses_is_said_as_that_and_not_blamed_on_the_backup(
    unpacked: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("shieldwall.server.backup.archive.os.fsync", full)
        with pytest.raises(BackupFileError, match="No space left"):
            restore(packed(unpacked), tmp_path / "back")
    assert not any((tmp_path / "back").iterdir())


def test_a_backup_that_was_taken_is_told_of(kept: Kept, tmp_path: Path) -> None:
    kept.settings.run.mkdir(exist_ok=True)
    words = ["server", "backup", "--data", str(kept.settings.data), "--out", str(tmp_path / "taken.tar")]
    assert CliRunner().invoke(app, words).exit_code == 0

    assert (tmp_path / "taken.tar").exists()
    assert last_done(kept.settings.run, Upkeep.BACKUP)
    assert failures(kept.settings.run, Upkeep.BACKUP) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("backup", "--out", "/nonexistent/backup.tar"),
        ("restore", "/nonexistent/backup.tar"),
        ("push", "init", "--url", "http://nats.example", "--out", "nats"),
        ("push", "init", "--url", "tls://nats.example:4222", "--per-second", "0", "--out", "nats"),
    ],
)
def test_the_console_says_in_words_what_cannot_be(words: tuple[str, ...], kept: Kept, tmp_path: Path) -> None:
    data = tmp_path / "empty" if words[0] == "restore" else kept.settings.data
    kept.settings.run.mkdir(exist_ok=True)
    said = CliRunner().invoke(app, ["server", *words, "--data", str(data)], env={"COLUMNS": "200"})

    assert said.exit_code == 1
    assert isinstance(said.exception, SystemExit), said.exception
    assert "What to do: " in said.output
    assert failures(kept.settings.run, Upkeep.BACKUP) == (words[0] == "backup")
    assert not (tmp_path / "empty").exists() or not any((tmp_path / "empty").iterdir())


def test_a_backup_that_is_restored_twice_never_repeats_a_number(kept: Kept, tmp_path: Path) -> None:
    """The first restored server served devices for a minute, and was lost as well."""
    numbers: list[list[int]] = []
    for place, moment in (("first", NOON), ("second", NOON + timedelta(minutes=1))):
        emptied(kept.settings)
        numbers.append(numbered(restore(kept.archive, tmp_path / place).settings, moment, 2_500))

    assert min(numbers[1]) > max(numbers[0]), "devices refuse what is not newer"
    assert all(sorted(set(each)) == each for each in numbers)


def numbered(settings: ServerSettings, moment: datetime, count: int) -> list[int]:
    """Sign so many manifests, and return their versions."""
    with closing(Ledger(settings.data / "signer")) as ledger:
        keys = load_keys(settings.keys, settings.tenant_id)
        signer = SignerService(keys=keys, ledger=ledger, clock=HandClock(moment))
        root, key = signer.trust_root(), KeyThumbprint("k" * 43)
        signed = (
            signer.sign_manifest(tenant_id=settings.tenant_id, device_id=device_id(1), device_key=key, items=())
            for _ in range(count)
        )
        return [
            open_manifest(
                each,
                root,
                tenant_id=settings.tenant_id,
                device_id=device_id(1),
                device_key=key,
                last_version=0,
                now=moment,
            ).manifest_version
            for each in signed
        ]
