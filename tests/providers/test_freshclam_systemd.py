"""Where systemd runs the machine, a timer of ours takes the place of freshclam's daemon, and gives it back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from tests.support.scanning import SetClock
from tests.support.systemd_host import SystemdHost

from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.base import Desired, Kept, ProviderError
from shieldwall.agent.providers.freshclam import FreshclamProvider, units, updating
from shieldwall.agent.providers.freshclam.updating import Outcome
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId

CLOCK = SetClock()
PROVIDER = FreshclamProvider(load(), clock=CLOCK)
CLOUD = "linux_mdatp_managed_cloudservice_"
AUTOMATIC = SettingId(CLOUD + "automaticdefinitionupdateenabled")
INTERVAL = SettingId(CLOUD + "definitionupdatesinterval")
HOURLY: Desired = {AUTOMATIC: f"{AUTOMATIC}_true", INTERVAL: 3600}
NEVER: Desired = {AUTOMATIC: f"{AUTOMATIC}_false"}


def freshclam(_words: Sequence[str], _stdin: bytes) -> Completed:
    raise AssertionError("the applier has no network; systemd runs freshclam")


@pytest.fixture
def host() -> SystemdHost:
    host = SystemdHost({updating.CONFIGURATION: b"Checks 24\n"}, programs={"freshclam": freshclam})
    host.enabled.add(units.DAEMON)
    host.active.add(units.DAEMON)
    return host


def enforce(host: SystemdHost, desired: Desired, kept: Kept | None = None) -> Kept:
    rendered = PROVIDER.render({path: host.read_file(path) for path in PROVIDER.files()}, desired, kept or {})
    for path, content in rendered.files.items():
        host.write_file(path, content)
    PROVIDER.activate(host)
    return rendered.kept


def test_where_the_package_is_gone_the_timer_goes_as_well(host: SystemdHost) -> None:
    kept = enforce(host, HOURLY)
    del host.files[updating.CONFIGURATION]

    enforce(host, {}, kept)

    assert units.TIMER not in host.active
    assert set(host.files) & set(units.FILES) == set()


def test_the_timer_replaces_the_daemon_and_letting_go_gives_it_back(host: SystemdHost) -> None:
    kept = enforce(host, HOURLY)
    assert host.active == {units.TIMER, units.SERVICE}
    assert host.calls[0] == "daemon-reload"
    assert f"start --no-block {units.SERVICE}" in host.calls

    host.active.discard(units.SERVICE)
    host.calls.clear()
    enforce(host, {}, kept)
    assert host.calls.index(f"stop {units.TIMER}") < host.calls.index("daemon-reload")
    assert host.active == {units.DAEMON}
    assert set(host.files) & set(units.FILES) == set()


def test_updates_switched_off_stop_both(host: SystemdHost) -> None:
    enforce(host, NEVER)

    assert host.active == set()
    assert PROVIDER.observe(host, NEVER)[AUTOMATIC].effective is True
    host.active.add(units.DAEMON)
    observed = PROVIDER.observe(host, NEVER)[AUTOMATIC]
    assert (observed.effective, observed.code) == (False, "updaterRuns")


def test_a_timer_that_does_not_tick_shows_and_is_started_again(host: SystemdHost) -> None:
    enforce(host, HOURLY)
    run = updating.Run(
        at=CLOCK.moment.isoformat(),
        outcome=Outcome.UP_TO_DATE,
        returncode=0,
        configuration=updating.digest_of(host.files[updating.CONFIGURATION]),
    )
    host.files[updating.RECORD] = msgspec.json.encode(run)
    assert PROVIDER.observe(host, HOURLY)[AUTOMATIC].code == "noDefinitions"
    assert PROVIDER.supervise(host, HOURLY) == ()

    host.active.discard(units.TIMER)
    assert PROVIDER.observe(host, HOURLY)[AUTOMATIC].code == "timerNotActive"
    assert PROVIDER.supervise(host, HOURLY) == ("shieldwall-definitions.timer was not running and was started.",)
    assert units.TIMER in host.active


def test_a_systemd_that_refuses_is_an_error(host: SystemdHost) -> None:
    host.failing = "restart"

    with pytest.raises(ProviderError, match=r"systemctl restart shieldwall-definitions\.timer failed: Job failed"):
        enforce(host, HOURLY)
