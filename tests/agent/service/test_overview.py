"""What is shown is what was read back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.simulated_agent import SimulatedAgent, a_policy
from tests.support.simulated_gateway import NOON, SimulatedGateway

from shieldwall.agent.service.overview import age_text, changes, overview
from shieldwall.agent.service.records import Trouble
from shieldwall.contract.enrollment import STATUSES, EnrollmentCode
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.trust import moments

values = st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from(["one", "two"])), st.integers(0, 2))


def a_report(read_back: dict[tuple[str, str], Any]) -> StatusReport:
    return StatusReport(
        settings=tuple(
            SettingStatus(setting=SettingId(name), provider=provider, state=SettingState.SUCCEEDED, read_back=value)
            for (name, provider), value in read_back.items()
        )
    )


@given(values, values)
def test_changes_lead_from_before_to_now(before: dict[tuple[str, str], int], now: dict[tuple[str, str], int]) -> None:
    found = changes(a_report(before), a_report(now))

    applied: dict[tuple[str, str], Any] = dict(before)
    for change in found:
        assert change.before == before.get((change.setting, change.provider))
        assert change.before != change.now
        applied[change.setting, change.provider] = change.now
    assert {place: value for place, value in applied.items() if value is not None} == now


def test_nothing_before_and_nothing_now_is_no_change() -> None:
    assert changes(None, None) == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "just now"), (59, "just now"), (60, "1 minute ago"), (7_200, "2 hours ago"), (90_000, "1 day ago")],
)
def test_ages_are_told_in_one_unit(seconds: int, text: str) -> None:
    assert age_text(moments.write(NOON - timedelta(seconds=seconds)), NOON) == text


def test_never_is_never() -> None:
    assert age_text(None, NOON) == "never"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, EnrollmentCode.MANAGED),
        ({"managed_elsewhere": "Intune", "manager": "mdm"}, EnrollmentCode.MANAGED_BY_MDM),
        ({"managed_elsewhere": "Both", "manager": "several"}, EnrollmentCode.TWO_MANAGERS),
        (
            {"managed_elsewhere": "ConfigMgr", "manager": "configurationManager"},
            EnrollmentCode.MANAGED_BY_CONFIGURATION_MANAGER,
        ),
        ({"unsuitable": "unsupportedOs"}, EnrollmentCode.UNSUPPORTED_SYSTEM),
        ({"unsuitable": "nonPersistentDesktop"}, EnrollmentCode.NON_PERSISTENT_DESKTOP),
    ],
)
def test_an_overview_says_how_the_device_is_enrolled_and_what_gives_that_away(
    laptop: SimulatedAgent, gateway: SimulatedGateway, said: dict[str, Any], code: EnrollmentCode
) -> None:
    assert overview(laptop.surroundings, running=True).enrollment.code == EnrollmentCode.NOT_ENROLLED
    laptop.onboard()
    gateway.assign(gateway.publish(a_policy()))
    if code == EnrollmentCode.MANAGED_BY_CONFIGURATION_MANAGER:
        gateway.device.enrollment = code
    laptop.check_in()
    laptop.machine.said = msgspec.structs.replace(laptop.machine.said, **said)

    shown = overview(laptop.surroundings, running=True)

    assert shown.enrollment.code == code
    assert (shown.enrollment.cause, shown.enrollment.remedy) == (STATUSES[code].cause, STATUSES[code].remedy)
    assert bool(shown.survey) is bool(said)


def test_a_device_without_policies_is_managed_where_the_server_says_so(laptop: SimulatedAgent) -> None:
    laptop.onboard()
    laptop.check_in()

    shown = overview(laptop.surroundings, running=True).enrollment

    assert (shown.code, shown.cause) == (EnrollmentCode.MANAGED, STATUSES[EnrollmentCode.MANAGED].cause)


def test_what_a_device_meets_has_an_enrollment_code(laptop: SimulatedAgent) -> None:
    laptop.onboard()
    trouble = Trouble(code="clockSkew", cause="It is late.", remedy="Set it.", since="2026-11-23T12:00:00Z")
    laptop.state.put_standing(msgspec.structs.replace(laptop.state.standing(), trouble=trouble))

    assert overview(laptop.surroundings, running=True).enrollment.code == EnrollmentCode.CLOCK


def test_an_overview_tells_unfinished_business(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    laptop.onboard()
    laptop.check_in()
    gateway.assign(gateway.publish(a_policy(firewall="on")))

    def crash(_name: str) -> None:
        raise KeyboardInterrupt

    laptop.enforcer.step = crash
    with pytest.raises(KeyboardInterrupt):
        laptop.check_in()

    summary = overview(laptop.surroundings, running=False)

    assert summary.target == gateway.device.target
    assert summary.enforced != summary.target
    assert [policy.name for policy in summary.policies] == ["Policy 1"]
