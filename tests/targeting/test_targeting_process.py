"""The targeting process beside a database: it begins, follows, is looked at, survives a kill and leaves nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.samples import NOON, TENANT_ID, a_device, a_group, a_tenant, device_id, group_id

from shieldwall.contract import strict_json
from shieldwall.contract.target import Target
from shieldwall.server.configuration.settings import resolved, store
from shieldwall.server.configuration.settings_file import SettingsFile
from shieldwall.server.directory.group_rules import Moves
from shieldwall.server.processes.targeting_process import SNAPSHOT
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.fleets.fleet_feed import Place
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.tenants import tenants
from shieldwall.server.storage.tenants.protection import set_window
from shieldwall.server.targeting.hashes import Hasher
from shieldwall.server.targeting.index_figures import NAMED_IN, IndexFigures
from shieldwall.server.targeting.rule_previews import RulePreviews, asking
from shieldwall.server.targeting.rule_questions import LONGEST_QUESTION, UNKNOWN
from shieldwall.server.targeting.shared import BoardReader, SharedBoards
from shieldwall.server.targeting.unmoved import Unmoved

WITHIN_SECONDS = 40.0
SECRET = b"n" * 32
MANAGED = Hasher(SECRET).of(Target(items=())).tobytes()


@pytest.fixture
def data(tmp_path: Path, migrated_database_url: str) -> Path:
    """A data directory with what the process asks of it, and a database with two devices."""
    settings = SettingsFile(
        tenant_id=TENANT_ID,
        database=migrated_database_url,
        public_port=8443,
        gateway_port=8444,
    )
    store(tmp_path, settings)
    found = resolved(tmp_path, settings)
    found.run.mkdir(mode=0o700, exist_ok=True)
    found.nonce_key.parent.mkdir(parents=True, exist_ok=True)
    found.nonce_key.write_bytes(SECRET)
    with_database(tmp_path, _furnish)
    return tmp_path


def _furnish(database: Database) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        for number in (1, 2):
            devices.add(connection, a_device(number))
            check_ins.add(connection, device_id(number))
        groups.add(connection, a_group(membership_rule='device.deviceOSType -eq "Linux"'))
        group_members.add_members(connection, group_id(1), [device_id(1), device_id(2)])


def with_database(data: Path, work: Callable[[Database], object]) -> None:
    database = Database(_settings(data).database)
    work(database)
    database.close()


def _settings(data: Path) -> Any:
    return resolved(data, strict_json.decode((data / "server.json").read_bytes(), SettingsFile))


@contextmanager
def process(data: Path) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen([sys.executable, "-m", "shieldwall.server.processes.targeting_process", str(data)])
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def until(holds: Callable[[], object]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def hash_of(reader: BoardReader, number: int) -> bytes | None:
    if reader.place() is None:
        return None
    found = reader.hash_of(TENANT_ID, device_id(number))
    return None if found is None else found.tobytes()


def status(data: Path) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(_settings(data).targeting_socket))
        answer: dict[str, Any] = strict_json.decode(asking.makefile("rb").read(), dict[str, Any])
        return answer


def test_it_follows_is_believed_and_begins_anew_after_a_kill(data: Path) -> None:
    named_in = _settings(data).run / NAMED_IN
    reader = BoardReader(named_in)
    with process(data) as running:
        until(lambda: hash_of(reader, 1) == MANAGED)
        assert status(data)["devices"] == 2
        with_database(data, _change)
        until(lambda: hash_of(reader, 1) is None)
        assert hash_of(reader, 2) == MANAGED
        with_database(data, lambda database: _believe(database, Unmoved(reader, Hasher(SECRET))))
        with_database(data, lambda database: _preview(database, data))
        former = Path(named_in.read_text(encoding="utf-8"))
        running.kill()
        running.wait()
    assert former.is_dir(), "it had no time to tidy up"
    with process(data) as running:
        until(lambda: not former.exists())
        again = BoardReader(named_in)
        until(lambda: hash_of(again, 2) == MANAGED)
        assert hash_of(again, 1) is None
        running.terminate()
        assert running.wait(WITHIN_SECONDS) == 0
        assert (data / SNAPSHOT).stat().st_mode & 0o077 == 0
    with_database(data, _change_again)
    with process(data) as running:  # goes on from what was kept, and hears of what changed meanwhile
        until(lambda: hash_of(BoardReader(named_in), 1) == MANAGED)
        assert status(data)["changes"] == 1
        running.terminate()
        assert running.wait(WITHIN_SECONDS) == 0
    assert not named_in.exists()
    assert not _settings(data).targeting_socket.exists()


def _change(database: Database) -> None:
    """What a device shall enforce depends on the time from now on."""
    with database.write() as connection:
        set_window(connection, device_id(1), NOON)


def _change_again(database: Database) -> None:
    with database.write() as connection:
        set_window(connection, device_id(1), None)


def _believe(database: Database, unmoved: Unmoved) -> None:
    """One that has what it shall have need not be computed, unless something is known that the index has not read."""
    with database.write() as connection:
        empty = targets.keep(connection, TENANT_ID, ())
        check_ins.set_target(connection, [device_id(1), device_id(2)], empty, NOON)
        both = [device_id(1), device_id(2)]
        assert unmoved(connection, TENANT_ID, both) == {device_id(2)}
        held = devices.hold(connection, device_id(2))
        assert held is not None
        devices.put(connection, replace(held, display_name="another"))  # not committed: nobody else can have read it
        assert unmoved(connection, TENANT_ID, both) == frozenset()
        held = replace(held, display_name="device-2")
        devices.put(connection, held)


def _preview(database: Database, data: Path) -> None:
    """Whom a rule would move it says as soon as it has read what was committed just now."""
    settings = _settings(data)
    previews = RulePreviews.of(database, settings.run, settings.targeting_rules_socket, time.monotonic)
    wanted = Moves(gained=frozenset(), lost=frozenset({device_id(2)}), members=1)
    until(lambda: previews.moves(TENANT_ID, group_id(1), 'device.displayName -eq "device-1"') == wanted)
    assert previews.moves(TENANT_ID, group_id(1), "device.") is None
    assert previews.moves(TENANT_ID, group_id(9), 'device.displayName -eq "device-1"') is None
    assert asking(settings.targeting_rules_socket)(b"x" * (LONGEST_QUESTION + 1)) in {UNKNOWN, b""}
    assert asking(settings.run / "nobody.sock")(b"{}") == b""


def test_a_head_that_is_not_written_any_more_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    boards = SharedBoards(tmp_path / NAMED_IN, tmp_path / "memory", lambda: 1_000.0)
    boards.publish(Place(0, 7, frozenset({9})), IndexFigures(3, 0.5, 4_096))
    assert BoardReader(tmp_path / NAMED_IN, lambda: 1_010.0).place() == Place(0, 7, frozenset({9}))
    assert BoardReader(tmp_path / NAMED_IN, lambda: 1_010.0).figures() == IndexFigures(3, 0.5, 4_096)
    assert BoardReader(tmp_path / NAMED_IN, lambda: 1_031.0).place() is None
    assert BoardReader(tmp_path / NAMED_IN, lambda: 1_031.0).figures() == IndexFigures()
    boards.close()


def test_a_directory_that_others_may_enter_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    boards = SharedBoards(tmp_path / NAMED_IN, tmp_path / "memory", lambda: 1_000.0)
    boards.publish(Place(0, 7))
    Path((tmp_path / NAMED_IN).read_text(encoding="utf-8")).chmod(0o750)
    assert BoardReader(tmp_path / NAMED_IN, lambda: 1_000.0).place() is None
    boards.close()
