from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupSetting,
    GroupValue,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleSetting,
    SimpleValue,
    ValueTemplate,
)
from shieldwall.server.graph.setting_reading import read_settings
from shieldwall.server.graph.setting_writing import write_settings

SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "policies").glob("*.json"))

words = st.text(min_size=1, max_size=12)
definitions = words.map(SettingId)
templates = st.none() | words
value_templates = st.none() | st.builds(ValueTemplate, id=words, use_default=st.booleans())
simple_values = st.builds(SimpleValue, kind=st.just("integer"), value=st.integers(-5, 5), template=value_templates) | (
    st.builds(SimpleValue, kind=st.just("string"), value=words, template=value_templates)
    | st.builds(
        SimpleValue,
        kind=st.just("secret"),
        value=words,
        template=value_templates,
        state=st.sampled_from([None, "invalid", "notEncrypted", "encryptedValueToken"]),
    )
    | st.builds(
        SimpleValue, kind=st.just("reference"), value=words, template=value_templates, note=st.none() | st.text()
    )
)


def instances(children: st.SearchStrategy[SettingInstance]) -> st.SearchStrategy[SettingInstance]:
    several = st.lists(children, max_size=2).map(tuple)
    choices = st.builds(ChoiceValue, value=words, children=several, template=value_templates)
    groups = st.builds(GroupValue, children=several, template=value_templates)
    return st.one_of(
        st.builds(ChoiceSetting, definition=definitions, value=choices, template=templates),
        st.builds(
            ChoiceCollectionSetting,
            definition=definitions,
            values=st.lists(choices, max_size=2).map(tuple),
            template=templates,
        ),
        st.builds(GroupSetting, definition=definitions, value=groups, template=templates),
        st.builds(
            GroupCollectionSetting,
            definition=definitions,
            values=st.lists(groups, max_size=2).map(tuple),
            template=templates,
        ),
    )


leaves: st.SearchStrategy[SettingInstance] = st.one_of(
    st.builds(SimpleSetting, definition=definitions, value=simple_values, template=templates),
    st.builds(
        SimpleCollectionSetting,
        definition=definitions,
        values=st.lists(simple_values, max_size=3).map(tuple),
        template=templates,
    ),
    st.builds(
        GroupSetting, definition=definitions, value=st.just(GroupValue()), template=templates, legacy=st.just(True)
    ),
    st.builds(
        GroupCollectionSetting, definition=definitions, values=st.just(()), template=templates, legacy=st.just(True)
    ),
)
settings = st.lists(st.recursive(leaves, instances, max_leaves=8), max_size=3).map(tuple)


@given(settings)
def test_what_is_written_is_what_is_read(found: tuple[SettingInstance, ...]) -> None:
    assert read_settings(json.loads(json.dumps(write_settings(found)))) == found


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_an_export_comes_back_as_it_was(file: Path) -> None:
    exported = json.loads(file.read_text())["settings"]

    assert write_settings(read_settings(exported)) == exported


def test_annotations_beside_members_say_nothing_new() -> None:
    exported = json.loads(SAMPLES[0].read_text())["settings"]
    annotated = copy.deepcopy(exported)
    annotated[0]["settingInstance"]["settingDefinitionId@odata.type"] = "#String"
    annotated[0]["#microsoft.graph.assign"] = {"title": "assign"}

    assert read_settings(annotated) == read_settings(exported)


VALUE = "#microsoft.graph.deviceManagementConfiguration{}SettingValue"


@pytest.mark.parametrize(
    "instance",
    [
        {"@odata.type": "#microsoft.graph.deviceManagementConfigurationSettingGroupInstance"},
        {"@odata.type": "#microsoft.graph.deviceManagementConfigurationSettingGroupCollectionInstance"},
        {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance",
            "simpleSettingValue": {
                "@odata.type": VALUE.format("Secret"),
                "settingValueTemplateReference": None,
                "value": "a",
                "valueState": "encryptedValueToken",
            },
        },
        {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingCollectionInstance",
            "simpleSettingCollectionValue": [
                {
                    "@odata.type": VALUE.format("Reference"),
                    "settingValueTemplateReference": None,
                    "value": "a",
                    "note": "why",
                }
            ],
        },
    ],
    ids=lambda instance: instance["@odata.type"].rpartition("Configuration")[2],
)
def test_what_was_authored_elsewhere_comes_back_member_by_member(instance: dict[str, Any]) -> None:
    whole = {"settingDefinitionId": "a", "settingInstanceTemplateReference": None} | instance
    exported = [{"id": "0", "settingInstance": whole}]

    assert write_settings(read_settings(exported)) == exported


def spoiled(change: dict[str, Any]) -> list[Any]:
    instance = {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance",
        "settingDefinitionId": "a",
        "simpleSettingValue": {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationIntegerSettingValue",
            "value": 3,
        },
    }
    return [{"id": "0", "settingInstance": instance | change}]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"@odata.type": "#microsoft.graph.user"}, "@odata.type"),
        ({"@odata.type": 7}, "@odata.type"),
        ({"settingDefinitionId": None}, "settingDefinitionId"),
        ({"surprise": 1}, "surprise"),
        ({"simpleSettingValue": []}, "simpleSettingValue"),
        ({"choiceSettingValue": {"value": "x"}}, "choiceSettingValue"),
        (
            {
                "simpleSettingValue": {
                    "@odata.type": "#microsoft.graph.deviceManagementConfigurationIntegerSettingValue",
                    "value": True,
                }
            },
            "expected an integer",
        ),
        (
            {
                "simpleSettingValue": {
                    "@odata.type": "#microsoft.graph.deviceManagementConfigurationIntegerSettingValue",
                    "value": "3",
                }
            },
            "expected an integer",
        ),
        ({"settingInstanceTemplateReference": {"other": 1}}, "settingInstanceTemplateId"),
        ({"auditRuleInformation": {}}, "auditRuleInformation"),
        ({"simpleSettingValue": {"@odata.type": VALUE.format("String"), "value": "x", "note": "x"}}, "note"),
        (
            {"simpleSettingValue": {"@odata.type": VALUE.format("String"), "value": "x", "valueState": None}},
            "valueState",
        ),
        (
            {"simpleSettingValue": {"@odata.type": VALUE.format("Secret"), "value": "x", "valueState": "x"}},
            "valueState",
        ),
        ({"simpleSettingValue": {"@odata.type": VALUE.format("Secret"), "value": "x", "valueState": []}}, "valueState"),
        ({"simpleSettingValue": {"@odata.type": VALUE.format("Reference"), "value": "x", "note": 7}}, "note"),
        (
            {"@odata.type": "#microsoft.graph.deviceManagementConfigurationSettingGroupInstance"},
            "simpleSettingValue",
        ),
    ],
)
def test_what_does_not_fit_is_refused_where_it_stands(change: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidJsonError, match=r"settings\[0\]") as refusal:
        read_settings(spoiled(change))

    assert place in refusal.value.cause


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_anything_else_is_refused_and_never_a_crash(value: Any) -> None:
    if value == []:
        return
    with pytest.raises(InvalidJsonError):
        read_settings(value)
