"""The agent over hours, with a clock set by hand: nothing here sleeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.support.simulated_agent import SimulatedAgent, a_policy
from tests.support.simulated_gateway import SimulatedGateway

from shieldwall.agent.applier.confirming import Unconfirmed
from shieldwall.agent.service.errors import GatewayUnreachableError
from shieldwall.agent.service.loop import CONFIRM_AGAIN_SECONDS, CONFIRM_TRIES, Loop
from shieldwall.agent.service.waiting import Wake
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.messages import CheckInRequest, WaitRequest


@dataclass
class HandPause:
    """Time passes only here. ``at`` says what happens at which second."""

    until: float
    now: float = 0.0
    at: dict[float, Callable[[], Wake | None]] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> Wake:
        self.slept.append(seconds)
        return self._pass(seconds)

    def during(self, work: Callable[[], Wake]) -> Wake:
        wake = work()
        return Wake.STOP if self.now >= self.until else wake

    def _pass(self, seconds: float) -> Wake:
        end = self.now + seconds
        for moment in sorted(self.at):
            if self.now <= moment <= end:
                self.now = moment
                wake = self.at.pop(moment)()
                if wake is not None:
                    return wake
        self.now = end
        return Wake.STOP if self.now >= self.until else Wake.TIME


@dataclass
class Life:
    """An agent whose loop runs for so many seconds."""

    laptop: SimulatedAgent
    pause: HandPause
    chance: float = 0.5

    def run(self) -> None:
        enrolled = self.laptop.enrolled()
        Loop(
            check_in=enrolled.check_in,
            enforcement=enrolled.enforcement,
            policy_sync=enrolled.policy_sync,
            pause=self.pause,
            monotonic=self.pause.monotonic,
            chance=lambda: self.chance,
            journal=self.laptop.surroundings.journal,
            reassemble=self.laptop.surroundings.enrolled,
        ).run()

    @property
    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.laptop.log.getvalue().splitlines()]


@pytest.fixture
def life(laptop: SimulatedAgent, gateway: SimulatedGateway) -> Life:
    gateway.channels = False
    laptop.onboard()
    gateway.received.clear()
    return Life(laptop, HandPause(until=3 * 5_400.0))


def times(gateway: SimulatedGateway, kind: type) -> int:
    return len([message for _, message in gateway.received if isinstance(message, kind)])


def test_a_device_checks_in_as_often_as_the_server_says(life: Life, gateway: SimulatedGateway) -> None:
    life.run()

    assert life.events.count("checkedIn") == 3
    assert life.events[-1] == "stopped"
    assert life.laptop.enforcer.recoveries == 1
    assert times(gateway, CheckInRequest) == 2 + 1 + 1  # the first one reports what the first manifest came to


def test_between_check_ins_the_agent_looks_for_drift_every_minute(life: Life, gateway: SimulatedGateway) -> None:
    gateway.assign(gateway.publish(a_policy(firewall="on")))

    def tamper() -> None:
        life.laptop.enforcer.now = {SettingId("firewall"): "off"}

    life.pause.at[1_000.0] = tamper
    life.pause.until = 1_100.0

    life.run()

    assert life.laptop.enforcer.now == {"firewall": "on"}
    reports = [said.report for _, said in gateway.received if isinstance(said, CheckInRequest)]
    repaired = [report for report in reports if report and any(each.code == "repaired" for each in report.settings)]
    assert len(repaired) == 1, "found drift is reported without waiting for the next check-in"


def test_without_the_server_the_last_known_good_is_enforced_and_retries_spread_out(
    life: Life, gateway: SimulatedGateway
) -> None:
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    life.laptop.check_in()
    life.laptop.enforcer.now = {}
    life.laptop.network.away = True
    life.pause.until = 40_000.0

    life.run()

    assert life.laptop.enforcer.now == {"firewall": "on"}
    failures = life.events.count("checkInFailed")
    # 15, 30, 60 seconds on average, then every 120
    assert 270 <= failures <= 400
    trouble = life.laptop.state.standing().trouble
    assert trouble is not None
    assert trouble.code == "gatewayUnreachable"


def test_a_server_that_comes_back_is_found_again(life: Life) -> None:
    life.laptop.network.away = True

    def come_back() -> None:
        life.laptop.network.away = False

    life.pause.at[600.0] = come_back
    life.pause.until = 2_000.0

    life.run()

    assert "checkedIn" in life.events
    assert life.laptop.state.standing().trouble is None


def test_a_policy_sync_is_heard_at_once(life: Life, gateway: SimulatedGateway) -> None:
    gateway.channels = True
    wait = gateway._wait

    def waiting(device: object, request: WaitRequest) -> object:
        # The server keeps the device waiting: time passes there, and somebody asks for a sync.
        life.pause._pass(float(request.seconds))
        return wait(device, request)  # type: ignore[arg-type]  # as it came

    gateway._wait = waiting  # type: ignore[method-assign,assignment]  # a server that really waits
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    life.pause.at[100.0] = lambda: gateway.assign(gateway.publish(a_policy(firewall="locked")))
    life.pause.at[110.0] = gateway.request_sync
    life.pause.until = 400.0

    life.run()

    assert life.laptop.enforcer.now == {"firewall": "locked"}
    assert life.events.count("checkedIn") == 2


def test_a_line_that_broke_is_tried_again_before_the_next_check_in(life: Life, gateway: SimulatedGateway) -> None:
    gateway.channels = True
    tries: list[float] = []

    def passing(path: str) -> None:
        if path == "/device/v1/wait":
            life.pause._pass(30.0)
            tries.append(life.pause.now)
            if len(tries) == 1:
                raise GatewayUnreachableError("The line broke.")

    life.laptop.network.before = passing
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    life.pause.at[900.0] = lambda: gateway.assign(gateway.publish(a_policy(firewall="locked")))
    life.pause.at[910.0] = gateway.request_sync
    life.pause.until = 1_200.0

    life.run()

    assert tries[1] - tries[0] > 300, "not at once: a fleet whose line broke would come all together"
    assert life.laptop.enforcer.now == {"firewall": "locked"}


def test_a_server_that_never_makes_the_device_wait_does_not_keep_it_busy(life: Life, gateway: SimulatedGateway) -> None:
    gateway.channels = True
    life.pause.until = 600.0

    life.run()

    assert life.laptop.network.calls.count("/device/v1/wait") <= 11


def test_a_server_that_always_wants_a_check_in_does_not_keep_the_device_busy(
    life: Life, gateway: SimulatedGateway
) -> None:
    gateway.channels = True
    life.laptop.network.after = lambda _path: gateway.request_sync()
    life.pause.until = 200.0

    life.run()

    assert 2 < life.events.count("checkedIn") <= 41


def test_a_server_without_channels_is_asked_once_between_two_check_ins(life: Life) -> None:
    life.run()

    assert life.laptop.network.calls.count("/device/v1/wait") == 3


def test_sync_from_the_command_line_checks_in_at_once(life: Life) -> None:
    life.laptop.state.wishes.put_check_in("abc")
    life.pause.at[50.0] = lambda: Wake.SYNC
    life.pause.until = 200.0

    life.run()

    assert life.events.count("checkedIn") == 2
    assert life.laptop.state.standing().answered_wish == "abc"


def test_a_wish_is_answered_by_a_failed_check_in_too(life: Life) -> None:
    life.laptop.network.away = True
    life.laptop.state.wishes.put_check_in("abc")
    life.pause.until = 1.0

    life.run()

    assert life.laptop.state.standing().answered_wish == "abc"


def test_retry_after_is_honoured(life: Life) -> None:
    def shed(_path: str) -> None:
        raise GatewayUnreachableError("Overloaded.", retry_after_seconds=500)

    life.laptop.network.before = shed
    life.pause.until = 1_040.0

    life.run()

    assert life.events.count("checkInFailed") == 2  # at 0 and at 525; the next would be at 1,050


def test_a_device_that_cannot_enforce_still_checks_in(life: Life, gateway: SimulatedGateway) -> None:
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    life.laptop.check_in()

    def fail(_name: str) -> None:
        raise ShieldwallError("The product is broken.")

    life.laptop.enforcer.step = fail
    life.pause.until = 10.0

    life.run()

    assert life.events[0] == "startFailed"
    assert "checkedIn" in life.events


def waits_for_proof(life: Life) -> None:
    life.laptop.check_in()
    life.laptop.enforcer.waiting = Unconfirmed(
        nonce="ef" * 16, target=None, providers=("nftables",), deadline=700.0, seconds_left=600.0
    )


def test_a_device_that_may_have_cut_itself_off_tries_soon_again_and_not_for_ever(life: Life) -> None:
    waits_for_proof(life)
    life.laptop.network.away = True
    life.pause.until = 600.0
    life.laptop.network.calls.clear()

    life.run()

    assert life.pause.slept[:CONFIRM_TRIES] == [CONFIRM_AGAIN_SECONDS] * CONFIRM_TRIES
    assert 1 + CONFIRM_TRIES < life.laptop.network.calls.count("/device/v1/checkin") < 9, (
        "then it waits its turn as always"
    )
    assert life.laptop.enforcer.waiting is not None


def test_a_device_that_is_back_in_time_confirms_and_looks_at_once(life: Life, gateway: SimulatedGateway) -> None:
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    waits_for_proof(life)
    assert life.laptop.enforcer.now == {SettingId("firewall"): "on"}
    life.laptop.network.away = True

    def is_back() -> None:
        life.laptop.network.away = False
        life.laptop.enforcer.now = {SettingId("firewall"): "off"}

    life.pause.at[20.0] = is_back
    life.pause.until = 50.0

    life.run()

    assert life.laptop.enforcer.waiting is None
    assert life.laptop.enforcer.now == {SettingId("firewall"): "on"}, (
        "what became of it is not left for the next minute"
    )
    assert "changeConfirmed" in life.events


def test_who_ends_because_it_was_asked_to_has_not_crashed(life: Life) -> None:
    life.run()

    assert (life.laptop.enforcer.starts, life.laptop.enforcer.stops) == (("agent",), ("agent",))
