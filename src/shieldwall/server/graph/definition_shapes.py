"""Setting definitions and categories in Graph's shape; our own facts stand under ``shieldwall``."""

from __future__ import annotations

from typing import Final

import msgspec

from shieldwall.catalog.categories import Category, category_of
from shieldwall.catalog.model import Catalog, Dependency, Kind, Option, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import MAX_VALUE_LENGTH
from shieldwall.server.graph.setting_types import PREFIX, Json

_TYPES: Final = {
    Kind.CHOICE: "ChoiceSettingDefinition",
    Kind.CHOICE_COLLECTION: "ChoiceSettingCollectionDefinition",
    Kind.SIMPLE_STRING: "SimpleSettingDefinition",
    Kind.SIMPLE_INTEGER: "SimpleSettingDefinition",
    Kind.SIMPLE_SECRET: "SimpleSettingDefinition",
    Kind.SIMPLE_STRING_COLLECTION: "SimpleSettingCollectionDefinition",
    Kind.GROUP: "SettingGroupDefinition",
    Kind.GROUP_COLLECTION: "SettingGroupCollectionDefinition",
}
_CONTROLS: Final = {
    Kind.CHOICE: "dropdown",
    Kind.SIMPLE_STRING: "smallTextBox",
    Kind.SIMPLE_INTEGER: "smallTextBox",
    Kind.SIMPLE_SECRET: "smallTextBox",
    Kind.SIMPLE_STRING_COLLECTION: "largeTextBox",
    Kind.GROUP_COLLECTION: "multiheaderGrid",
}
_COLLECTIONS: Final = frozenset({Kind.CHOICE_COLLECTION, Kind.SIMPLE_STRING_COLLECTION, Kind.GROUP_COLLECTION})
_CHOICES: Final = frozenset({Kind.CHOICE, Kind.CHOICE_COLLECTION})
_GROUPS: Final = frozenset({Kind.GROUP, Kind.GROUP_COLLECTION})
_WINDOWS: Final = "windows10"
_APPLICABILITY: Final = {_WINDOWS: "WindowsSettingApplicability", "linux": "LinuxSettingApplicability"}


def definition_resource(catalog: Catalog, definition: SettingDefinition, technologies: str) -> Json:
    """Shape a deviceManagementConfigurationSettingDefinition: members of all kinds, then those of its own kind."""
    root = catalog.definition(root_of(catalog, definition))
    shape: Json = {
        "@odata.type": PREFIX + _TYPES[definition.kind],
        "id": definition.id,
        "name": _name(definition),
        "displayName": definition.display_name,
        "description": definition.description,
        "helpText": definition.note or "",
        "keywords": [],
        "infoUrls": [],
        "baseUri": definition.base_uri,
        "offsetUri": definition.offset_uri,
        "rootDefinitionId": root.id,
        "categoryId": category_of(definition),
        "version": definition.since,
        "accessTypes": "add,delete,get,replace",
        "settingUsage": "reusableSetting" if root.reusable else "configuration",
        "visibility": "none" if root.reusable else "template",
        "uxBehavior": _CONTROLS.get(definition.kind, "default"),
        "riskLevel": "high" if definition.strength is not None and definition.strength.connectivity else "low",
        "occurrence": {
            "minDeviceOccurrence": definition.minimum_count,
            "maxDeviceOccurrence": definition.maximum_count if definition.kind in _COLLECTIONS else 1,
        },
        "referredSettingInformationList": [],
        "applicability": _applicability(definition, technologies),
    }
    shape |= _own_members(definition)
    if definition.kind in _COLLECTIONS:
        shape |= {"minimumCount": definition.minimum_count, "maximumCount": definition.maximum_count}
    return shape | {"shieldwall": _facts(catalog, definition)}


def category_resource(category: Category, technologies: str) -> Json:
    """Shape a deviceManagementConfigurationCategory."""
    return {
        "@odata.type": PREFIX + "Category",
        "id": category.id,
        "name": category.name,
        "displayName": category.name,
        "description": "",
        "helpText": "",
        "categoryDescription": "",
        "platforms": category.platform,
        "technologies": technologies,
        "settingUsage": "configuration",
        "parentCategoryId": category.parent,
        "rootCategoryId": category.root,
        "childCategoryIds": list(category.children),
    }


def root_of(catalog: Catalog, definition: SettingDefinition) -> SettingId:
    """Return the setting at the top of a policy below which this one stands, itself where it stands there."""
    while definition.depends_on:
        definition = catalog.definitions[definition.depends_on[0].parent]
    return definition.id


def plain_value(kind: Kind, value: str | int) -> Json:
    """Shape a value that stands in a definition and not in a policy."""
    name = "IntegerSettingValue" if kind is Kind.SIMPLE_INTEGER else "StringSettingValue"
    return {"@odata.type": PREFIX + name, "settingValueTemplateReference": None, "value": value}


def _name(definition: SettingDefinition) -> str:
    return (definition.offset_uri or "").rpartition("/")[2] or definition.id


def _own_members(definition: SettingDefinition) -> Json:
    dependent = {"dependentOn": _dependent_on(definition.depends_on)}
    if definition.kind in _CHOICES:
        options = [_option(definition, option) for option in definition.options]
        return {"options": options, "defaultOptionId": definition.default}
    dependent["dependedOnBy"] = _depended_on_by(definition.children, definition.required_children)
    if definition.kind in _GROUPS:
        return {"childIds": list(definition.children)} | dependent
    default = None if definition.default is None else plain_value(definition.kind, definition.default)
    return {"valueDefinition": _value_definition(definition), "defaultValue": default} | dependent


def _option(definition: SettingDefinition, option: Option) -> Json:
    return {
        "itemId": option.item_id,
        "name": option.display_name,
        "displayName": option.display_name,
        "description": "",
        "helpText": "",
        "optionValue": _option_value(definition, option),
        "dependentOn": _dependent_on(definition.depends_on),
        "dependedOnBy": _depended_on_by(option.children, option.required_children),
    }


def _option_value(definition: SettingDefinition, option: Option) -> Json:
    """Write what the product is told. Only on Windows are there numbers; elsewhere Graph writes every value as text."""
    value = option.value
    if isinstance(value, bool):
        return plain_value(Kind.SIMPLE_STRING, "true" if value else "false")
    if isinstance(value, int) and definition.platform == _WINDOWS:
        return plain_value(Kind.SIMPLE_INTEGER, value)
    return plain_value(Kind.SIMPLE_STRING, str(value))


def _dependent_on(dependencies: tuple[Dependency, ...]) -> list[Json]:
    return [{"dependentOn": each.option or each.parent, "parentSettingId": each.parent} for each in dependencies]


def _depended_on_by(children: tuple[SettingId, ...], required: tuple[SettingId, ...]) -> list[Json]:
    return [{"dependedOnBy": child, "required": child in required} for child in children]


def _value_definition(definition: SettingDefinition) -> Json:
    limits = definition.limits
    if definition.kind is Kind.SIMPLE_INTEGER:
        return {
            "@odata.type": PREFIX + "IntegerSettingValueDefinition",
            "minimumValue": limits.minimum,
            "maximumValue": limits.maximum,
        }
    return {
        "@odata.type": PREFIX + "StringSettingValueDefinition",
        "format": "none",
        "inputValidationSchema": limits.pattern,
        "isSecret": definition.kind is Kind.SIMPLE_SECRET,
        "minimumLength": limits.minimum_length or 0,
        "maximumLength": MAX_VALUE_LENGTH if limits.maximum_length is None else limits.maximum_length,
        "fileTypes": [],
    }


def _applicability(definition: SettingDefinition, technologies: str) -> Json:
    shape: Json = {
        "@odata.type": PREFIX + _APPLICABILITY.get(definition.platform, "SettingApplicability"),
        "description": None,
        "platform": definition.platform,
        "technologies": technologies,
        "deviceMode": "none",
    }
    if definition.platform == _WINDOWS:
        shape |= {
            "minimumSupportedVersion": definition.minimum_version,
            "maximumSupportedVersion": None,
            "windowsSkus": [],
            "requiresAzureAd": False,
            "requiredAzureAdTrustType": "none",
            "configurationServiceProviderVersion": None,
        }
    return shape


def _facts(catalog: Catalog, definition: SettingDefinition) -> Json:
    """Write what we know beyond Graph: where a setting lands, how it is decided, and how well it is founded."""
    return {
        "kind": definition.kind,
        "category": definition.category,
        "family": catalog.families.get(definition.id),
        "landing": definition.landing,
        "landingType": definition.landing_type,
        "landingDefault": definition.landing_default,
        "windows": msgspec.to_builtins(definition.windows),
        "minimumVersion": definition.minimum_version,
        "merge": definition.merge,
        "strength": msgspec.to_builtins(definition.strength),
        "limits": msgspec.to_builtins(definition.limits),
        "requires": msgspec.to_builtins(definition.requires),
        "tamperProtected": definition.tamper_protected,
        "supported": definition.supported,
        "deprecated": definition.deprecated,
        "mayNeedRestart": definition.may_need_reboot,
        "untilRestart": [option.item_id for option in definition.until_restart],
        "since": definition.since,
        "confidence": definition.confidence,
        "note": definition.note,
    }
