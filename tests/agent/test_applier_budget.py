"""A report always fits into a check-in, whatever a device has to say."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from shieldwall.agent.applier.budget import ITEMS_CUT, REPORT_BUDGET, summary_of, within_budget
from shieldwall.contract.ids import Digest, PolicyId, SettingId
from shieldwall.contract.messages import MAX_CHECK_IN_BYTES
from shieldwall.contract.status import (
    MAX_STATUSES,
    ItemStatus,
    RefusedPolicy,
    SettingState,
    SettingStatus,
    StatusReport,
    gravest,
)
from shieldwall.contract.strict_json import decode, encode

SMALL = 8_000
"""A budget that generated reports exceed; their statuses alone fit."""
POLICIES = tuple(PolicyId(f"cccccccc-0000-4000-8000-{number:012x}") for number in range(40))

states = st.sampled_from(list(SettingState))
characters = st.characters(exclude_categories=[])
long_texts = st.builds(lambda text, times: text * times, st.text(characters, max_size=8), st.sampled_from([1, 40, 300]))
values = st.one_of(
    st.none(),
    st.integers(0, 9),
    st.builds(lambda count: [f"/opt/exclusion-{number}" for number in range(count)], st.sampled_from([0, 3, 30, 300])),
)
items = st.builds(
    lambda kinds, times: tuple(kinds * times),
    st.lists(st.builds(ItemStatus, item=long_texts, state=states, reason=long_texts), max_size=4),
    st.sampled_from([1, 30]),
)
statuses = st.builds(
    SettingStatus,
    setting=st.sampled_from([SettingId(f"setting_{number}") for number in range(30)]),
    state=states,
    provider=st.one_of(st.none(), long_texts),
    code=st.one_of(st.none(), long_texts),
    reason=st.one_of(st.none(), long_texts),
    rule=st.one_of(st.none(), long_texts),
    value=values,
    read_back=values,
    written=st.booleans(),
    effective=st.sampled_from([True, False, None]),
    policies=st.sampled_from([POLICIES[:1], POLICIES]),
    losers=st.sampled_from([(), POLICIES]),
    items=items,
)
refusals = st.builds(
    RefusedPolicy,
    policy_id=st.sampled_from(POLICIES),
    digest=st.just(Digest("a" * 64)),
    code=long_texts,
    cause=long_texts,
)
reports = st.builds(
    StatusReport,
    settings=st.lists(statuses, max_size=12).map(tuple),
    refused=st.lists(refusals, max_size=4).map(tuple),
)


def told(report: StatusReport) -> Counter[tuple[str, SettingState]]:
    return Counter((status.setting, status.state) for status in report.settings)


@settings(max_examples=200, deadline=None)
@given(reports)
def test_whatever_is_reported_fits_is_accepted_and_tells_every_state(report: StatusReport) -> None:
    sent = within_budget(report, budget=SMALL)

    content = encode(sent)
    assert len(content) <= SMALL
    assert encode(decode(content, StatusReport)) == content, "the server must read what is sent"
    assert told(sent) == told(report)
    assert {policy.policy_id for policy in sent.refused} == {policy.policy_id for policy in report.refused}
    assert encode(within_budget(report, budget=SMALL)) == content, "equal devices send equal bytes"
    assert within_budget(sent, budget=SMALL) == sent
    for before, after in zip(report.settings, sent.settings, strict=True):
        if after.items:
            assert gravest([item.state for item in after.items]) is gravest([item.state for item in before.items])
        if before.value == before.read_back:
            assert after.value == after.read_back


@given(st.lists(states, min_size=1, max_size=6).map(tuple), st.integers(2_001, 2_400))
@settings(max_examples=10, deadline=None)
def test_of_too_many_statuses_the_gravest_stay(kinds: tuple[SettingState, ...], count: int) -> None:
    every = tuple(
        SettingStatus(setting=SettingId(f"s{number:05}" + "ü" * 500), state=kinds[number % len(kinds)])
        for number in range(count)
    )

    sent = within_budget(StatusReport(settings=every))

    assert len(sent.settings) <= MAX_STATUSES
    assert len(encode(sent)) <= REPORT_BUDGET
    assert gravest([each.state for each in sent.settings]) is gravest(list(kinds))
    assert list(sent.settings) == [each for each in every if each in set(sent.settings)], "their order stays"


def exclusions(policy: int) -> list[dict[str, Any]]:
    return [
        {"exclusion_type": "excludedPath", "exclusion_path": f"/srv/{policy}/{number}/" + "deep/" * 30}
        for number in range(600)
    ]


def test_four_policies_of_six_hundred_exclusions_fit_and_small_values_stay_whole() -> None:
    large = tuple(
        SettingStatus(
            setting=SettingId(f"exclusions_{policy}"),
            state=SettingState.SUCCEEDED,
            value=exclusions(policy),
            read_back=exclusions(policy),
        )
        for policy in range(4)
    )
    small = SettingStatus(setting=SettingId("firewall"), state=SettingState.SUCCEEDED, value="on", read_back="on")
    report = StatusReport(settings=(*large, small))
    assert len(encode(report)) > MAX_CHECK_IN_BYTES // 2

    sent = within_budget(report)

    assert len(encode(sent)) <= REPORT_BUDGET
    assert sent.settings[-1] == small
    summed = [status for status in sent.settings if isinstance(status.value, dict)]
    assert summed
    for status in summed:
        original = report.settings[sent.settings.index(status)].value
        assert status.value == status.read_back == summary_of(original)
        assert status.value["count"] == 600


def test_items_are_cut_to_the_gravest_with_a_marker() -> None:
    rejected = tuple(
        ItemStatus(item=f"rule {number} " + "x" * 900, state=SettingState.NOT_APPLICABLE, reason="r" * 900)
        for number in range(1_000)
    )
    wrong = ItemStatus(item="the one that matters", state=SettingState.ERROR)
    status = SettingStatus(setting=SettingId("rules"), state=SettingState.ERROR, items=(*rejected, wrong))

    (sent,) = within_budget(StatusReport(settings=(status,))).settings

    assert wrong in sent.items
    assert sent.items[-1].code == ITEMS_CUT
    assert sent.items[-1].item == f"{1_001 - (len(sent.items) - 1)} more"


def test_a_report_that_fits_stays_as_it_is() -> None:
    status = SettingStatus(setting=SettingId("a"), state=SettingState.ERROR, value=["x" * 1_000], reason="r" * 1_024)
    report = StatusReport(settings=(status,))

    assert within_budget(report) == report
    assert msgspec.structs.asdict(within_budget(report)) == msgspec.structs.asdict(report)
