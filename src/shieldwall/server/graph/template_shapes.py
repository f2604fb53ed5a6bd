"""Policy templates and the setting templates they offer, in Graph's shape."""

from __future__ import annotations

from typing import Final

from shieldwall.catalog.model import Catalog, Kind, PolicyTemplate, SettingDefinition, SettingTemplate
from shieldwall.server.graph.setting_types import PREFIX, Json

_KINDS: Final = {
    Kind.CHOICE: ("ChoiceSetting", "choiceSettingValueTemplate"),
    Kind.CHOICE_COLLECTION: ("ChoiceSettingCollection", "choiceSettingCollectionValueTemplate"),
    Kind.SIMPLE_STRING: ("SimpleSetting", "simpleSettingValueTemplate"),
    Kind.SIMPLE_INTEGER: ("SimpleSetting", "simpleSettingValueTemplate"),
    Kind.SIMPLE_SECRET: ("SimpleSetting", "simpleSettingValueTemplate"),
    Kind.SIMPLE_STRING_COLLECTION: ("SimpleSettingCollection", "simpleSettingCollectionValueTemplate"),
    Kind.GROUP: ("GroupSetting", "groupSettingValueTemplate"),
    Kind.GROUP_COLLECTION: ("GroupSettingCollection", "groupSettingCollectionValueTemplate"),
}
"""How the type of an instance template begins, and the member that holds its value templates."""

_COLLECTIONS: Final = frozenset({Kind.CHOICE_COLLECTION, Kind.SIMPLE_STRING_COLLECTION, Kind.GROUP_COLLECTION})


def template_resource(template: PolicyTemplate) -> Json:
    """Shape a deviceManagementConfigurationPolicyTemplate, without its setting templates."""
    return {
        "id": template.id,
        "baseId": template.base_id,
        "version": template.version,
        "displayName": template.display_name,
        "displayVersion": template.display_version,
        "description": template.description,
        "lifecycleState": "active",
        "platforms": template.platforms,
        "technologies": template.technologies,
        "templateFamily": template.family,
        "allowUnmanagedSettings": False,
        "disableEntraGroupPolicyAssignment": False,
        "settingTemplateCount": len(template.settings),
        "shieldwall": {
            "supported": template.supported,
            "otherTechnologies": list(template.other_technologies),
            "confidence": template.confidence,
            "note": template.note,
        },
    }


def setting_template_resources(catalog: Catalog, template: PolicyTemplate) -> list[Json]:
    """Shape the deviceManagementConfigurationSettingTemplates of a policy template; ids count from "0"."""
    return [
        {
            "@odata.type": PREFIX + "SettingTemplate",
            "id": str(position),
            "settingInstanceTemplate": _instance_template(catalog, catalog.definition(setting.definition), setting),
            "shieldwall": {"confidence": setting.confidence},
        }
        for position, setting in enumerate(template.settings)
    ]


def _instance_template(catalog: Catalog, definition: SettingDefinition, setting: SettingTemplate | None) -> Json:
    """Shape an instance template. Members of a group have none of their own; whether they must stand says the group."""
    name, member = _KINDS[definition.kind]
    value = _value_template(catalog, definition, setting)
    shape: Json = {
        "@odata.type": f"{PREFIX}{name}InstanceTemplate",
        "settingInstanceTemplateId": setting.instance_template if setting else None,
        "settingDefinitionId": definition.id,
        "isRequired": setting.required if setting else _is_required(catalog, definition),
        member: [value] if definition.kind in _COLLECTIONS else value,
    }
    if definition.kind in _COLLECTIONS:
        shape["allowUnmanagedValues"] = True
    return shape


def _is_required(catalog: Catalog, definition: SettingDefinition) -> bool:
    parents = (catalog.definition(each.parent) for each in definition.depends_on)
    return any(definition.id in parent.required_children for parent in parents)


def _value_template(catalog: Catalog, definition: SettingDefinition, setting: SettingTemplate | None) -> Json:
    shape: Json = {"settingValueTemplateId": setting.value_template if setting else None}
    match definition.kind:
        case Kind.GROUP | Kind.GROUP_COLLECTION:
            members = (catalog.definition(child) for child in definition.children)
            kind = "GroupSettingValueTemplate"
            own: Json = {"children": [_instance_template(catalog, member, None) for member in members]}
        case Kind.CHOICE | Kind.CHOICE_COLLECTION:
            kind = "ChoiceSettingValueTemplate"
            own = _defaults("Choice", "settingDefinitionOptionId", definition, {"children": []})
        case Kind.SIMPLE_INTEGER:
            kind = "IntegerSettingValueTemplate"
            own = _defaults("Integer", "constantValue", definition)
        case _:
            kind = "StringSettingValueTemplate"
            own = _defaults("String", "constantValue", definition)
    return {"@odata.type": PREFIX + kind} | shape | own


def _defaults(kind: str, member: str, definition: SettingDefinition, more: Json | None = None) -> Json:
    default: Json | None = None
    if definition.default is not None:
        name = f"{PREFIX}{kind}SettingValueConstantDefaultTemplate"
        default = {"@odata.type": name, member: definition.default} | (more or {})
    return {"defaultValue": default, "recommendedValueDefinition": None, "requiredValueDefinition": None}
