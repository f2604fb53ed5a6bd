"""What a check-in says, what it believes, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as replace_request
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.support.simulated_agent import SimulatedAgent, a_policy
from tests.support.simulated_gateway import HandClock, Request, SimulatedGateway

from shieldwall.agent.host.errors import DiskFullError
from shieldwall.agent.service.errors import (
    GatewayUnreachableError,
    ProblemAnswerError,
    ReportRefusedError,
    StateCorruptError,
)
from shieldwall.agent.service.overview import overview
from shieldwall.agent.service.transport import HttpAnswer
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, Digest, KeyThumbprint, SettingId, TenantId
from shieldwall.contract.messages import CheckInRequest, Envelope, FetchRequest, Problem
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import encode
from shieldwall.trust import moments
from shieldwall.trust.dsse import EnvelopeKey

replace = msgspec.structs.replace
OTHER = "99999999-0000-4000-8000-000000000009"


@pytest.fixture
def protected(laptop: SimulatedAgent, gateway: SimulatedGateway) -> SimulatedAgent:
    """A device that enforces one policy."""
    laptop.onboard()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    gateway.received.clear()
    return laptop


def check_ins(gateway: SimulatedGateway) -> list[CheckInRequest]:
    return [message for _, message in gateway.received if isinstance(message, CheckInRequest)]


def still_protected(laptop: SimulatedAgent) -> bool:
    return laptop.enforcer.now == {"firewall": "on"}


def test_nothing_new_costs_one_request_without_facts_or_report(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    settled = protected.check_in()

    (said,) = check_ins(gateway)
    assert (said.facts, said.report) == (None, None)
    assert said.have.target == gateway.device.target
    assert (settled.rounds, settled.manifest_changed) == (1, False)


def test_a_new_policy_is_reported_in_the_same_check_in(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.assign(gateway.publish(a_policy(firewall="locked")))

    settled = protected.check_in()

    assert settled.manifest_changed
    assert [type(message) for _, message in gateway.received] == [CheckInRequest, FetchRequest, CheckInRequest]
    assert gateway.device.report is not None
    assert gateway.device.report.settings[0].value == "locked"


def test_a_policy_on_disk_is_not_fetched_again(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    first = gateway.publish(a_policy(firewall="on"))
    second = gateway.publish(a_policy(2, scanning=1))
    gateway.assign(first, second)

    protected.check_in()

    (fetch,) = [message for _, message in gateway.received if isinstance(message, FetchRequest)]
    assert fetch.digests == (second.digest,)


def test_changed_facts_are_sent_once(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    protected.machine.said = replace(protected.machine.said, display_name="renamed")

    protected.check_in()
    protected.check_in()

    assert [said.facts is not None for said in check_ins(gateway)] == [True, False]
    assert gateway.device.facts is not None
    assert gateway.device.facts.display_name == "renamed"


def test_what_the_server_asks_for_is_sent_at_once(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.want = ("facts", "report")

    protected.check_in()

    assert [(said.facts is not None, said.report is not None) for said in check_ins(gateway)] == [
        (False, False),
        (True, True),
    ]


def test_a_server_that_always_wants_more_is_left_alone_until_the_next_check_in(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    def want_again(_path: str) -> None:
        gateway.want = ("facts",)

    protected.network.before = want_again

    protected.check_in()

    assert len(check_ins(gateway)) == 4


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"device_id": DeviceId(OTHER)}, "manifestDevice"),
        ({"device_key": KeyThumbprint("A" * 43)}, "manifestKey"),
        ({"tenant_id": TenantId(OTHER)}, "manifestTenant"),
        ({"manifest_version": (1 << 40)}, "manifestNotNewer"),
        ({"expires": "2026-11-23T11:59:59Z"}, "manifestExpired"),
        ({"target": Digest("0" * 64)}, "manifestItems"),
    ],
)
def test_a_manifest_that_is_not_for_this_device_now_is_refused(
    protected: SimulatedAgent, gateway: SimulatedGateway, change: dict[str, object], code: str
) -> None:
    gateway.assign()
    gateway.alter_manifest = lambda manifest: replace(manifest, **change)

    with pytest.raises(ShieldwallError) as refusal:
        protected.check_in()

    assert refusal.value.code == code
    assert still_protected(protected)
    trouble = protected.state.standing().trouble
    assert trouble is not None
    assert trouble.code == code


def test_a_manifest_seen_before_is_refused_when_played_again(
    protected: SimulatedAgent, gateway: SimulatedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.assign()
    recorded = gateway.manifest(gateway.device)
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="on")))
    protected.check_in()
    monkeypatch.setattr(gateway, "manifest", lambda _device: recorded)
    gateway.assign()

    with pytest.raises(ShieldwallError, match="the device holds"):
        protected.check_in()

    assert still_protected(protected)


def test_a_manifest_by_another_key_is_refused(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.assign()
    gateway.manifest_key = EnvelopeKey.generate()

    with pytest.raises(ShieldwallError) as refusal:
        protected.check_in()

    assert refusal.value.code == "manifestSignature"
    assert still_protected(protected)


def test_a_policy_whose_digest_is_wrong_is_refused_reported_and_tried_again(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    old = gateway.device.items[0].digest
    new = gateway.publish(a_policy(revision=2, firewall="off"))
    gateway.assign(new)
    gateway.alter_policy = lambda _digest, _envelope: gateway.policies[old]

    settled = protected.check_in()

    assert still_protected(protected)
    assert not settled.manifest_changed
    assert gateway.device.report is not None
    (refused,) = gateway.device.report.refused
    assert (refused.policy_id, refused.digest) == (new.policy_id, new.digest)
    assert refused.code in {"policyDigest", "policyLength"}

    gateway.alter_policy = lambda _digest, envelope: envelope
    protected.check_in()
    assert protected.enforcer.now == {"firewall": "off"}
    assert gateway.device.report.refused == ()


def test_one_bad_policy_keeps_the_whole_last_known_good(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    good = gateway.publish(a_policy(2, scanning=1))
    bad = gateway.publish(a_policy(3, cloud="off"))
    gateway.assign(good, bad)

    def spoiled(digest: Digest, envelope: Envelope) -> Envelope:
        return replace(envelope, payload=envelope.payload[:-4]) if digest == bad.digest else envelope

    gateway.alter_policy = spoiled

    protected.check_in()

    assert still_protected(protected)


def test_a_damaged_manifest_on_disk_is_asked_for_again(protected: SimulatedAgent) -> None:
    (protected.directory / "manifest.json").write_bytes(b"{")

    protected.restart()
    assert still_protected(protected)
    protected.check_in()

    assert protected.state.find_manifest() is not None


def test_a_report_on_disk_is_understood_once_and_a_damaged_one_is_none(protected: SimulatedAgent) -> None:
    report, path = protected.state.find_report(), protected.directory / "report.json"

    assert report is not None
    assert protected.state.find_report() is report
    path.write_bytes(b"{}")
    assert protected.state.find_report() == StatusReport()
    path.write_bytes(b"{")
    assert protected.state.find_report() is None


def test_a_damaged_policy_on_disk_is_fetched_again(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    (path,) = (protected.directory / "policies").iterdir()
    path.write_bytes(path.read_bytes()[:-9])

    protected.check_in()

    assert still_protected(protected)
    assert gateway.device.report is not None
    assert protected.state.find_policy(gateway.device.items[0].digest) is not None


def test_a_damaged_sequence_is_said_and_nothing_is_sent(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    (protected.directory / "sequence.json").write_bytes(b"")

    with pytest.raises(StateCorruptError, match=r"sequence\.json"):
        protected.check_in()

    assert gateway.received == []
    assert still_protected(protected)


def test_a_restored_backup_of_the_state_counts_anew_and_goes_on(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.device.last_sequence += 10

    protected.check_in()
    protected.check_in()

    (resync,) = gateway.device.resyncs
    assert resync.instance_id == gateway.device.instance_id
    assert protected.state.standing().trouble is None
    assert still_protected(protected)


def test_numbers_that_stay_refused_are_said_and_asked_for_once_each_time(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.device.last_sequence += 10
    gateway.refuses_for_ever = True
    protected.network.calls.clear()

    with pytest.raises(ProblemAnswerError):
        protected.check_in()

    assert len(gateway.device.resyncs) == 1
    assert protected.network.calls.count("/device/v1/checkin") == 2

    trouble = protected.state.standing().trouble
    assert trouble is not None
    assert trouble.code == "seqConflict"
    assert still_protected(protected)


def test_a_device_with_another_manager_says_so_and_takes_nothing_new(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.assign(gateway.publish(a_policy(firewall="off")))
    protected.machine.said = replace(protected.machine.said, managed_elsewhere="Another manager")

    protected.check_in()

    assert still_protected(protected)
    assert gateway.device.facts is not None
    assert gateway.device.facts.managed_elsewhere == "Another manager"


def test_an_empty_target_gives_back_what_another_manager_shall_have(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    protected.machine.said = replace(protected.machine.said, managed_elsewhere="Intune", manager="mdm")
    gateway.assign()

    protected.check_in()

    assert protected.enforcer.now == protected.enforcer.own
    assert protected.state.standing().enforced is not None
    assert gateway.device.facts is not None
    assert gateway.device.facts.manager == "mdm"


def test_letting_go_is_finished_beside_another_manager(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    protected.machine.said = replace(protected.machine.said, managed_elsewhere="Intune", manager="mdm")
    gateway.assign()

    def stuck(name: str) -> None:
        if name == "enforce":
            raise DiskFullError("The disk is full.")

    protected.enforcer.step = stuck
    with pytest.raises(DiskFullError):
        protected.check_in()
    assert still_protected(protected)

    protected.enforcer.step = lambda _name: None
    protected.check_in()

    assert protected.enforcer.now == protected.enforcer.own


@pytest.mark.parametrize(
    "changes",
    [
        {"managed_elsewhere": "Intune", "manager": "mdm"},
        {"managed_elsewhere": "Microsoft", "manager": "microsoftChannel"},
        {"managed_elsewhere": "Both", "manager": "several"},
        {"unsuitable": "nonPersistentDesktop"},
        {"unsuitable": "unsupportedOs"},
    ],
)
def test_whatever_makes_an_agent_passive_lets_it_take_nothing_new(
    protected: SimulatedAgent, gateway: SimulatedGateway, changes: dict[str, Any]
) -> None:
    gateway.assign(gateway.publish(a_policy(firewall="off")))
    protected.machine.said = replace(protected.machine.said, **changes)

    protected.check_in()

    assert still_protected(protected)


def test_beside_configuration_manager_the_agent_follows_the_server(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    protected.machine.said = replace(
        protected.machine.said, managed_elsewhere="Configuration Manager", manager="configurationManager"
    )
    gateway.assign(gateway.publish(a_policy(firewall="off")))

    protected.check_in()

    assert not still_protected(protected)
    assert gateway.device.facts is not None
    assert gateway.device.facts.manager == "configurationManager"


def test_a_device_with_another_manager_never_fights_it(protected: SimulatedAgent) -> None:
    protected.machine.said = replace(protected.machine.said, managed_elsewhere="Another manager")
    theirs: dict[SettingId, str | int] = {SettingId("firewall"): "as the other manager wants it"}
    protected.enforcer.now = dict(theirs)

    assert not protected.enrolled().enforcement.refresh()
    assert protected.enforcer.now == theirs, "drift is not repaired against the other manager"
    protected.check_in()
    assert protected.enforcer.now == theirs
    protected.restart()
    assert protected.enforcer.now == theirs, "nor at the next start"
    shown = overview(protected.surroundings, running=True)
    assert shown.managed_elsewhere == "Another manager"

    protected.machine.said = replace(protected.machine.said, managed_elsewhere=None)
    protected.enrolled().enforcement.refresh()
    assert still_protected(protected), "once it has gone, the policies hold again"


@dataclass
class Picky:
    """A server that does not take some reports."""

    gateway: SimulatedGateway
    status: int
    refuses: bool = True

    def __post_init__(self) -> None:
        self.answer = self.gateway.answer
        self.reports = 0

    def __call__(self, request: Request) -> HttpAnswer:
        if self.refuses and b'"report":{' in request.body:
            self.reports += 1
            problem = Problem(type="about:blank", title="No", status=self.status, code="tooMuch", detail="Too much.")
            return HttpAnswer(status=self.status, content_type="application/problem+json", body=encode(problem))
        return self.answer(request)


@pytest.mark.parametrize("status", [400, 413])
def test_a_report_that_is_not_taken_does_not_keep_the_cure_away(
    protected: SimulatedAgent, gateway: SimulatedGateway, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    picky = Picky(gateway, status)
    monkeypatch.setattr(gateway, "answer", picky)
    gateway.assign(gateway.publish(a_policy(firewall="too much to say")))
    with pytest.raises(ReportRefusedError, match="Too much"):
        protected.check_in()
    assert protected.enforcer.now == {"firewall": "too much to say"}
    gateway.assign(gateway.publish(a_policy(firewall="cured")))
    protected.clock.advance(minutes=1)

    with pytest.raises(ReportRefusedError):
        protected.check_in()

    assert protected.enforcer.now == {"firewall": "cured"}
    assert picky.reports == 2, "once in each check-in, for a server may learn"
    trouble = overview(protected.surroundings, running=True).trouble
    assert trouble is not None
    assert (trouble.code, trouble.since) == ("reportRefused", moments.write(protected.clock.at - timedelta(minutes=1)))
    assert protected.state.standing().failures == 2

    picky.refuses = False
    protected.check_in()
    assert gateway.device.report == protected.state.find_report()
    assert protected.state.standing().trouble is None


def test_a_refusal_of_more_than_the_report_stays_a_refusal(
    protected: SimulatedAgent, gateway: SimulatedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    picky = Picky(gateway, 400)

    def refuse(request: Request) -> HttpAnswer:
        return picky(replace_request(request, body=request.body + b'"report":{'))

    monkeypatch.setattr(gateway, "answer", refuse)

    with pytest.raises(ProblemAnswerError):
        protected.check_in()

    assert picky.reports == 1, "there was no report to leave out"


@pytest.mark.parametrize("code", ["badSignature", "seqConflict"])
def test_a_device_that_the_server_does_not_know_is_told_how_to_come_back(
    protected: SimulatedAgent, gateway: SimulatedGateway, code: str
) -> None:
    gateway.device.offboarded = code == "badSignature"
    gateway.device.last_sequence += 10
    gateway.refuses_for_ever = True

    with pytest.raises(ProblemAnswerError, match=code) as refusal:
        protected.check_in()

    assert "shieldwall-agent offboard --without-server, then shieldwall-agent onboard" in refusal.value.advice
    assert still_protected(protected)


def test_an_expired_manifest_goes_on_being_enforced(protected: SimulatedAgent, clock: HandClock) -> None:
    clock.advance(days=365)
    protected.enforcer.now = {}

    protected.restart()

    assert still_protected(protected)


def goes_by_the_time_of(gateway: SimulatedGateway, device: SimulatedAgent) -> bool:
    """Say whether a device has the server's time, and its next check-in is taken as it comes."""
    assert device.surroundings.trusted_clock.now() == gateway.clock.at
    gateway.received.clear()
    device.check_in()
    return [path for path, _ in gateway.received] == ["/device/v1/checkin"]


@pytest.mark.parametrize("hours", [-30, -1, 1, 30])
def test_a_clock_that_is_off_is_corrected_by_signed_time(
    protected: SimulatedAgent, gateway: SimulatedGateway, hours: int
) -> None:
    # Time goes on for both while this device's clock is wrong.
    gateway.clock = HandClock(protected.clock.at + timedelta(days=2))
    protected.clock.at = gateway.clock.at + timedelta(hours=hours)
    local = protected.clock.at
    gateway.assign(gateway.publish(a_policy(firewall="off")))

    settled = protected.check_in()

    assert settled.manifest_changed
    assert protected.clock.at == local, "the device's own clock is never set"
    assert goes_by_the_time_of(gateway, protected)


def test_signed_time_from_before_what_was_signed_is_refused(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.clock = HandClock(protected.clock.at - timedelta(days=1))

    with pytest.raises(ShieldwallError, match="before documents"):
        protected.check_in()

    assert protected.state.time().offset_seconds == 0


@pytest.mark.parametrize("days", [3, 20])
@pytest.mark.parametrize("off", [timedelta(), timedelta(minutes=-4)], ids=["right", "nearlyRight"])
def test_a_server_whose_clock_was_ahead_gets_its_devices_back(
    protected: SimulatedAgent, gateway: SimulatedGateway, days: int, off: timedelta
) -> None:
    gateway.clock = HandClock(protected.clock.at + timedelta(days=days))
    gateway.assign(gateway.publish(a_policy(firewall="ahead")))
    protected.check_in()
    assert protected.surroundings.trusted_clock.now() >= gateway.clock.at
    gateway.clock = HandClock(protected.clock.at + timedelta(hours=1) - off)
    protected.clock.advance(hours=1)
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="right")))

    protected.check_in()

    assert protected.enforcer.now == {"firewall": "right"}
    assert goes_by_the_time_of(gateway, protected)


def test_a_device_whose_own_clock_is_off_does_not_go_back_behind_what_was_signed(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.clock = HandClock(protected.clock.at + timedelta(days=3))
    gateway.assign(gateway.publish(a_policy(firewall="ahead")))
    protected.check_in()
    before = protected.state.time()
    gateway.clock = HandClock(protected.clock.at + timedelta(minutes=6))

    with pytest.raises(ShieldwallError, match="clock of this device") as refusal:
        protected.check_in()

    assert "clock" in refusal.value.advice
    assert protected.state.time() == before


def test_signed_time_by_another_key_is_refused(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.keys["time"] = EnvelopeKey.generate()
    gateway.clock = HandClock(protected.clock.at + timedelta(days=1))

    with pytest.raises(ShieldwallError) as refusal:
        protected.check_in()

    assert refusal.value.code == "timeRefused"


def test_trouble_is_kept_until_a_check_in_succeeds(protected: SimulatedAgent, clock: HandClock) -> None:
    protected.network.away = True
    for _ in range(3):
        with pytest.raises(GatewayUnreachableError):
            protected.check_in()
        clock.advance(minutes=1)
    standing = protected.state.standing()
    assert standing.trouble is not None
    assert (standing.failures, standing.trouble.since) == (3, moments.write(clock.at - timedelta(minutes=3)))

    protected.network.away = False
    protected.check_in()

    assert protected.state.standing().trouble is None


def test_a_server_cannot_silence_a_device(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.next_check_in_seconds = 10**9
    gateway.want = ("facts",)

    assert protected.check_in().next_check_in_seconds == 21_600


def test_a_cure_arrives_although_what_is_stored_cannot_be_enforced(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    def fail(name: str) -> None:
        if name == "enforce":
            raise ShieldwallError("This cannot be enforced.")

    protected.enforcer.step = fail
    gateway.assign(gateway.publish(a_policy(firewall="impossible")))
    with pytest.raises(ShieldwallError):
        protected.check_in()
    with pytest.raises(ShieldwallError):
        protected.check_in()
    protected.enforcer.step = lambda _name: None
    gateway.assign(gateway.publish(a_policy(firewall="possible")))

    protected.check_in()

    assert protected.enforcer.now == {SettingId("firewall"): "possible"}
