"""Rules of filters are membership rules in either spelling, and never guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import NOON, TENANT_ID, a_device, counted_id

from shieldwall.contract.ids import AssignmentFilterId
from shieldwall.policy.membership import PROPERTIES, InvalidRuleError, parse_rule
from shieldwall.policy.rule_tree import KINDS, Kind
from shieldwall.server.directory.attributes import attributes_of
from shieldwall.server.directory.filter_rules import PLATFORMS, lets_through, matching, narrowing, read_filter_rule
from shieldwall.server.storage.records import Assignment, AssignmentFilter, AssignmentKind, FilterKind


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('(device.osVersion -startsWith "10.0")', 'device.deviceOSVersion -startsWith "10.0"'),
        ('device.operatingSystemVersion -eq "1"', 'device.deviceOSVersion -eq "1"'),
        (
            '(device.deviceName -eq "a") and (device.model -ne "b")',
            'device.displayName -eq "a" -and device.deviceModel -ne "b"',
        ),
        (
            'device.manufacturer -in ["a", "b"] OR not device.DEVICENAME -contains "c"',
            'device.deviceManufacturer -in ["a", "b"] -or -not device.displayName -contains "c"',
        ),
        ('device.displayName -eq "device.model and x"', 'device.displayName -eq "device.model and x"'),
        ('device.displayName -eq "a`" or device.model"', 'device.displayName -eq "a`" or device.model"'),
    ],
)
def test_names_of_intune_mean_properties_of_the_directory(written: str, meant: str) -> None:
    assert read_filter_rule(written) == parse_rule(meant)


@pytest.mark.parametrize("name", ["operatingSystemSKU", "memberOf", "cpuArchitecture"])
def test_a_property_that_nobody_knows_is_named_with_its_place(name: str) -> None:
    text = f'(device.model -eq "a") and (device.{name} -eq "b")'
    with pytest.raises(InvalidRuleError, match=name) as refused:
        read_filter_rule(text)

    assert refused.value.position == text.index(f"device.{name}")
    assert str(refused.value).count("at character") == 1


@given(
    name=st.sampled_from([name for name in PROPERTIES if KINDS[name] is Kind.TEXT]),
    operator=st.sampled_from(["-eq", "-ne", "-contains", "-startsWith"]),
    value=st.text(st.characters(exclude_categories=["C"]), max_size=30),
)
def test_a_membership_rule_means_the_same_as_a_filter(name: str, operator: str, value: str) -> None:
    escaped = value.replace("`", "``").replace('"', '`"')
    rule = f'-not (device.{name} {operator} "{escaped}") -or device.deviceTag -eq null'

    assert read_filter_rule(rule) == parse_rule(rule)


@pytest.mark.parametrize(("platform", "expected"), [("linux", True), ("macOS", False), ("windows10AndLater", False)])
def test_a_device_of_another_platform_never_matches(platform: str, expected: bool) -> None:
    assert platform in PLATFORMS
    kept = AssignmentFilter(
        id=AssignmentFilterId(counted_id("1", 1)),
        tenant_id=TENANT_ID,
        display_name="F",
        description="",
        platform=platform,
        rule='device.deviceName -startsWith "device"',
        role_scope_tag_ids=("0",),
        created_at=NOON,
        modified_at=NOON,
    )
    found = matching([narrowing(kept)], attributes_of(a_device(1)))

    assert found == ({kept.id} if expected else set())


@given(kind=st.sampled_from(FilterKind), matched=st.booleans())
def test_a_filter_includes_who_matches_or_keeps_them_out(kind: FilterKind, matched: bool) -> None:
    named = AssignmentFilterId(counted_id("1", 1))
    assignment = Assignment(
        policy_id=counted_id("a", 1),  # type: ignore[arg-type]  # no matter which
        kind=AssignmentKind.ALL_DEVICES,
        group_id=None,
        filter_id=None if kind is FilterKind.NONE else named,
        filter_kind=kind,
    )

    assert (
        lets_through(assignment, {named} if matched else set())
        == ({FilterKind.NONE: True, FilterKind.INCLUDE: matched, FilterKind.EXCLUDE: not matched}[kind])
    )
