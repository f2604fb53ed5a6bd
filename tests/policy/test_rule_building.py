"""A rule that is built out of choices is one that can be read, and says what was chosen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.rules import Described, Sketch, devices, sketches, spelled

from shieldwall.policy.membership import InvalidRuleError, parse_rule
from shieldwall.policy.rule_building import JOINING, condition, joined, operators_of
from shieldwall.policy.rule_tree import KINDS

GROUP = "aaaaaaaa-0000-4000-8000-000000000000"


@given(st.sampled_from(sorted(KINDS)), st.text(max_size=40), st.data())
def test_every_choice_that_is_taken_can_be_read(name: str, value: str, data: st.DataObject) -> None:
    operator = data.draw(st.sampled_from(operators_of(name)))
    try:
        text = condition(name, operator, value)
    except InvalidRuleError:
        return
    assert parse_rule(text).properties() == {name}


@given(sketches, sketches, devices, st.sampled_from(JOINING))
def test_what_is_joined_says_both(one: Sketch, other: Sketch, device: Described, joining: str) -> None:
    rule, added = str(parse_rule(spelled(one))), f"({parse_rule(spelled(other))})"
    first, second = parse_rule(rule).matches(device), parse_rule(added).matches(device)
    try:
        both = parse_rule(joined(rule, joining, added))
    except InvalidRuleError:
        return  # too long, too deep, or a condition of -any that reaches as far as it can
    if "-any" in rule or "-all" in rule:
        return
    assert both.matches(device) is ((first and second) if joining == "-and" else (first or second))


@pytest.mark.parametrize(
    ("name", "operator", "value", "written"),
    [
        ("deviceOSType", "-eq", "Linux", 'device.deviceOSType -eq "Linux"'),
        ("deviceOSType", "-eq", "null", "device.deviceOSType -eq null"),
        ("deviceOSType", "-in", "Linux, macOS", 'device.deviceOSType -in ["Linux", "macOS"]'),
        ("isRooted", "-eq", "True", "device.isRooted -eq true"),
        ("memberOf", "-any", GROUP, f'device.memberOf -any (group.objectId -in ["{GROUP}"])'),
        ("displayName", "-startsWith", 'a"b', 'device.displayName -startsWith "a`"b"'),
    ],
)
def test_conditions_are_written_as_they_are_read(name: str, operator: str, value: str, written: str) -> None:
    assert condition(name, operator, value) == written


@pytest.mark.parametrize(
    ("name", "operator", "value"),
    [
        ("nothing", "-eq", "x"),
        ("isRooted", "-contains", "true"),
        ("isRooted", "-eq", "maybe"),
        ("memberOf", "-any", "web"),
        ("deviceOSType", "-in", " , "),
        ("displayName", "-match", "("),
    ],
)
def test_what_cannot_be_asked_is_refused(name: str, operator: str, value: str) -> None:
    with pytest.raises(InvalidRuleError):
        condition(name, operator, value)


def test_an_alternative_stays_together() -> None:
    rule = 'device.displayName -eq "a" -or device.displayName -eq "b"'
    assert joined(rule, "-and", "device.isRooted -eq false") == f"({rule}) -and device.isRooted -eq false"
    assert joined(rule, "-or", "device.isRooted -eq false") == f"{rule} -or device.isRooted -eq false"
    assert joined(" ", "-and", "device.isRooted -eq false") == "device.isRooted -eq false"
    with pytest.raises(InvalidRuleError):
        joined(rule, "-xor", "device.isRooted -eq false")
