"""Reports that lie, wander or overflow (bad-inputs 9.2), over real sockets, on both engines.

What is no report is refused as a whole, and the same number with a sound one goes through. What is one but speaks about
strangers is kept, counts for nothing, and the rest of it counts as if it stood alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.databases import shared_migrated_database_url
from tests.support.gateway_device import FACTS, GatewayDevice
from tests.support.gateway_requests import CHECK_IN, manifest_of, publish
from tests.support.life import Life, a_life
from tests.support.policies import LEVEL, RETENTION, choice
from tests.support.whole_database import everything

from shieldwall.contract import strict_json
from shieldwall.contract.ids import Digest, PolicyId, SettingId
from shieldwall.contract.messages import Have, ManifestItem, TamperAttempt
from shieldwall.contract.status import RefusedPolicy, SettingState, SettingStatus, StatusReport
from shieldwall.server.manager.statuses import effective_of, policy_counts
from shieldwall.server.storage.check_ins import check_ins

__all__ = ["shared_migrated_database_url"]

NEVER = PolicyId("00000000-0000-4000-8000-00000000dead")
UNKNOWN = Digest("f" * 64)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, shared_migrated_database_url: str) -> Iterator[Life]:
    with a_life(tmp_path_factory.mktemp("life"), shared_migrated_database_url) as made:
        publish(made.server, choice(LEVEL, "_1"))
        yield made


class Reporter:
    """A device with a policy of one setting, and what the server makes of its reports."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.device = GatewayDevice(life.server)
        assert self.device.register().status == 201
        manifest = manifest_of(self.device.check_in(facts=FACTS))
        self.target = manifest.target
        (self.item,) = manifest.items

    def report(self, *settings: SettingStatus, **members: Any) -> StatusReport:
        return StatusReport(**({"target": self.target, "settings": settings} | members))

    def sends(self, report: StatusReport, **members: Any) -> None:
        have = Have(target=self.target, facts=strict_json.digest_of(FACTS), status=strict_json.digest_of(report))
        reply = self.device.check_in(report=report, have=have, **members)
        assert reply.status in {200, 204}, reply.body

    def state(self) -> SettingState:
        """What is known of its one setting; every page about it is there, too."""
        services = self.life.server.services
        self.life.managed(self.device.device_id)
        with services.database.read() as connection:
            effect = effective_of(connection, services.catalog, services.tenant.id, self.device.device_id)
            policy_counts(connection, services.catalog, services.tenant.id, self.item.policy_id)
        (setting,) = effect.settings
        assert setting.setting == LEVEL
        return setting.state

    def kept(self) -> Digest | None:
        with self.life.server.services.database.read() as connection:
            return check_ins.get(connection, self.device.device_id).status_digest


@pytest.fixture
def reporter(life: Life) -> Reporter:
    return Reporter(life)


def says(setting: SettingId, state: SettingState, **members: Any) -> SettingStatus:
    return SettingStatus(setting=setting, state=state, **members)


SUCCEEDED = says(LEVEL, SettingState.SUCCEEDED, written=True)


def refusal(policy_id: PolicyId, digest: Digest) -> RefusedPolicy:
    return RefusedPolicy(policy_id=policy_id, digest=digest, code="no", cause="no")


def strangers(item: ManifestItem, other: Reporter) -> dict[str, dict[str, Any]]:
    """Reports that speak of the device's own setting, and beside it of what is none of its business."""
    elsewhere = says(RETENTION, SettingState.ERROR)
    return {
        "unknown policy": {"settings": (says(LEVEL, SettingState.SUCCEEDED, policies=(NEVER,), losers=(NEVER,)),)},
        "unknown policy refused": {"settings": (SUCCEEDED,), "refused": (refusal(NEVER, UNKNOWN),)},
        "a version from the future": {"settings": (SUCCEEDED,), "refused": (refusal(item.policy_id, UNKNOWN),)},
        "another device's policy": {
            "settings": (SUCCEEDED, elsewhere),
            "refused": (refusal(NEVER, other.item.digest),),
        },
        "a setting from the future": {"settings": (SUCCEEDED, says(SettingId("from_3000"), SettingState.ERROR))},
        "a setting that is a script": {"settings": (SUCCEEDED, says(SettingId("<script>"), SettingState.ERROR))},
        "a setting of no policy": {"settings": (SUCCEEDED, elsewhere)},
        "the same words twice": {"settings": (SUCCEEDED, SUCCEEDED)},
        "2,000 settings": {
            "settings": (SUCCEEDED, *(says(SettingId(f"s_{n}"), SettingState.ERROR) for n in range(1_999)))
        },
        "values of any kind": {
            "settings": (says(LEVEL, SettingState.SUCCEEDED, value={"a": [1, None, "0001-01-01T00:00:00Z"]}),)
        },
    }


def test_words_about_strangers_count_for_nothing_and_the_rest_counts(reporter: Reporter, life: Life) -> None:
    other = Reporter(life)
    other.sends(other.report(SUCCEEDED))
    for case, members in strangers(reporter.item, other).items():
        report = reporter.report(**members)
        reporter.sends(report)
        assert reporter.kept() == strict_json.digest_of(report), case
        assert reporter.state() is SettingState.SUCCEEDED, case
        assert other.state() is SettingState.SUCCEEDED, case


def test_a_report_about_another_target_says_nothing_about_this_one(reporter: Reporter) -> None:
    for target in (UNKNOWN, None):
        reporter.sends(reporter.report(SUCCEEDED, target=target))
        assert reporter.state() is SettingState.PENDING


@pytest.mark.parametrize("order", [1, -1])
def test_of_contradictory_words_the_gravest_counts(reporter: Reporter, order: int) -> None:
    for grave in (SettingState.ERROR, SettingState.CONFLICT, SettingState.PENDING):
        words = (SUCCEEDED, says(LEVEL, grave), says(LEVEL, SettingState.NOT_APPLICABLE))
        reporter.sends(reporter.report(*words[::order]))
        assert reporter.state() is grave


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "now", "", "-1", "\u202e"])
def test_a_moment_that_a_device_names_decides_nothing(reporter: Reporter, life: Life, at: str) -> None:
    attempt = TamperAttempt(at=at, kind="settingChanged", subject=LEVEL)
    reporter.sends(reporter.report(SUCCEEDED), attempts=(attempt,))
    assert reporter.state() is SettingState.SUCCEEDED
    (alert,) = [each for each in life.alerts("tamper.settingChanged") if reporter.device.device_id in each["devices"]]
    assert alert["firstActivityDateTime"] == alert["lastActivityDateTime"] == "2026-11-23T12:00:00.0000000Z"


def test_versions_from_the_future_are_answered_with_what_holds(reporter: Reporter) -> None:
    have = Have(target=UNKNOWN, manifest_version=2**53 - 1, facts=UNKNOWN, status=UNKNOWN)
    reply = reporter.device.check_in(have=have)
    assert reply.status == 200
    assert manifest_of(reply).target == reporter.target
    assert set(reply.json["want"]) == {"facts", "report"}
    assert reporter.kept() is None, "a name of a report that nobody sent points to nothing"


def wrong(reporter: Reporter) -> dict[str, Any]:
    sound = strict_json.decode(strict_json.encode(reporter.report(SUCCEEDED)), dict)
    (setting,) = sound["settings"]
    refused = {"policyId": reporter.item.policy_id, "digest": UNKNOWN, "code": "no", "cause": "no"}
    return {
        "2,001 settings": sound | {"settings": [setting] * 2_001},
        "2,001 refusals": sound | {"refused": [refused] * 2_001},
        "2,001 items": sound | {"settings": [setting | {"items": [{"item": "x", "state": "error"}] * 2_001}]},
        "an unknown state": sound | {"settings": [setting | {"state": "fine"}]},
        "no state": sound | {"settings": [{"setting": LEVEL}]},
        "a time": sound | {"at": "0001-01-01T00:00:00Z"},
        "a time of a setting": sound | {"settings": [setting | {"at": "9999-12-31T23:59:59Z"}]},
        "a version": sound | {"refused": [refused | {"revision": 2**53}]},
        "an id that is none": sound | {"refused": [refused | {"policyId": "../x"}]},
        "no setting's id": sound | {"settings": [setting | {"setting": ""}]},
        "a long setting's id": sound | {"settings": [setting | {"setting": "x" * 513}]},
        "a digest that is none": sound | {"target": "F" * 64},
        "a long reason": sound | {"settings": [setting | {"reason": "x" * 1_025}]},
        "a number too large": sound | {"settings": [setting | {"value": 2**53}]},
        "a text with NUL": sound | {"settings": [setting | {"value": "a\0b"}]},
        "words for written": sound | {"settings": [setting | {"written": "yes"}]},
        "too deep": sound | {"settings": [setting | {"value": json.loads("[" * 40 + "]" * 40)}]},
        "a list": [sound],
    }


def test_what_is_no_report_is_refused_whole_and_a_sound_one_goes_through(reporter: Reporter, life: Life) -> None:
    before = everything(life.server.services.database)
    message = json.loads(reporter.device.check_in_request())
    for case, report in wrong(reporter).items():
        reply = reporter.device.send(CHECK_IN, json.dumps(message | {"report": report}).encode())
        assert (reply.status, reply.code) == (400, "invalidJson"), case
    assert everything(life.server.services.database) == before
    reporter.device.seq -= 1
    reporter.sends(reporter.report(SUCCEEDED))
    assert reporter.state() is SettingState.SUCCEEDED


def test_a_hundred_thousand_settings_cost_little(reporter: Reporter, life: Life) -> None:
    before = everything(life.server.services.database)
    message = json.loads(reporter.device.check_in_request())
    short = {"setting": "a", "state": "error"}  # as many as fit into a body
    body = json.dumps(message | {"report": {"settings": [short] * 28_000}}, separators=(",", ":")).encode()
    started = time.process_time()
    reply = reporter.device.send(CHECK_IN, body)
    assert time.process_time() - started < 1.0
    assert (reply.status, reply.code) == (400, "invalidJson")
    huge = json.dumps(message | {"report": {"settings": [short] * 100_000}}, separators=(",", ":")).encode()
    lines = "".join(f"{name}: {value}\r\n" for name, value in reporter.device.sign(CHECK_IN, huge).items())
    head = f"POST {CHECK_IN} HTTP/1.1\r\nHost: {life.server.authority}\r\nContent-Length: {len(huge)}\r\n{lines}\r\n"
    unread = life.server.raw(head.encode())
    assert (unread.status, unread.code) == (413, "contentTooLarge")
    assert everything(life.server.services.database) == before
