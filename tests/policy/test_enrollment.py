"""How a device is enrolled: for every scope and every standing there is one answer, and it is the published one."""

from __future__ import annotations

from itertools import product
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shieldwall.contract.enrollment import STATUSES, EnrollmentCode
from shieldwall.contract.strict_json import decode, encode
from shieldwall.policy.enrollment import (
    CODES,
    TAG,
    Coverage,
    EnforcementScope,
    InvalidScopeError,
    Reason,
    Standing,
    TagRule,
    check,
    decide,
    is_tagged,
    tag_rules,
)
from shieldwall.policy.membership import InvalidRuleError

DEFAULT: Final = EnforcementScope()
OS_TYPES: Final = ("Windows", "Windows Server", "Linux", "macOS")
coverages = st.sampled_from(Coverage)
scopes = st.builds(
    EnforcementScope,
    is_allowed=st.booleans(),
    windows=coverages,
    windows_server=coverages,
    linux=coverages,
    mac_os=coverages,
    includes_domain_controllers=st.booleans(),
    configuration_manager_authority=st.booleans(),
)
standings = st.builds(
    Standing,
    os_type=st.sampled_from((*OS_TYPES, "Plan 9", "")),
    is_tagged=st.booleans(),
    manager=st.sampled_from((None, "mdm", "configurationManager", "microsoftChannel", "several", "one of the future")),
    unsuitable=st.sampled_from((None, "nonPersistentDesktop", "unsupportedOs", "one of the future")),
    is_domain_controller=st.booleans(),
    is_waiting=st.booleans(),
)


def a_standing(**changes: Any) -> Standing:
    return Standing(**({"os_type": "Linux"} | changes))


def reason(scope: EnforcementScope = DEFAULT, **changes: Any) -> Reason:
    return decide(scope, a_standing(**changes)).reason


@given(scope=scopes, standing=standings)
def test_every_device_has_one_answer_in_words(scope: EnforcementScope, standing: Standing) -> None:
    enrollment = decide(scope, standing)

    assert enrollment.code in STATUSES
    assert enrollment.cause
    assert enrollment.remedy
    assert enrollment.is_managed == (enrollment.code == EnrollmentCode.MANAGED)


@given(scope=scopes, standing=standings)
def test_a_managed_device_meets_every_condition(scope: EnforcementScope, standing: Standing) -> None:
    coverage = scope.coverage(standing.os_type)
    elsewhere = standing.manager is not None and (
        standing.manager != "configurationManager" or scope.configuration_manager_authority
    )

    assert decide(scope, standing).is_managed == (
        scope.is_allowed
        and not elsewhere
        and standing.unsuitable is None
        and not standing.is_waiting
        and coverage is not None
        and (coverage is Coverage.ALL or (coverage is Coverage.TAGGED and standing.is_tagged))
        and (scope.includes_domain_controllers or not standing.is_domain_controller)
    )


@given(scope=scopes, standing=standings)
def test_a_scope_that_takes_less_takes_nobody_else(scope: EnforcementScope, standing: Standing) -> None:
    smaller = (
        replace(scope, is_allowed=False),
        replace(scope, includes_domain_controllers=False),
        replace(scope, configuration_manager_authority=True),
        replace(scope, linux=Coverage.OFF, windows=Coverage.OFF, windows_server=Coverage.OFF, mac_os=Coverage.OFF),
    )

    for each in smaller:
        assert decide(scope, standing).is_managed or not decide(each, standing).is_managed


@pytest.mark.parametrize("os_type", OS_TYPES)
def test_a_new_tenant_manages_every_device_that_nobody_else_does(os_type: str) -> None:
    assert reason(os_type=os_type) is Reason.MANAGED


@pytest.mark.parametrize(
    ("changes", "expected", "code"),
    [
        ({"manager": "mdm"}, Reason.MDM, 3),
        ({"manager": "microsoftChannel"}, Reason.MICROSOFT_CHANNEL, 3),
        ({"manager": "configurationManager"}, Reason.CONFIGURATION_MANAGER, 4),
        ({"manager": "several"}, Reason.TWO_MANAGERS, 43),
        ({"manager": "one of the future"}, Reason.MDM, 3),
        ({"unsuitable": "unsupportedOs"}, Reason.UNSUPPORTED_SYSTEM, 5),
        ({"os_type": "Plan 9"}, Reason.UNSUPPORTED_SYSTEM, 5),
        ({"unsuitable": "nonPersistentDesktop"}, Reason.NON_PERSISTENT_DESKTOP, 6),
        ({"is_waiting": True}, Reason.WAITS_FOR_APPROVAL, 2),
        ({"is_domain_controller": True}, Reason.DOMAIN_CONTROLLERS_OFF, 2),
    ],
)
def test_in_the_scope_of_a_new_tenant(changes: dict[str, Any], expected: Reason, code: int) -> None:
    enrollment = decide(DEFAULT, a_standing(**changes))

    assert (enrollment.reason, enrollment.code) == (expected, code)


def test_where_configuration_manager_has_no_authority_this_channel_takes_its_devices() -> None:
    scope = EnforcementScope(configuration_manager_authority=False)

    assert reason(scope, manager="configurationManager") is Reason.MANAGED
    assert reason(scope, manager="several") is Reason.TWO_MANAGERS
    assert reason(scope, manager="mdm") is Reason.MDM


def test_the_switch_of_the_tenant_stands_above_every_platform() -> None:
    scope = EnforcementScope(is_allowed=False)

    assert {decide(scope, a_standing(os_type=each)).code for each in OS_TYPES} == {EnrollmentCode.TENANT_SWITCH_OFF}


@pytest.mark.parametrize("os_type", OS_TYPES)
def test_each_platform_has_its_own_coverage(os_type: str) -> None:
    member = {"Windows": "windows", "Windows Server": "windows_server", "Linux": "linux", "macOS": "mac_os"}[os_type]
    off = replace(DEFAULT, **{member: Coverage.OFF})
    tagged = replace(DEFAULT, **{member: Coverage.TAGGED})

    assert {each: reason(off, os_type=each) for each in OS_TYPES} == {
        each: Reason.PLATFORM_OFF if each == os_type else Reason.MANAGED for each in OS_TYPES
    }
    assert reason(tagged, os_type=os_type) is Reason.TAG_MISSING
    assert reason(tagged, os_type=os_type, is_tagged=True) is Reason.MANAGED


def test_domain_controllers_follow_their_platform_once_they_are_on() -> None:
    scope = EnforcementScope(windows_server=Coverage.TAGGED, includes_domain_controllers=True)
    controller = {"os_type": "Windows Server", "is_domain_controller": True}

    assert reason(scope, **controller) is Reason.TAG_MISSING
    assert reason(scope, **controller, is_tagged=True) is Reason.MANAGED
    assert reason(replace(scope, windows_server=Coverage.OFF), **controller) is Reason.PLATFORM_OFF


def test_domain_controllers_cannot_be_on_where_there_are_none() -> None:
    bad = EnforcementScope(windows_server=Coverage.OFF, linux=Coverage.OFF, includes_domain_controllers=True)

    with pytest.raises(InvalidScopeError, match="Domain controllers"):
        check(bad)
    for windows_server, linux in product(Coverage, Coverage):
        if {windows_server, linux} != {Coverage.OFF}:
            good = replace(bad, windows_server=windows_server, linux=linux)
            assert check(good) == good


def test_a_dynamic_tag_counts_like_the_tag_itself() -> None:
    scope = EnforcementScope(
        dynamic_tags=(TagRule(display_name="Web", rule='device.displayName -startsWith "web-"'),),
    )
    rules = tag_rules(scope)

    assert is_tagged((), rules, {"displayName": "web-1"})
    assert not is_tagged((), rules, {"displayName": "db-1"})
    assert is_tagged((TAG,), rules, {"displayName": "db-1"})
    assert not is_tagged((TAG.lower(),), (), {})


@pytest.mark.parametrize(
    "rule",
    [
        'device.managementType -eq "MicrosoftSense"',
        'device.memberOf -any (group.objectId -in ["00000000-0000-4000-8000-00000000000a"])',
        "device.displayName -eq",
    ],
)
def test_a_dynamic_tag_asks_for_nothing_that_follows_from_it(rule: str) -> None:
    with pytest.raises(InvalidRuleError):
        check(EnforcementScope(dynamic_tags=(TagRule(display_name="Bad", rule=rule),)))


@given(scope=scopes)
def test_a_scope_is_kept_as_it_is(scope: EnforcementScope) -> None:
    assert decode(encode(scope), EnforcementScope) == scope


def test_a_tenant_that_never_chose_has_the_default_scope() -> None:
    assert decode(b"{}", EnforcementScope) == DEFAULT


def test_every_reason_has_a_code_that_is_given() -> None:
    assert set(CODES) == set(Reason)
    assert all(STATUSES[code].given for code in CODES.values())
