"""Exports read leniently: what fits is taken whole, what does not is named part by part."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.graph_bodies import SAMPLES, a_policy, chosen, retention, sample
from tests.support.policies import LEVEL, catalog

from shieldwall.catalog.findings import Finding
from shieldwall.catalog.validate import validate
from shieldwall.server.graph.importing import Imported, import_policy
from shieldwall.server.graph.setting_writing import write_settings
from shieldwall.server.manager.policies import PolicyDraft

NETWORK = "linux_mdatp_managed_antivirusengine_"


def check(draft: PolicyDraft) -> tuple[Finding, ...]:
    return validate(catalog(), draft.template_id, draft.platforms, draft.technologies, draft.settings)


def imported(members: dict[str, Any]) -> Imported:
    return import_policy(catalog(), members, check)


def left_out(found: Imported) -> list[tuple[str, str]]:
    return [(finding.path, finding.code) for finding in found.left_out]


@pytest.mark.parametrize("name", [file.stem for file in SAMPLES])
def test_every_sample_is_taken_whole(name: str) -> None:
    exported = sample(name)

    found = imported(exported)

    assert found.left_out == ()
    assert found.draft is not None
    assert write_settings(found.draft.settings) == exported["settings"]


def test_members_that_say_nothing_are_named_and_others_are_left_out() -> None:
    exported = a_policy(
        id="x", createdDateTime="2024", priorityMetaData=None, version=7, isApproved=True, surprise={}, assignments=[{}]
    )
    exported |= {"@odata.context": "x", "name@odata.type": "#String", "#microsoft.graph.assign": {}, "#CustomRef": "x"}

    found = imported(exported)

    assert found.draft is not None
    assert found.ignored == ("#CustomRef", "createdDateTime", "id")
    assert left_out(found) == [
        ("version", "unknownMember"),
        ("isApproved", "unknownMember"),
        ("surprise", "unknownMember"),
        ("assignments", "assignmentsNotImported"),
    ]


def test_a_setting_with_a_fault_is_left_out_and_the_others_stay_in_their_order() -> None:
    settings = [
        chosen("nothing_of_this_catalog", "x"),
        retention(7),
        chosen(LEVEL, f"{LEVEL}_seldom"),
        retention(8),
        {"settingInstance": {"@odata.type": "#microsoft.graph.user"}},
        chosen(LEVEL, f"{LEVEL}_0"),
    ]

    found = imported(a_policy(settings=settings))

    assert found.draft is not None
    assert [instance.definition for instance in found.draft.settings] == [
        retention(7)["settingInstance"]["settingDefinitionId"],
        LEVEL,
    ]
    assert left_out(found) == [
        ("settings[4].settingInstance.settingDefinitionId", "invalidShape"),
        ("settings[0].definition", "unknownSetting"),
        ("settings[2].value", "unknownOption"),
        ("settings[3]", "duplicateSetting"),
    ]


def exclusions(*items: Any) -> dict[str, Any]:
    exported = sample("linux-exclusions")
    (setting,) = exported["settings"]
    instance = setting["settingInstance"]
    one = instance["groupSettingCollectionValue"][0]
    instance["groupSettingCollectionValue"] = [copy.deepcopy(one) if item is None else item for item in items]
    return exported


def test_of_a_group_only_the_item_is_left_out_whatever_is_wrong_with_it() -> None:
    unknown = {"children": [chosen("nothing_of_this_catalog", "x")["settingInstance"]]}

    found = imported(exclusions(unknown, {"children": [], "surprise": 1}, None, {"children": []}, None))

    assert found.draft is not None
    (setting,) = write_settings(found.draft.settings)
    assert setting == exclusions(None)["settings"][0]
    assert [path for path, _ in left_out(found)] == [
        "settings[0].settingInstance.groupSettingCollectionValue[1]",
        "settings[0].values[0].children[0].definition",
        "settings[0].values[0]",
        "settings[0].values[3]",
        "settings[0].values[4]",
    ]
    assert left_out(found)[-1][1] == "duplicateItem"


def test_a_group_that_loses_all_of_its_items_goes_with_them() -> None:
    found = imported(exclusions({"children": []}))

    assert found.draft is not None
    assert found.draft.settings == ()
    assert found.left_out


def test_what_an_option_brings_along_can_be_left_out_alone() -> None:
    exported = sample("windows-firewall")
    position, choice = next(
        (position, each["settingInstance"]["choiceSettingValue"])
        for position, each in enumerate(exported["settings"])
        if each["settingInstance"].get("choiceSettingValue", {}).get("children")
    )
    expected = copy.deepcopy(exported["settings"])
    choice["children"].insert(0, chosen("nothing_of_this_catalog", "x")["settingInstance"])

    found = imported(exported)

    assert left_out(found) == [(f"settings[{position}].children[0].definition", "unknownSetting")]
    assert found.draft is not None
    assert write_settings(found.draft.settings) == expected


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"templateReference": None}, "templateReference", "noTemplate"),
        ({"templateReference": {"templateId": "", "templateFamily": "none"}}, "templateReference", "noTemplate"),
        ({"templateReference": {"templateId": "x_1"}}, "templateReference.templateId", "unknownTemplate"),
        ({"templateReference": {"templateId": 7}}, "templateReference.templateId", "unknownTemplate"),
        ({"templateReference": "x_1"}, "templateReference.templateId", "unknownTemplate"),
        (
            {"templateReference": {"templateId": "0f2034c6-3cd6-4ee1-bd37-f3c0693e9548_1"}},
            "templateReference.templateId",
            "unsupportedTemplate",
        ),
        ({"platforms": "macOS"}, "platforms", "platformMismatch"),
        ({"name": "a\x1b"}, "name", "invalidMember"),
        ({"name": 7}, "name", "invalidMember"),
        ({"name": None}, "name", "missingMember"),
        ({"settings": [retention(7)] * 2_001}, "settings", "tooManySettings"),
    ],
)
def test_what_has_no_place_here_as_a_whole_becomes_no_policy_and_is_said(
    changes: dict[str, Any], path: str, code: str
) -> None:
    found = imported(a_policy(**changes))

    assert found.draft is None
    assert (path, code) in left_out(found)
    assert all(finding.message for finding in found.left_out)


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"technologies": "mdm"}, "technologies", "technologiesMismatch"),
        ({"description": "x" * 1_001}, "description", "invalidMember"),
        ({"roleScopeTagIds": [7]}, "roleScopeTagIds", "invalidMember"),
        ({"settings": None}, "settings", "missingMember"),
        (
            {"templateReference": {"templateId": "4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1", "surprise": 1}},
            "templateReference.surprise",
            "unknownMember",
        ),
    ],
)
def test_a_member_that_cannot_be_taken_costs_itself_alone(changes: dict[str, Any], path: str, code: str) -> None:
    found = imported(a_policy(**changes))

    assert found.draft is not None
    assert left_out(found) == [(path, code)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    name=st.sampled_from([file.stem for file in SAMPLES]),
    changed=st.dictionaries(
        st.sampled_from(["name", "platforms", "technologies", "templateReference", "settings"]), json_values, max_size=1
    ),
    path=st.lists(st.integers(0, 12), max_size=12),
    value=json_values,
)
def test_a_spoiled_export_is_a_valid_draft_or_a_report_and_never_a_crash(
    name: str, changed: dict[str, Any], path: list[int], value: Any
) -> None:
    exported = sample(name) | changed
    _spoil(exported, path, value)

    found = imported(exported)

    if found.draft is None:
        assert found.left_out
        return
    assert check(found.draft) == ()
    if not found.left_out:
        assert len(found.draft.settings) == len(exported["settings"])


def _spoil(value: Any, path: list[int], spoiled: Any) -> None:
    """Replace what stands at the end of a way through a document."""
    for step, index in enumerate(path):
        keys = sorted(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if not keys:
            return
        key = keys[index % len(keys)]
        if step == len(path) - 1:
            value[key] = spoiled
        value = value[key]
