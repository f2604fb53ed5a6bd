"""What a fleet was is kept in files, whole or not at all, and let go in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from structlog.testing import capture_logs
from tests.manager.test_statuses import reports, to_all, told
from tests.reporting.held import Following
from tests.support.manager_world import CLOUD, World
from tests.support.samples import NOON, TENANT_ID, device_id

from shieldwall.contract.ids import PolicyId
from shieldwall.contract.status import SettingState
from shieldwall.server.manager.statuses import policy_counts
from shieldwall.server.reporting.history import files as history_files
from shieldwall.server.reporting.history.files import DiskTooFullError, HistoryFiles, HistoryMissingError
from shieldwall.server.reporting.history.keeping import KeepingHistory
from shieldwall.server.reporting.history.reading import History
from shieldwall.server.storage.device_records import DeviceState

TODAY = NOON.date()
LONG_AGO = date(2000, 1, 1)


@pytest.fixture
def keeping(world: World, tmp_path: Path) -> KeepingHistory:
    return KeepingHistory(
        database=world.database,
        fleets=Following(world).reports,
        files=HistoryFiles(home=tmp_path / "history", new_id=world.new_id),
        clock=world.clock,
        days=30,
        device_days=2,
        note=lambda _is_done: None,
    )


@pytest.fixture
def policy(world: World) -> PolicyId:
    """A policy that three devices have: one well, one in trouble that drifted, one silent; a fourth is retired."""
    with world.database.write() as connection:
        made = to_all(world, connection)
        for number in (1, 2, 3):
            world.join(connection, number, os_type="Linux")
        world.join(connection, 4, state=DeviceState.RETIRED)
        reports(connection, device_id(1), told(CLOUD, SettingState.SUCCEEDED))
        reports(connection, device_id(2), told(CLOUD, SettingState.ERROR, value="true", read_back="false"))
    return made.id


def history_of(keeping: KeepingHistory) -> History:
    return History(files=keeping.files, tenant_id=TENANT_ID)


def test_a_day_says_what_the_database_said(world: World, keeping: KeepingHistory, policy: PolicyId) -> None:
    keeping.once()
    history = history_of(keeping)
    with world.database.read() as connection:
        counts = policy_counts(connection, world.catalog, TENANT_ID, policy)
    states = {SettingState(row["state"]): row["devices"] for row in history.policy(policy, LONG_AGO)}
    assert states == counts.devices
    of_cloud = [row for row in history.settings(policy, LONG_AGO) if row["setting_id"] == CLOUD]
    assert {SettingState(row["state"]): row["devices"] for row in of_cloud} == counts.settings[CLOUD]
    assert {row["policy_name"] for row in history.policy(policy, LONG_AGO)} == {"Antivirus"}
    fleet = {(row["property"], row["value"]): row["devices"] for row in history.fleet(LONG_AGO)}
    assert fleet["os", "Linux"] == 3, "retired ones are left out"
    assert fleet["policyState", "pending"] == 1
    (device,) = history.device(device_id(2), LONG_AGO)
    assert (device["day"], device["policy_state"], device["drifted"]) == (TODAY, "error", 1)
    assert device["as_of"].timestamp() == NOON.timestamp()
    (retired,) = history.device(device_id(4), LONG_AGO)
    assert (retired["state"], retired["policy_state"]) == ("retired", "noPolicy")
    assert history.device(device_id(9), LONG_AGO) == []
    assert history.fleet(TODAY + timedelta(days=1)) == []


def test_others_read_the_files_by_the_names_of_their_directories(keeping: KeepingHistory, policy: PolicyId) -> None:
    keeping.once()
    files = str(keeping.files.home / "tenant=*/day=*/devices.parquet")
    query = """SELECT CAST(tenant AS VARCHAR), day, count(*) FROM read_parquet(?, hive_partitioning = true)
        WHERE os_type = 'Linux' GROUP BY ALL"""
    assert (TENANT_ID, TODAY, 4) in duckdb.execute(query, [files]).fetchall()
    assert policy
    modes = {each.stat().st_mode & 0o777 for each in keeping.files.home.rglob("*")}
    assert modes == {0o600, 0o700}, "for the server alone"


def test_a_day_is_written_once_and_a_next_one_beside_it(
    world: World, keeping: KeepingHistory, policy: PolicyId
) -> None:
    keeping.once()
    with world.database.write() as connection:
        reports(connection, device_id(3), told(CLOUD, SettingState.SUCCEEDED))
    keeping.once()
    assert _succeeded(keeping, policy) == [1], "what was kept of today stays"
    world.clock.advance(days=1)
    keeping.once()
    assert _succeeded(keeping, policy) == [1, 2]


def test_what_is_old_is_let_go_devices_first(world: World, keeping: KeepingHistory, policy: PolicyId) -> None:
    keeping.once()
    world.clock.advance(days=2)
    keeping.once()
    history = history_of(keeping)
    assert [row["day"] for row in history.device(device_id(1), LONG_AGO)] == [TODAY + timedelta(days=2)]
    assert len(_succeeded(keeping, policy)) == 2
    world.clock.advance(days=28)
    keeping.once()
    assert TODAY not in keeping.files.days(TENANT_ID)


def test_what_a_crash_left_behind_is_no_day_and_goes(
    keeping: KeepingHistory, policy: PolicyId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(history_files, "_sync", dies)
        with pytest.raises(KeyboardInterrupt):
            keeping.keep(TENANT_ID)
    assert keeping.files.days(TENANT_ID) == ()
    left = keeping.files.home / ".new-killed"
    left.mkdir()
    (left / "fleet.parquet").write_bytes(b"half")
    noted: list[bool] = []
    replace(keeping, note=noted.append).once()
    assert noted == [True]
    assert not left.exists()
    assert keeping.files.days(TENANT_ID) == (TODAY,)
    assert policy


def test_a_full_disk_keeps_no_history_and_harms_nothing(
    keeping: KeepingHistory, policy: PolicyId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_files, "LEAST_FREE", 2**62)
    with pytest.raises(DiskTooFullError):
        keeping.keep(TENANT_ID)
    noted: list[bool] = []
    with capture_logs() as logs:
        replace(keeping, note=noted.append).once()
    assert noted == [False]
    assert ("history_not_kept", "historyDiskFull") in {(each["event"], each.get("code")) for each in logs}
    assert keeping.files.days(TENANT_ID) == ()
    assert policy


def test_without_the_extra_the_server_says_so(
    keeping: KeepingHistory, policy: PolicyId, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio  # noqa: PLC0415 - beside its only use

    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    noted: list[bool] = []
    with capture_logs() as logs:
        asyncio.run(replace(keeping, note=noted.append).run())
    assert noted == [False]
    assert [(each["event"], each["log_level"]) for each in logs] == [("history_not_kept", "error")]
    assert "shieldwall[history]" in logs[0]["remedy"]
    with pytest.raises(HistoryMissingError, match="not installed"):
        history_of(keeping).policy(policy, LONG_AGO)
    with pytest.raises(HistoryMissingError):
        History(files=None, tenant_id=TENANT_ID).fleet(LONG_AGO)


def _succeeded(keeping: KeepingHistory, policy: PolicyId) -> list[int]:
    found = history_of(keeping).policy(policy, LONG_AGO)
    return [row["devices"] for row in found if row["state"] == "succeeded"]
