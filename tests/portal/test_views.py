from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import policies as p
from tests.support.samples import NOON, a_package

from shieldwall.contract.ids import GroupId, SettingId
from shieldwall.contract.settings import PolicyDocument, SettingInstance
from shieldwall.contract.status import SEVERITY, SettingState, SettingStatus
from shieldwall.policy.resolve import Conflict, Decided, resolve
from shieldwall.server.manager.statuses import EffectiveSetting
from shieldwall.server.portal.views import (
    EffectiveRow,
    counts_of,
    effective_row,
    effective_rows,
    package_state,
    setting_rows,
    targets_in_words,
)
from shieldwall.server.storage.records import Assignment, AssignmentKind

POLICY = p.document(1).policy_id


def row(*documents: PolicyDocument, setting: SettingId = p.LEVEL, **reported: object) -> EffectiveRow:
    """The row of a setting that these policies speak about and of which the device reported this."""
    resolution = resolve(p.catalog(), documents).settings[setting]
    status = SettingStatus(setting=setting, **reported) if reported else None  # type: ignore[arg-type]  # any member
    state = status.state if status else SettingState.PENDING
    return effective_row(
        p.catalog(), EffectiveSetting(setting=setting, state=state, resolution=resolution, reported=status)
    )


def level(number: int, suffix: str = "_0") -> PolicyDocument:
    return p.document(number, p.choice(p.LEVEL, suffix))


@given(p.documents())
def test_every_policy_that_sets_a_setting_is_named_once_as_winner_or_as_loser(documents: list[PolicyDocument]) -> None:
    for setting, resolution in resolve(p.catalog(), documents).settings.items():
        shown = row(*documents, setting=setting)
        won, lost = [wish.policy for wish in shown.winners], [wish.policy for wish in shown.losers]
        assert Counter(won + lost) == Counter(each.policy for each in resolution.contenders)
        assert shown.is_conflict == isinstance(resolution, Conflict)
        if isinstance(resolution, Decided):
            assert set(won) == set(resolution.winners)
        else:
            assert won == []
            assert shown.lines == ()


@given(p.documents(), st.data())
def test_what_needs_attention_comes_first(documents: list[PolicyDocument], data: st.DataObject) -> None:
    settings = [
        EffectiveSetting(
            setting=setting, state=data.draw(st.sampled_from(SettingState)), resolution=resolution, reported=None
        )
        for setting, resolution in resolve(p.catalog(), documents).settings.items()
    ]

    rows = effective_rows(p.catalog(), settings)

    assert sorted(each.setting for each in rows) == sorted(each.setting for each in settings)
    grave = [SEVERITY.index(each.state) for each in rows]
    assert grave == sorted(grave, reverse=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from([p.LEVEL, p.EXCLUSIONS, p.RULES]))
def test_whatever_a_device_claims_to_have_read_can_be_shown(found: object, setting: SettingId) -> None:
    settings: dict[SettingId, SettingInstance] = {
        p.LEVEL: p.choice(p.LEVEL, "_0"),
        p.EXCLUSIONS: p.items(p.EXCLUSIONS, p.excluded_path("/srv/a")),
        p.RULES: p.items(p.RULES, p.firewall_rule("x")),
    }

    shown = row(
        p.document(1, settings[setting]), setting=setting, state=SettingState.SUCCEEDED, read_back=found, value="x"
    )

    assert shown.proof is not None
    assert all(isinstance(line, str) for line in shown.proof.read_back)


def test_a_pending_setting_has_no_proof() -> None:
    assert row(level(1)).proof is None


def test_what_was_read_back_reads_like_what_was_wanted() -> None:
    wanted, found = f"{p.LEVEL}_0", f"{p.LEVEL}_2"

    same = row(level(1), state=SettingState.SUCCEEDED, value=wanted, read_back=wanted, effective=True).proof
    other = row(level(1), state=SettingState.ERROR, value=wanted, read_back=found, effective=False).proof

    assert same is not None
    assert (same.is_same, same.effective) == (True, "yes")
    assert other is not None
    assert (other.is_same, other.read_back, other.effective) == (False, ("Passive",), "no")


def test_an_effect_that_is_not_known_says_why_beside_it_and_only_there() -> None:
    shown = row(level(1), state=SettingState.SUCCEEDED, code="notShown", reason="It does not say.")

    assert shown.proof is not None
    assert (shown.proof.effective, shown.proof.effective_reason) == ("", "It does not say.")
    assert (shown.code, shown.reason) == ("", "")


def test_a_repair_is_told_with_the_state() -> None:
    shown = row(level(1), state=SettingState.SUCCEEDED, code="repaired", reason="It was put back.")

    assert (shown.code, shown.reason) == ("repaired", "It was put back.")


def test_an_error_keeps_its_code_and_its_reason() -> None:
    shown = row(level(1), state=SettingState.ERROR, code="notEffective", reason="Stopped.", effective=False)

    assert (shown.code, shown.reason) == ("notEffective", "Stopped.")


def test_a_code_that_repeats_the_state_is_left_out() -> None:
    shown = row(level(1), state=SettingState.NOT_APPLICABLE, code="notApplicable", reason="No such product.")

    assert (shown.code, shown.reason, shown.proof) == ("", "No such product.", None)


def test_what_lost_is_shown_with_what_it_wants() -> None:
    strong, weak = level(1, "_0"), level(2, "_2")

    shown = row(strong, weak)

    assert [wish.name for wish in shown.winners] == ["Policy 1"]
    assert [(wish.name, wish.lines) for wish in shown.losers] == [("Policy 2", ("Passive",))]


def test_settings_of_a_policy_name_their_category() -> None:
    (shown,) = setting_rows(p.catalog(), level(1))

    assert (shown.name, shown.category, shown.lines) == ("Enforcement Level", "Antivirus engine", ("Realtime",))


def test_counts_have_every_state_once_and_trouble_first() -> None:
    counts = counts_of({SettingState.SUCCEEDED: 2})

    assert list(counts) == [
        SettingState.ERROR,
        SettingState.CONFLICT,
        SettingState.PENDING,
        SettingState.SUCCEEDED,
        SettingState.NOT_APPLICABLE,
    ]
    assert sum(counts.values()) == 2


def test_targets_are_named_and_exclusions_say_not() -> None:
    inside, outside = GroupId("1"), GroupId("2")
    assigned = [
        Assignment(policy_id=POLICY, kind=AssignmentKind.INCLUDE, group_id=inside),
        Assignment(policy_id=POLICY, kind=AssignmentKind.EXCLUDE, group_id=outside),
        Assignment(policy_id=POLICY, kind=AssignmentKind.ALL_DEVICES, group_id=None),
    ]

    assert targets_in_words(assigned, {inside: "Servers", outside: "Lab"}) == ["Servers", "not Lab", "all devices"]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "usable"),
        ({"revoked_at": NOON}, "revoked"),
        ({"not_after": NOON}, "expired"),
        ({"not_before": NOON + timedelta(seconds=1)}, "not valid yet"),
        ({"uses": 500}, "used up"),
    ],
)
def test_a_package_says_whether_it_can_be_used(changes: dict[str, object], state: str) -> None:
    assert package_state(replace(a_package(), **changes), NOON) == state  # type: ignore[arg-type]  # any member
