"""What systemd makes of the units: the real systemd-analyze reads every moment and unit that can be asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests.support.setting_strategies import desired_settings
from tests.support.systemd_host import SystemdHost

from shieldwall.agent.providers.base import Desired, Kept, ProviderError
from shieldwall.agent.providers.freshclam import FreshclamProvider
from shieldwall.agent.providers.freshclam import units as definitions
from shieldwall.agent.providers.scans import ScansProvider, observing, schedule, units
from shieldwall.agent.scanning import policy
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId

CATALOG = load()
PROVIDER = ScansProvider(CATALOG, program=(sys.executable, "-I", "-m", "shieldwall.agent.scanning"))
ENGINE = "linux_mdatp_managed_antivirusengine_"
SCAN = ENGINE + "scheduledscan_"
AT = SettingId(SCAN + "timeofday")
HOURS = SettingId(SCAN + "interval")
DAY = SettingId(SCAN + "dayofweek")
TYPE = SettingId(SCAN + "scantype")
LOW = SettingId(SCAN + "lowpriorityscheduledscan")
AFTER = SettingId(ENGINE + "scanafterdefinitionupdate")
FIRST = SettingId(SCAN + "checkfordefinitionsupdate")
AUTOMATIC = SettingId("linux_mdatp_managed_cloudservice_automaticdefinitionupdateenabled")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program is not None, "apt-get install systemd"
    return subprocess.run([program, *words], check=False, capture_output=True, text=True, timeout=60)


def test_every_moment_that_can_be_asked_for_is_read_by_systemd_as_it_is_written() -> None:
    asked: list[dict[str, Any]] = [
        *({schedule.DAILY_TIME: minutes} for minutes in range(0, 1381, 15)),
        *({schedule.DAILY_HOURS: hours, schedule.DAILY_TIME: 1375} for hours in range(25)),
        *({schedule.WEEKLY_DAY: day, schedule.WEEKLY_TIME: 61, schedule.WEEKLY_TYPE: "full"} for day in range(9)),
    ]
    moments = {
        moment for values in asked for moment in (*schedule.of_values(values).quick, *schedule.of_values(values).full)
    }

    done = analyze("calendar", *sorted(moments))

    normalized = [line.partition(": ")[2] for line in done.stdout.splitlines() if "Normalized form:" in line]
    assert done.returncode == 0, done.stderr
    assert len(moments) > 120
    assert normalized == sorted(moments), "what systemd shows is compared with what was written"


@pytest.mark.parametrize(
    "desired",
    [
        {AT: 60, HOURS: 4, DAY: f"{DAY}_3", TYPE: f"{TYPE}_full", AFTER: f"{AFTER}_true"},
        {
            AT: 60,
            DAY: f"{DAY}_8",
            LOW: f"{LOW}_true",
            FIRST: f"{FIRST}_true",
            SettingId(SCAN + "randomizescanstarttime"): 5,
        },
    ],
)
def test_systemd_finds_no_fault_with_the_units(tmp_path: Path, desired: Desired) -> None:
    fetching = FreshclamProvider(CATALOG).render(
        {FreshclamProvider(CATALOG).files()[0]: b""}, {AUTOMATIC: f"{AUTOMATIC}_true"}, {}
    )
    written = []
    for path, content in {**PROVIDER.render({}, desired, {}).files, **fetching.files}.items():
        if content is not None and path.suffix in {".service", ".timer", ".path"}:
            written.append(tmp_path / path.name)
            written[-1].write_bytes(content)

    done = analyze("verify", "--man=no", "--recursive-errors=no", *map(str, written))

    assert len(written) >= 4
    assert (done.returncode, done.stderr) == (0, "")


@given(desired=desired_settings(CATALOG, [AT, HOURS, DAY, TYPE, SettingId(SCAN + "weeklytimeofday")]))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_schedule_never_asks_for_more_than_the_policy(desired: Desired) -> None:
    values = {
        {AT: schedule.DAILY_TIME, HOURS: schedule.DAILY_HOURS}.get(setting, setting): value
        for setting, value in desired.items()
    }
    made = PROVIDER.render({}, desired, {}).files
    timers = [path.name for path, content in made.items() if content is not None and path.suffix == ".timer"]
    weekly = desired.get(DAY, f"{DAY}_0") != f"{DAY}_0"
    daily = schedule.DAILY_TIME in values or bool(values.get(schedule.DAILY_HOURS))

    is_full = desired.get(TYPE) == f"{TYPE}_full"
    assert (units.TIMERS[0] in timers) is (daily or (weekly and not is_full))
    assert (units.TIMERS[1] in timers) is (weekly and is_full)


@pytest.fixture
def host() -> SystemdHost:
    return SystemdHost()


def enforce(host: SystemdHost, desired: Desired, kept: Kept | None = None) -> Kept:
    rendered = PROVIDER.render({path: host.read_file(path) for path in PROVIDER.files()}, desired, kept or {})
    for path, content in rendered.files.items():
        host.write_file(path, content)
    PROVIDER.activate(host)
    return rendered.kept


def test_timers_run_while_they_are_wanted(host: SystemdHost) -> None:
    kept = enforce(host, {AT: 60, DAY: f"{DAY}_1", TYPE: f"{TYPE}_full", AFTER: f"{AFTER}_true"})
    assert host.active == {*units.TIMERS, units.PATH_UNIT}
    assert "daemon-reload" in host.calls

    kept = enforce(host, {AT: 60}, kept)
    assert host.active == {units.TIMERS[0]}

    enforce(host, {}, kept)
    assert host.active == set()
    assert not {path for path in host.files if "shieldwall" in str(path)}


def test_other_times_and_stopped_timers_are_seen(host: SystemdHost) -> None:
    values = {schedule.DAILY_TIME: 60}
    enforce(host, {AT: 60})

    host.properties["TimersCalendar"] = "{ OnCalendar=*-*-* 01:00:00 ; next_elapse=Fri 2026-11-27 01:00:00 UTC }"
    assert observing.scheduled(host, values).effective is True
    host.properties["TimersCalendar"] = "{ OnCalendar=*-*-* 02:00:00 ; next_elapse=Fri 2026-11-27 02:00:00 UTC }"
    assert observing.scheduled(host, values).code == "otherTimes"
    host.active.clear()
    assert observing.scheduled(host, values).code == "timerNotActive"
    assert observing.scheduled(host, {policy.LOW_PRIORITY: True}).code == "noSchedule"
    host.active.add(units.TIMERS[1])
    assert observing.scheduled(host, {}).code == "timerActive"


def test_a_stopped_timer_is_started_again(host: SystemdHost) -> None:
    enforce(host, {AT: 60})
    assert PROVIDER.supervise(host, {AT: 60}) == ()

    host.active.clear()

    assert PROVIDER.supervise(host, {AT: 60}) == ("shieldwall-scan-quick.timer was not running and was started.",)
    assert host.active == {units.TIMERS[0]}


def test_a_systemd_that_refuses_is_an_error(host: SystemdHost) -> None:
    host.failing = "daemon-reload"

    with pytest.raises(ProviderError, match="systemctl daemon-reload failed"):
        enforce(host, {AT: 60})


def test_a_timer_that_goes_on_is_an_error_and_one_that_never_was_is_none(host: SystemdHost) -> None:
    kept = enforce(host, {AT: 60})
    host.failing = "stop"

    with pytest.raises(ProviderError, match=r"shieldwall-scan-quick\.timer goes on"):
        enforce(host, {}, kept)

    host.active.clear()
    PROVIDER.activate(host)


def test_units_of_both_providers_have_names_of_their_own() -> None:
    assert not set(definitions.FILES) & set(units.FILES)
