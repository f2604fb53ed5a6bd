"""Setting instances as they are sent and read, kind by kind (``graph.setting_writing`` and ``setting_reading``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from shieldwall.contract.settings import MAX_SECRET_LENGTH, SecretState
from shieldwall.server.graph.schemas.definitions import DEFINITION
from shieldwall.server.graph.schemas.resource import ANNOTATION, PASSED_OVER, resource
from shieldwall.server.graph.setting_types import PREFIX, SIMPLE_TYPES
from shieldwall.server.openapi.shapes import (
    FLAG,
    NUMBER,
    TEXT,
    Component,
    Schema,
    constant,
    list_of,
    nullable,
    record,
    said,
    tagged,
    text,
    word,
)

_VALUE: Final = text(maxLength=MAX_SECRET_LENGTH)
_STATE: Final = said(word(get_args(SecretState)), "What the value is: the secret, or the token by which it is known.")
_INSTANCE_TEMPLATE: Final = nullable(
    Component("SettingInstanceTemplateReference", record({"settingInstanceTemplateId": TEXT}))
)
_VALUE_TEMPLATE: Final = nullable(
    Component("SettingValueTemplateReference", record({"settingValueTemplateId": TEXT, "useTemplateDefault": FLAG}))
)
_VALUE_TEMPLATE_SENT: Final = nullable(
    Component(
        "SettingValueTemplateReferenceSent",
        {
            **record({"settingValueTemplateId": TEXT, "useTemplateDefault": FLAG}, optional=["useTemplateDefault"]),
            "patternProperties": {ANNOTATION: {}},
        },
    )
)


def _kinds(suffix: str, template: Schema, *, sent: bool) -> Component:
    """Every kind of setting instance as it is read or sent; each may hold others, so they are made together."""

    def shape(name: str, members: Mapping[str, Schema | Component], optional: tuple[str, ...]) -> Component:
        schema = record(members, optional=optional if sent else ())
        if sent:
            schema["patternProperties"] = {ANNOTATION: {}}
        return Component(name + suffix, schema)

    any_instance = Component(f"SettingInstance{suffix}", {})
    children = list_of(any_instance.reference)
    choice = shape(
        "ChoiceSettingValue",
        {"settingValueTemplateReference": template, "value": _VALUE, "children": children},
        ("settingValueTemplateReference", "children"),
    )
    group = shape(
        "GroupSettingValue",
        {"settingValueTemplateReference": template, "children": children},
        ("settingValueTemplateReference", "children"),
    )
    simple = _simple(suffix, template, sent=sent)
    members: Mapping[str, Mapping[str, Schema | Component]] = {
        "ChoiceSettingInstance": {"choiceSettingValue": choice},
        "ChoiceSettingCollectionInstance": {"choiceSettingCollectionValue": list_of(choice)},
        "SimpleSettingInstance": {"simpleSettingValue": simple},
        "SimpleSettingCollectionInstance": {"simpleSettingCollectionValue": list_of(simple)},
        "GroupSettingInstance": {"groupSettingValue": group},
        "GroupSettingCollectionInstance": {"groupSettingCollectionValue": list_of(group)},
        "SettingGroupInstance": {},
        "SettingGroupCollectionInstance": {},
    }
    kinds = {
        PREFIX + name: shape(
            name,
            {
                "@odata.type": constant(PREFIX + name),
                "settingDefinitionId": TEXT,
                "settingInstanceTemplateReference": _INSTANCE_TEMPLATE,
                **({"auditRuleInformation": {"type": "null"}} if sent else {}),
                **own,
            },
            ("settingInstanceTemplateReference", "auditRuleInformation"),
        )
        for name, own in members.items()
    }
    return Component(any_instance.name, tagged("@odata.type", kinds))


def _simple(suffix: str, template: Schema, *, sent: bool) -> Component:
    kinds: dict[str, Component] = {}
    for kind, name in SIMPLE_TYPES.items():
        value: Schema = NUMBER if kind == "integer" else _VALUE
        more: dict[str, Schema] = {}
        if kind == "secret":
            more["valueState"] = nullable(_STATE) if sent else _STATE
        if kind == "reference":
            more["note"] = nullable(_VALUE)
        schema = record(
            {"@odata.type": constant(name), "settingValueTemplateReference": template, "value": value, **more},
            optional=("valueState", *(("settingValueTemplateReference", "note") if sent else ())),
        )
        if sent:
            schema["patternProperties"] = {ANNOTATION: {}}
        kinds[name] = Component(name.removeprefix(PREFIX) + suffix, schema)
    return Component(f"SimpleSettingValue{suffix}", tagged("@odata.type", kinds))


INSTANCE: Final = _kinds("", _VALUE_TEMPLATE, sent=False)
INSTANCE_SENT: Final = _kinds("Sent", _VALUE_TEMPLATE_SENT, sent=True)
SETTING: Final = resource(
    "Setting",
    {"id": text("Its place in the policy, counted from 0."), "settingInstance": INSTANCE},
    expands={"settingDefinitions": list_of(DEFINITION)},
    meaning="One setting of a policy.",
)
SETTING_SENT: Final = Component(
    "SettingSent",
    {
        **record(
            {"settingInstance": INSTANCE_SENT, "id": PASSED_OVER, "settingDefinitions": PASSED_OVER},
            optional=["id", "settingDefinitions"],
        ),
        "patternProperties": {ANNOTATION: {}},
    },
)
