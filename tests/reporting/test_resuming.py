"""A fleet goes on from its file where the feed kept everything since, and from the database wherever it did not."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.manager.test_statuses import reports, to_all, told
from tests.reporting.held import Following
from tests.reporting.test_held_fleets import agree
from tests.support.manager_world import CLOUD, World
from tests.support.samples import TENANT_ID, device_id, group_id

from shieldwall.contract.status import SettingState
from shieldwall.server.reporting import snapshots
from shieldwall.server.storage.engine.database import StorageUnavailableError
from shieldwall.server.storage.fleets import fleet_feed, fleet_images
from shieldwall.server.storage.groups import group_members


@pytest.fixture
def kept(world: World, tmp_path: Path) -> Path:
    """A fleet that was held, and whose process came to its end; then something happened."""
    with world.database.write() as connection:
        to_all(world, connection)
        devices = [world.join(connection, number) for number in range(1, 6)]
        world.group(connection, 1, *devices[:2])
        reports(connection, device_id(1), told(CLOUD, SettingState.ERROR))
    home = tmp_path / "fleets"
    before = Following(world, home)
    before.fleet()
    before.reports.close()
    with world.database.write() as connection:
        reports(connection, device_id(2), told(CLOUD, SettingState.SUCCEEDED))
        group_members.add_members(connection, group_id(1), [devices[4]])
        world.join(connection, 6)
    return home


def reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> object:
        raise AssertionError("the whole fleet is read")

    monkeypatch.setattr(fleet_images, "all_devices", read)


def test_a_process_that_starts_again_goes_on_where_the_last_one_stopped(
    world: World, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = Following(world, kept)
    with monkeypatch.context() as patched:
        reads_nothing(patched)
        fleet = following.fleet()
    agree(world, fleet)
    assert (kept / f"{TENANT_ID}.fleet").stat().st_mode & 0o777 == 0o600


def test_what_the_feed_forgot_is_read_anew(world: World, kept: Path) -> None:
    with world.database.write() as connection:
        fleet_feed.forget_reader(connection, f"reports:{TENANT_ID}")
    agree(world, Following(world, kept).fleet())


def test_a_file_of_another_start_or_version_counts_for_nothing(
    world: World, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kept / f"{TENANT_ID}.fleet"
    old = file.read_bytes()
    another = Following(world, kept)
    another.fleet()
    another.reports.close()
    with world.database.write() as connection:
        reports(connection, device_id(3), told(CLOUD, SettingState.CONFLICT))
    file.write_bytes(old)
    agree(world, Following(world, kept).fleet())
    for broken in (b"", b"PK", old[: len(old) // 2], old[:-40] + bytes(40)):
        file.write_bytes(broken)
        assert snapshots.read(file) is None
    agree(world, Following(world, kept).fleet())
    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "_FORM", ["another"])
        assert snapshots.read(file) is None
    assert snapshots.read(file) is not None


def test_a_fleet_that_the_feed_forgot_meanwhile_is_let_go(world: World, kept: Path) -> None:
    following = Following(world, kept)
    following.fleet()
    with world.database.write() as connection:
        fleet_feed.forget_reader(connection, f"reports:{TENANT_ID}")
    following.steady.now += 1_000
    following.reports.follow()
    assert following.reports.current(TENANT_ID) is None, "it may have missed something"
    agree(world, following.fleet())


def test_a_database_that_is_away_is_named_in_one_line_and_the_fleet_is_read_once_it_is_back(
    world: World, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> object:
        raise StorageUnavailableError("The database does not answer.")

    following = Following(world, kept)
    following.fleet()
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(fleet_feed, "read", away)
        following.reports.follow()
    assert [(each["event"], each["log_level"], each["cause"]) for each in logs] == [
        ("fleet_not_followed", "warning", "The database does not answer.")
    ]
    agree(world, following.fleet())
