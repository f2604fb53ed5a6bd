"""Setting instances from our shape into Graph's, one to one: the reverse of ``setting_reading``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
from shieldwall.server.graph.setting_types import PREFIX, SIMPLE_TYPES, Json

_LEGACY: Final[Mapping[type[SettingInstance], str]] = {
    GroupSetting: "SettingGroupInstance",
    GroupCollectionSetting: "SettingGroupCollectionInstance",
}
"""Older spellings of groups, which have no member for a value."""


def write_settings(settings: tuple[SettingInstance, ...]) -> list[Json]:
    """Write settings in the shape Graph answers with; ids count from "0"."""
    return [{"id": str(index), "settingInstance": write_instance(each)} for index, each in enumerate(settings)]


def write_instance(instance: SettingInstance) -> Json:
    """Write one setting instance in its Graph shape."""
    kind, members = _shape(instance)
    if isinstance(instance, GroupSetting | GroupCollectionSetting) and instance.legacy:
        kind, members = _LEGACY[type(instance)], {}
    reference = {"settingInstanceTemplateId": instance.template} if instance.template else None
    return {
        "@odata.type": PREFIX + kind,
        "settingDefinitionId": instance.definition,
        "settingInstanceTemplateReference": reference,
    } | members


def _shape(instance: SettingInstance) -> tuple[str, Json]:
    match instance:
        case ChoiceSetting(value=choice):
            return "ChoiceSettingInstance", {"choiceSettingValue": _write_choice(choice)}
        case ChoiceCollectionSetting(values=choices):
            written = [_write_choice(each) for each in choices]
            return "ChoiceSettingCollectionInstance", {"choiceSettingCollectionValue": written}
        case SimpleSetting(value=simple):
            return "SimpleSettingInstance", {"simpleSettingValue": _write_simple(simple)}
        case SimpleCollectionSetting(values=simples):
            written = [_write_simple(each) for each in simples]
            return "SimpleSettingCollectionInstance", {"simpleSettingCollectionValue": written}
        case GroupSetting(value=group):
            return "GroupSettingInstance", {"groupSettingValue": _write_group(group)}
        case GroupCollectionSetting(values=groups):
            written = [_write_group(each) for each in groups]
            return "GroupSettingCollectionInstance", {"groupSettingCollectionValue": written}


def _write_value_template(template: ValueTemplate | None) -> Json | None:
    if template is None:
        return None
    return {"settingValueTemplateId": template.id, "useTemplateDefault": template.use_default}


def _write_choice(choice: ChoiceValue) -> Json:
    return {
        "settingValueTemplateReference": _write_value_template(choice.template),
        "value": choice.value,
        "children": [write_instance(child) for child in choice.children],
    }


def _write_simple(simple: SimpleValue) -> Json:
    return {
        "@odata.type": SIMPLE_TYPES[simple.kind],
        "settingValueTemplateReference": _write_value_template(simple.template),
        "value": simple.value,
        **({"valueState": simple.state} if simple.state else {}),
        **({"note": simple.note} if simple.kind == "reference" else {}),
    }


def _write_group(group: GroupValue) -> Json:
    return {
        "settingValueTemplateReference": _write_value_template(group.template),
        "children": [write_instance(child) for child in group.children],
    }
