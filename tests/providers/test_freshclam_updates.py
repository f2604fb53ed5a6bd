"""The proof: a real freshclam and a mirror on the loopback interface."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.support.mirror import SIGNATURE, FreshclamSystem, Mirror, freshclam_system, running_mirror
from tests.support.scanning import SetClock

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.base import Desired, Kept, Observation
from shieldwall.agent.providers.freshclam import FreshclamProvider, updating
from shieldwall.agent.providers.freshclam.updating import Outcome
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId

pytestmark = pytest.mark.clamav

CATALOG = load()
ENGINE = "linux_mdatp_managed_antivirusengine_"
INTERVAL = SettingId("linux_mdatp_managed_cloudservice_definitionupdatesinterval")
AUTOMATIC = SettingId("linux_mdatp_managed_cloudservice_automaticdefinitionupdateenabled")
OFFLINE = SettingId(ENGINE + "offlinedefinitionupdate")
URL = SettingId(ENGINE + "offlinedefinitionupdateurl")
FALLBACK = SettingId(ENGINE + "offlinedefinitionupdatefallbacktocloud")


@pytest.fixture
def system() -> Iterator[FreshclamSystem]:
    with freshclam_system() as made:
        yield made


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    with running_mirror(tmp_path / "mirror") as running:
        (running.directory / "own.ndb").write_text(SIGNATURE)
        yield running


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def provider(clock: SetClock) -> FreshclamProvider:
    return FreshclamProvider(CATALOG, clock=clock)


def enforce(provider: FreshclamProvider, host: LocalHost, desired: Desired, kept: Kept | None = None) -> Kept:
    """Do what the engine does: read, render, write, activate."""
    rendered = provider.render({path: host.read_file(path) for path in provider.files()}, desired, kept or {})
    for path, content in rendered.files.items():
        host.write_file(path, content)
    provider.activate(host)
    return rendered.kept


def single(mirror: Mirror, name: str = "own.ndb") -> Desired:
    return {OFFLINE: f"{OFFLINE}_enabled", URL: f"{mirror.url}/{name}", INTERVAL: 3600}


def seen(provider: FreshclamProvider, system: FreshclamSystem, desired: Desired) -> Observation:
    observed = provider.observe(system.host, desired)
    assert observed[OFFLINE] == observed[URL] == observed[INTERVAL]
    return observed[OFFLINE]


def noted(system: FreshclamSystem, provider: FreshclamProvider, desired: Desired, at: datetime) -> None:
    """Write the files, and that a run with them found nothing new."""
    rendered = provider.render({path: system.host.read_file(path) for path in provider.files()}, desired, {})
    for path, content in rendered.files.items():
        system.host.write_file(path, content)
    run = updating.Run(
        at=at.isoformat(),
        outcome=Outcome.UP_TO_DATE,
        returncode=0,
        configuration=updating.digest_of(rendered.files[updating.CONFIGURATION] or b""),
    )
    system.host.write_file(updating.RECORD, msgspec.json.encode(run))


def test_definitions_come_from_the_mirror_and_letting_go_gives_the_file_back(
    system: FreshclamSystem, mirror: Mirror, provider: FreshclamProvider
) -> None:
    original = system.configuration.read_bytes()

    kept = enforce(provider, system.host, single(mirror))

    assert system.names == ["own.ndb"]
    assert "/own.ndb" in mirror.asked
    assert seen(provider, system, single(mirror)) == Observation(effective=True)
    run = updating.last(system.host)
    assert run is not None
    assert (run.outcome, run.returncode) == (Outcome.UPDATED, 0)

    enforce(provider, system.host, {}, kept)
    assert system.configuration.read_bytes() == original


def test_a_changed_file_is_fetched_when_its_time_has_come_and_not_before(
    system: FreshclamSystem, mirror: Mirror, provider: FreshclamProvider, clock: SetClock
) -> None:
    desired = single(mirror)
    enforce(provider, system.host, desired)
    newer = mirror.directory / "own.ndb"
    newer.write_text(SIGNATURE + SIGNATURE.replace("Test", "Other"))
    later = newer.stat().st_mtime + 60
    os.utime(newer, (later, later))

    clock.moment += timedelta(minutes=59)
    assert provider.supervise(system.host, desired) == ()
    assert (system.database / "own.ndb").read_text() == SIGNATURE

    clock.moment += timedelta(minutes=1)
    assert provider.supervise(system.host, desired) == ("freshclam was run: updated.",)
    assert "Other" in (system.database / "own.ndb").read_text()


def test_a_damaged_database_is_refused_and_the_old_one_stays(
    system: FreshclamSystem, mirror: Mirror, provider: FreshclamProvider, clock: SetClock
) -> None:
    enforce(provider, system.host, single(mirror))
    damaged = mirror.directory / "own.ndb"
    damaged.write_text("this is no signature\n")
    later = damaged.stat().st_mtime + 60
    os.utime(damaged, (later, later))

    clock.moment += timedelta(hours=1)
    provider.supervise(system.host, single(mirror))

    observation = seen(provider, system, single(mirror))
    assert (observation.effective, observation.code) == (False, "databaseRefused")
    assert "ended with 8" in observation.reason
    assert (system.database / "own.ndb").read_text() == SIGNATURE


def test_a_mirror_that_is_down_shows_and_is_not_asked_every_minute(
    system: FreshclamSystem, mirror: Mirror, provider: FreshclamProvider, clock: SetClock
) -> None:
    mirror.stop()

    enforce(provider, system.host, single(mirror))

    observation = seen(provider, system, single(mirror))
    assert (observation.effective, observation.code) == (False, "mirrorUnreachable")
    assert "ended with 5" in observation.reason

    mirror.start()
    provider.activate(system.host)
    assert system.names == [], "the same failed a moment ago"
    clock.moment += timedelta(minutes=10)
    provider.activate(system.host)
    assert system.names == ["own.ndb"]
    assert seen(provider, system, single(mirror)).effective is True


def test_a_directory_of_this_machine_serves_as_well(
    system: FreshclamSystem, mirror: Mirror, provider: FreshclamProvider
) -> None:
    desired = {**single(mirror), URL: f"{mirror.directory}/own.ndb"}

    enforce(provider, system.host, desired)

    assert system.names == ["own.ndb"]
    assert mirror.asked == []
    assert seen(provider, system, desired).effective is True


def test_the_vendors_databases_are_asked_of_the_mirror_and_of_nobody_else(
    system: FreshclamSystem, mirror: Mirror, provider: FreshclamProvider
) -> None:
    desired = {**single(mirror), URL: f"{mirror.url}/clamav"}

    enforce(provider, system.host, desired)

    observation = seen(provider, system, desired)
    assert (observation.effective, observation.code) == (False, "mirrorIncomplete")
    assert {path.rpartition("/")[0] for path in mirror.asked} == {"/clamav"}
    assert "/clamav/daily.cvd" in mirror.asked
    assert "127.0.0.1:9" not in observation.reason


def test_what_only_poses_as_the_vendors_database_is_refused(
    system: FreshclamSystem, mirror: Mirror, provider: FreshclamProvider
) -> None:
    header = "ClamAV-VDB:25 Nov 2026 08-00 +0000:27999:1:90:" + "0" * 32 + ":AAAA:builder:1795593600"
    for name in ("main", "daily", "bytecode"):
        (mirror.directory / f"{name}.cvd").write_bytes(header.ljust(512).encode() + b"not signed by anybody")
    desired = {**single(mirror), URL: mirror.url}

    enforce(provider, system.host, desired)

    assert seen(provider, system, desired).effective is False
    assert system.names == []


def test_the_vendor_is_asked_when_the_own_mirror_fails(
    tmp_path: Path, mirror: Mirror, provider: FreshclamProvider
) -> None:
    with running_mirror(tmp_path / "vendor") as vendor, freshclam_system() as system:
        content = system.configuration.read_text().replace("127.0.0.1:9", vendor.url)
        system.configuration.write_text(content)
        mirror.stop()
        desired = {**single(mirror), URL: mirror.url, FALLBACK: f"{FALLBACK}_true"}

        enforce(provider, system.host, desired)

        assert "/daily.cvd" in vendor.asked
        assert provider.observe(system.host, desired)[FALLBACK].code == "notProvable"


def test_definitions_that_are_too_old_are_no_success(
    system: FreshclamSystem, provider: FreshclamProvider, clock: SetClock
) -> None:
    desired: Desired = {AUTOMATIC: f"{AUTOMATIC}_true", INTERVAL: 86_400}
    noted(system, provider, desired, clock.moment)
    header = "ClamAV-VDB:20 Nov 2026 06-00 +0000:27462:1:90:x:y:z:1"
    (system.database / "daily.cvd").write_bytes(header.ljust(512).encode())

    assert provider.product_version(system.host) == "daily 27462"
    assert provider.observe(system.host, desired)[AUTOMATIC] == Observation(effective=True)
    clock.moment += timedelta(days=2)
    assert provider.observe(system.host, desired)[AUTOMATIC].code == "definitionsTooOld"
    clock.moment += timedelta(days=2)
    assert provider.observe(system.host, desired)[AUTOMATIC].code == "notRunLately"


def test_a_file_of_ones_own_makes_the_vendors_definitions_no_younger(
    system: FreshclamSystem, provider: FreshclamProvider, clock: SetClock
) -> None:
    desired: Desired = {AUTOMATIC: f"{AUTOMATIC}_true", INTERVAL: 86_400}
    noted(system, provider, desired, clock.moment)
    header = "ClamAV-VDB:01 Nov 2026 06-00 +0000:27462:1:90:x:y:z:1"
    (system.database / "daily.cvd").write_bytes(header.ljust(512).encode())
    (system.database / "own.ndb").write_text(SIGNATURE)
    os.utime(system.database / "own.ndb", (clock.moment.timestamp(), clock.moment.timestamp()))

    seen = provider.observe(system.host, desired)[AUTOMATIC]

    assert (seen.effective, seen.code) == (False, "definitionsTooOld")
    assert "2026-11-01" in seen.reason


def test_what_a_clock_that_was_ahead_noted_keeps_nobody_from_running_again(
    system: FreshclamSystem, mirror: Mirror, provider: FreshclamProvider, clock: SetClock
) -> None:
    """Certificates seem to have ended to a clock that is years ahead, so the run failed."""
    clock.moment += timedelta(days=2_000)
    mirror.stop()
    enforce(provider, system.host, single(mirror))
    mirror.start()
    clock.moment -= timedelta(days=2_000)

    provider.activate(system.host)

    assert seen(provider, system, single(mirror)).effective is True
    clock.moment += timedelta(days=2_000)
    provider.activate(system.host)
    clock.moment -= timedelta(days=2_000)
    assert seen(provider, system, single(mirror)).code == "notRunLately"
    assert provider.supervise(system.host, single(mirror)) == ("freshclam was run: upToDate.",)


def test_before_the_first_run_nobody_knows(system: FreshclamSystem, provider: FreshclamProvider) -> None:
    observed = provider.observe(system.host, {INTERVAL: 3600})[INTERVAL]

    assert (observed.effective, observed.code) == (None, "notRunYet")


def test_without_the_program_nothing_is_in_effect(tmp_path: Path, provider: FreshclamProvider) -> None:
    host = LocalHost(tmp_path)
    host.write_file(updating.CONFIGURATION, b"")

    observed = provider.observe(host, {INTERVAL: 3600})[INTERVAL]

    assert (observed.effective, observed.code) == (False, "programMissing")


def test_a_database_that_becomes_a_pipe_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "var/lib/clamav"
    directory.mkdir(parents=True)
    (directory / "own.ndb").write_bytes(b"x")
    before = updating.databases(LocalHost(tmp_path), b"")
    os.mkfifo(directory / "daily.cvd")
    monkeypatch.setattr(Path, "is_file", lambda _path: True)  # as it was when somebody looked

    assert updating.databases(LocalHost(tmp_path), b"") == before
