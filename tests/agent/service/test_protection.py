"""A protected device: what it notices, what it tells, and what time for troubleshooting changes about that."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.simulated_agent import MemoryEnforcer, SimulatedAgent, a_policy
from tests.support.simulated_gateway import NOON, SimulatedGateway

from shieldwall.agent.applier.pin import Pin, PinFile
from shieldwall.agent.host.errors import DiskFullError
from shieldwall.agent.service.attempts import MOST_WAITING
from shieldwall.agent.service.errors import GatewayUnreachableError, TamperProtectedError
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.agent.service.overview import overview
from shieldwall.contract.ids import SettingId
from shieldwall.contract.messages import CheckInRequest

FIREWALL = SettingId("firewall")


@pytest.fixture
def protected(laptop: SimulatedAgent, gateway: SimulatedGateway) -> SimulatedAgent:
    """A device with one policy that is protected and has reported."""
    laptop.enforcer = MemoryEnforcer(own={FIREWALL: "off"})
    laptop.onboard()
    gateway.protect()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    laptop.enrolled().enforcement.refresh()
    return laptop


def told(gateway: SimulatedGateway) -> list[tuple[str, str]]:
    """Every attempt that the server heard of."""
    requests = [message for _, message in gateway.received if isinstance(message, CheckInRequest)]
    return [(attempt.kind, attempt.subject) for request in requests for attempt in request.attempts]


def test_drift_goes_back_and_is_told_once(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    protected.enforcer.now[FIREWALL] = "off"

    assert protected.enrolled().enforcement.refresh(), "there is something to tell"
    assert protected.enforcer.now[FIREWALL] == "on"
    protected.check_in()
    protected.enrolled().enforcement.refresh()
    protected.check_in()

    assert told(gateway) == [("settingChanged", "firewall")]


def test_a_device_that_is_not_protected_repairs_and_says_nothing(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    laptop.onboard()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    laptop.enforcer.now[FIREWALL] = "off"

    laptop.enrolled().enforcement.refresh()
    laptop.check_in()

    assert laptop.enforcer.now[FIREWALL] == "on"
    assert told(gateway) == []


def test_it_does_not_leave_by_the_word_of_whoever_is_there(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    with pytest.raises(TamperProtectedError):
        protected.enrolled().offboard(without_server=True)
    with pytest.raises(TamperProtectedError) as refusal:
        protected.enrolled().offboard()
    assert exit_code(refusal.value) == 11
    assert "offboard --package" in refusal.value.advice

    assert protected.enforcer.now == {FIREWALL: "on"}, "nothing was let go"
    protected.check_in()
    assert told(gateway) == [("offboardRefused", "shieldwall-agent offboard")]
    assert protected.disk.names(protected.directory / "attempts") == ()


@pytest.mark.parametrize("happening", [Path.unlink, lambda path: path.write_text("{}")], ids=["removed", "damaged"])
def test_who_takes_the_manifest_away_does_not_take_protection_away(
    protected: SimulatedAgent, gateway: SimulatedGateway, happening: Callable[[Path], object]
) -> None:
    manifest = protected.directory / "manifest.json"
    happening(manifest)

    with pytest.raises(TamperProtectedError):
        protected.enrolled().offboard()
    assert protected.enrolled().enforcement.refresh()
    protected.check_in()

    assert ("agentFileChanged", str(manifest)) in told(gateway)
    assert protected.enrolled().enforcement.stored() is not None, "the server gave it again"


def test_an_older_manifest_put_back_is_noticed(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    manifest = protected.directory / "manifest.json"
    yesterday = manifest.read_bytes()
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    protected.check_in()

    manifest.write_bytes(yesterday)
    protected.enrolled().enforcement.refresh()
    protected.check_in()

    assert ("agentFileChanged", str(manifest)) in told(gateway)


def test_the_agents_own_files_are_watched_and_each_change_is_told_once(
    protected: SimulatedAgent, gateway: SimulatedGateway, tmp_path: Path
) -> None:
    unit, program = tmp_path / "shieldwall-agent.service", tmp_path / "program"
    unit.write_text("[Service]\n")
    program.write_bytes(b"x" * 100_000)
    program.chmod(0o755)
    protected.own_files = (unit, program, tmp_path / "not there")
    identity = protected.directory / "identity.json"
    assert not protected.enrolled().enforcement.refresh()

    unit.write_text("[Service]\nExecStart=/bin/true\n")
    program.chmod(0o777)
    identity.write_bytes(identity.read_bytes() + b"\n")
    identity.chmod(0o644)
    assert protected.enrolled().enforcement.refresh()
    protected.check_in()

    assert sorted(told(gateway)) == sorted(("agentFileChanged", str(path)) for path in (unit, program, identity))
    assert not protected.enrolled().enforcement.refresh()
    unit.unlink()
    assert protected.enrolled().enforcement.refresh()


def test_what_the_agent_itself_writes_is_no_attempt(protected: SimulatedAgent) -> None:
    state = protected.state
    identity = state.get_identity()
    state.put_identity(identity, epoch=1)

    assert not state.is_seal_broken()
    assert not protected.enrolled().enforcement.refresh()


def test_attempts_wait_while_the_server_is_away_and_never_without_end(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    attempts = protected.enrolled().offboard.guard.attempts
    for number in range(3 * MOST_WAITING):
        attempts.note("agentFileChanged", f"/{number % (MOST_WAITING + 10)}/" + "x" * 1_000)
    protected.network.away = True
    with pytest.raises(GatewayUnreachableError):
        protected.check_in()
    assert len(attempts.waiting()) == MOST_WAITING

    protected.network.away = False
    protected.check_in()

    assert len(told(gateway)) == MOST_WAITING
    assert attempts.waiting() == {}


def test_an_attempt_made_again_while_it_is_told_waits_on(protected: SimulatedAgent) -> None:
    attempts = protected.enrolled().offboard.guard.attempts
    attempts.note("offboardRefused", "offboard")
    waiting = attempts.waiting()
    protected.clock.advance(seconds=1)
    attempts.note("offboardRefused", "offboard")

    attempts.told(waiting)

    assert [attempt.at for attempt in attempts.waiting().values()] == ["2026-11-23T12:00:01Z"]


def test_what_is_no_attempt_is_dropped(protected: SimulatedAgent) -> None:
    attempts = protected.enrolled().offboard.guard.attempts
    protected.disk.write(attempts.directory / "junk", b"\xff")

    assert attempts.waiting() == {}
    assert protected.disk.names(attempts.directory) == ()


def troubleshoot(laptop: SimulatedAgent, gateway: SimulatedGateway, **window: float) -> None:
    gateway.protect(until=gateway.clock.now() + timedelta(**window))
    laptop.check_in()


def minute_by_minute(laptop: SimulatedAgent, minutes: int, *, clock_runs: bool = True) -> None:
    """Let the agent do what its loop does every minute."""
    for _ in range(minutes):
        laptop.machine.up += 60
        if clock_runs:
            laptop.clock.advance(minutes=1)
        laptop.enrolled().enforcement.refresh()


def test_there_is_time_for_troubleshooting_though_a_policy_is_not_on_the_shelf(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    troubleshoot(protected, gateway, hours=1)
    for policy in (protected.applier / "policies").iterdir():
        policy.unlink()
    protected.enforcer.now[FIREWALL] = "off"

    protected.enrolled().enforcement.refresh()

    assert protected.enforcer.now[FIREWALL] == "off", "the manifest says it, and it is whole"


def test_while_there_is_time_for_troubleshooting_changes_stay_and_then_all_goes_back(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    troubleshoot(protected, gateway, hours=1)
    protected.enforcer.now[FIREWALL] = "off"

    minute_by_minute(protected, 59)
    assert protected.enforcer.now[FIREWALL] == "off"
    minute_by_minute(protected, 2)

    assert protected.enforcer.now[FIREWALL] == "on"
    protected.check_in()
    assert told(gateway) == [], "it was allowed"


def test_a_full_disk_prolongs_nothing(
    protected: SimulatedAgent, gateway: SimulatedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may fill one, and what is protected would stay open for as long."""
    troubleshoot(protected, gateway, hours=1)
    protected.enforcer.now[FIREWALL] = "off"
    minute_by_minute(protected, 1)

    def refuses(_file: PinFile, _pin: Pin) -> None:
        raise DiskFullError("The disk is full.")

    monkeypatch.setattr(PinFile, "put", refuses)

    minute_by_minute(protected, 58)
    assert protected.enforcer.now[FIREWALL] == "off"
    with pytest.raises(DiskFullError):
        minute_by_minute(protected, 2)
    assert protected.enforcer.now[FIREWALL] == "on", "that it is could not be noted, so it is looked at again"


def test_what_the_server_sends_meanwhile_waits_until_the_time_is_over(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    troubleshoot(protected, gateway, hours=1)
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    protected.check_in()
    assert protected.enforcer.now[FIREWALL] == "on"

    minute_by_minute(protected, 61)

    assert protected.enforcer.now[FIREWALL] == "strict"


def test_an_administrator_can_end_it_early(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    troubleshoot(protected, gateway, hours=4)
    protected.enforcer.now[FIREWALL] = "off"

    gateway.protect()
    protected.check_in()

    assert protected.enforcer.now[FIREWALL] == "on"
    assert not (protected.directory / "troubleshooting.json").exists()


def test_a_clock_set_back_prolongs_nothing(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    troubleshoot(protected, gateway, hours=1)
    protected.enforcer.now[FIREWALL] = "off"
    minute_by_minute(protected, 10)

    protected.clock.at = NOON - timedelta(days=30)
    minute_by_minute(protected, 49, clock_runs=False)
    assert protected.enforcer.now[FIREWALL] == "off"
    minute_by_minute(protected, 2, clock_runs=False)

    assert protected.enforcer.now[FIREWALL] == "on"


def test_neither_does_a_reboot_with_the_clock_set_back(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    troubleshoot(protected, gateway, minutes=10)
    protected.enforcer.now[FIREWALL] = "off"

    for boot in range(2, 12):
        protected.machine.boot, protected.machine.up = f"boot-{boot}", 5.0
        protected.clock.at = NOON - timedelta(days=30)
        protected.restart()

    assert protected.enforcer.now[FIREWALL] == "on", "every start costs a minute and what it has lasted"


def test_it_ends_during_a_reboot_like_at_any_other_time(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    troubleshoot(protected, gateway, hours=1)
    protected.enforcer.now[FIREWALL] = "off"
    protected.machine.boot, protected.machine.up = "boot-2", 10.0
    protected.restart()
    assert protected.enforcer.now[FIREWALL] == "off", "a reboot does not end it"

    protected.clock.advance(hours=2)
    protected.machine.boot = "boot-3"
    protected.restart()

    assert protected.enforcer.now[FIREWALL] == "on"


def test_no_signed_moment_opens_it_for_longer_than_a_day(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    troubleshoot(protected, gateway, days=300)
    protected.enforcer.now[FIREWALL] = "off"

    protected.machine.up += timedelta(hours=24, minutes=1).total_seconds()
    protected.enrolled().enforcement.refresh()

    assert protected.enforcer.now[FIREWALL] == "on"


@pytest.mark.parametrize("count", ["many hours", '{"bootId":"boot-1","secondsLeft":1e9,"until":"%s","uptime":100.0}'])
def test_who_changes_the_count_of_the_agent_gains_no_time(
    protected: SimulatedAgent, gateway: SimulatedGateway, count: str
) -> None:
    troubleshoot(protected, gateway, hours=4)
    protected.enforcer.now[FIREWALL] = "off"
    until = gateway.device.protection.troubleshooting_until
    (protected.directory / "troubleshooting.json").write_text(count.replace("%s", until or ""))
    protected.enrolled().enforcement.refresh()
    assert protected.enforcer.now[FIREWALL] == "off", "there is time, by the count of whoever enforces"

    protected.machine.up += 5 * 3600
    protected.enrolled().enforcement.refresh()

    assert protected.enforcer.now[FIREWALL] == "on"


def test_who_damages_the_count_that_counts_has_no_time_at_all(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    troubleshoot(protected, gateway, hours=4)
    protected.enforcer.now[FIREWALL] = "off"
    pin = protected.applier / "pin.json"
    pin.write_text(re.sub('"until":"[^"]*"', '"until":"for ever"', pin.read_text()))
    protected.machine.up += 5 * 3600
    protected.clock.advance(hours=5)

    protected.enrolled().enforcement.refresh()

    assert protected.enforcer.now[FIREWALL] == "on"


def test_nor_does_it_let_anybody_leave(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    troubleshoot(protected, gateway, hours=4)

    with pytest.raises(TamperProtectedError):
        protected.enrolled().offboard()


def test_status_says_it(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    summary = overview(protected.surroundings, running=False)
    assert (summary.protected, summary.troubleshooting_until, summary.leaving) == (True, None, False)

    troubleshoot(protected, gateway, hours=4)
    assert overview(protected.surroundings, running=False).troubleshooting_until == "2026-11-23T16:00:00Z"

    protected.clock.advance(hours=4)
    assert overview(protected.surroundings, running=False).troubleshooting_until is None
