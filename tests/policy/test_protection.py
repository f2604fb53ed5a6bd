"""Laws of tamper protection: which word counts, and that counting devices agrees with asking each of them."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import NOON, device_id, group_id

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.contract.messages import UNPROTECTED, Protection
from shieldwall.policy.classify import ChangeClass
from shieldwall.policy.protection import (
    ProtectionSettings,
    class_of,
    is_protected,
    protected_among,
    protection_of,
)

DEVICES = [device_id(number) for number in range(1, 7)]
GROUPS = [group_id(number) for number in range(1, 5)]
memberships = st.fixed_dictionaries({device: st.frozensets(st.sampled_from(GROUPS)) for device in DEVICES})
settings_ = st.builds(
    ProtectionSettings,
    enabled=st.booleans(),
    groups=st.dictionaries(st.sampled_from(GROUPS), st.booleans()),
    excluded=st.frozensets(st.sampled_from(DEVICES)).map(lambda found: tuple(sorted(found))),
)


@given(settings_, memberships)
def test_counting_devices_agrees_with_asking_each_of_them(
    settings: ProtectionSettings, groups_of: dict[DeviceId, frozenset[GroupId]]
) -> None:
    members = {group: frozenset(each for each in DEVICES if group in groups_of[each]) for group in GROUPS}

    assert protected_among(settings, frozenset(DEVICES), members) == {
        device for device in DEVICES if is_protected(settings, groups_of[device], device)
    }


@given(settings_, st.frozensets(st.sampled_from(GROUPS)), st.sampled_from(DEVICES))
def test_one_more_group_that_is_protected_never_takes_protection_away(
    settings: ProtectionSettings, own: frozenset[GroupId], device: DeviceId
) -> None:
    more = own | {group for group, word in settings.groups.items() if word}

    assert is_protected(settings, more, device) >= is_protected(settings, own, device)


def test_a_group_is_more_specific_than_the_tenant_and_a_device_than_both() -> None:
    off_for_one = ProtectionSettings(enabled=True, groups={GROUPS[0]: False})
    on_for_one = ProtectionSettings(groups={GROUPS[0]: True})
    without_one = ProtectionSettings(enabled=True, groups={GROUPS[0]: True}, excluded=(DEVICES[0],))

    assert not is_protected(off_for_one, {GROUPS[0]}, DEVICES[0])
    assert is_protected(off_for_one, {GROUPS[1]}, DEVICES[0])
    assert is_protected(on_for_one, {GROUPS[0]}, DEVICES[0])
    assert not is_protected(on_for_one, {GROUPS[1]}, DEVICES[0])
    assert not is_protected(without_one, {GROUPS[0]}, DEVICES[0])
    assert is_protected(without_one, {GROUPS[0]}, DEVICES[1])


def test_where_two_groups_disagree_the_device_is_protected() -> None:
    settings = ProtectionSettings(groups={GROUPS[0]: False, GROUPS[1]: True})

    assert is_protected(settings, {GROUPS[0], GROUPS[1]}, DEVICES[0])


def test_troubleshooting_is_part_of_it_until_it_is_over() -> None:
    settings, until = ProtectionSettings(enabled=True), NOON + timedelta(hours=4)

    during = protection_of(settings, (), DEVICES[0], troubleshooting_until=until, now=NOON)
    after = protection_of(settings, (), DEVICES[0], troubleshooting_until=until, now=until)

    assert during == Protection(tamper=True, troubleshooting_until="2026-11-23T16:00:00Z")
    assert after == Protection(tamper=True)
    assert protection_of(ProtectionSettings(), (), DEVICES[0], now=NOON) == UNPROTECTED


def test_devices_excluded_are_kept_in_order_and_once() -> None:
    for wrong in ((DEVICES[1], DEVICES[0]), (DEVICES[0], DEVICES[0])):
        with pytest.raises(ValueError, match="ascending"):
            ProtectionSettings(excluded=wrong)
    with pytest.raises(InvalidJsonError):
        strict_json.decode(b'{"groups":{"everybody":true}}', ProtectionSettings)
    assert msgspec.to_builtins(ProtectionSettings()) == {}


def test_taking_protection_from_a_single_device_weakens_whoever_gains_it() -> None:
    assert class_of(gained=1_000, lost=1) is ChangeClass.WEAKEN
    assert class_of(gained=1, lost=0) is ChangeClass.STRENGTHEN
    assert class_of(gained=0, lost=0) is ChangeClass.NEUTRAL
