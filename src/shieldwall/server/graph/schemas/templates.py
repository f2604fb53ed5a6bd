"""Policy templates and the settings that they offer (``graph.template_shapes``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shieldwall.catalog.vocabulary import Confidence
from shieldwall.server.graph.schemas.definitions import DEFINITION, PLATFORM, TECHNOLOGIES
from shieldwall.server.graph.schemas.resource import resource
from shieldwall.server.graph.setting_types import PREFIX
from shieldwall.server.openapi.shapes import (
    COUNT,
    FLAG,
    NOTHING,
    TEXT,
    Component,
    constant,
    list_of,
    nullable,
    record,
    said,
    tagged,
    word,
)

_ANY: Final = Component("SettingInstanceTemplate", {})
"""Named before it is made: a group holds templates of its members."""


def _default(kind: str, members: Mapping[str, Any]) -> Component:
    name = f"{kind}SettingValueConstantDefaultTemplate"
    return Component(name, record({"@odata.type": constant(PREFIX + name), **members}))


def _value(kind: str, default: Component | None) -> Component:
    name = f"{kind}SettingValueTemplate"
    members: dict[str, Any] = {"@odata.type": constant(PREFIX + name), "settingValueTemplateId": nullable(TEXT)}
    if default is None:
        members["children"] = list_of(_ANY.reference)
    else:
        members |= {
            "defaultValue": nullable(default),
            "recommendedValueDefinition": NOTHING,
            "requiredValueDefinition": NOTHING,
        }
    return Component(name, record(members))


_CHOICE: Final = _value("Choice", _default("Choice", {"settingDefinitionOptionId": TEXT, "children": list_of(TEXT)}))
_GROUP: Final = _value("Group", None)
_SIMPLE_KINDS: Final = {
    f"{PREFIX}{kind}SettingValueTemplate": _value(kind, _default(kind, {"constantValue": value}))
    for kind, value in (("String", TEXT), ("Integer", {"type": "integer"}))
}
_SIMPLE: Final = Component("SimpleSettingValueTemplate", tagged("@odata.type", _SIMPLE_KINDS))


def _instance(name: str, own: Mapping[str, Any]) -> Component:
    full = f"{name}InstanceTemplate"
    return Component(
        full,
        record(
            {
                "@odata.type": constant(PREFIX + full),
                "settingInstanceTemplateId": nullable(TEXT),
                "settingDefinitionId": TEXT,
                "isRequired": FLAG,
                **own,
            }
        ),
    )


_INSTANCES: Final[Mapping[str, Mapping[str, Any]]] = {
    "ChoiceSetting": {"choiceSettingValueTemplate": _CHOICE},
    "ChoiceSettingCollection": {"choiceSettingCollectionValueTemplate": list_of(_CHOICE), "allowUnmanagedValues": FLAG},
    "SimpleSetting": {"simpleSettingValueTemplate": _SIMPLE},
    "SimpleSettingCollection": {"simpleSettingCollectionValueTemplate": list_of(_SIMPLE), "allowUnmanagedValues": FLAG},
    "GroupSetting": {"groupSettingValueTemplate": _GROUP},
    "GroupSettingCollection": {"groupSettingCollectionValueTemplate": list_of(_GROUP), "allowUnmanagedValues": FLAG},
}
_INSTANCE: Final = Component(
    _ANY.name,
    tagged(
        "@odata.type", {f"{PREFIX}{name}InstanceTemplate": _instance(name, own) for name, own in _INSTANCES.items()}
    ),
)
SETTING_TEMPLATE: Final = resource(
    "SettingTemplate",
    {
        "@odata.type": constant(f"{PREFIX}SettingTemplate"),
        "id": said(TEXT, "Its place in the template, counted from 0."),
        "settingInstanceTemplate": _INSTANCE,
        "shieldwall": record({"confidence": word(Confidence)}),
    },
    expands={"settingDefinitions": list_of(DEFINITION)},
    meaning="One setting that a template offers.",
)
TEMPLATE: Final = resource(
    "PolicyTemplate",
    {
        "id": TEXT,
        "baseId": TEXT,
        "version": COUNT,
        "displayName": TEXT,
        "displayVersion": TEXT,
        "description": TEXT,
        "lifecycleState": word("active"),
        "platforms": PLATFORM,
        "technologies": TECHNOLOGIES,
        "templateFamily": TEXT,
        "allowUnmanagedSettings": FLAG,
        "disableEntraGroupPolicyAssignment": FLAG,
        "settingTemplateCount": COUNT,
        "shieldwall": record(
            {
                "supported": FLAG,
                "otherTechnologies": list_of(TEXT),
                "confidence": word(Confidence),
                "note": nullable(TEXT),
            }
        ),
    },
    expands={"settingTemplates": list_of(SETTING_TEMPLATE)},
    meaning="What a kind of policy offers.",
)
