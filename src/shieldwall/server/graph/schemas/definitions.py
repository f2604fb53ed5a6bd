"""Setting definitions and categories (``graph.definition_shapes``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shieldwall.catalog.model import Limits, Requirement, Strength, WindowsLanding
from shieldwall.catalog.vocabulary import Confidence, Kind, Merge, Tamper
from shieldwall.server.graph.schemas.resource import resource
from shieldwall.server.graph.setting_types import PREFIX
from shieldwall.server.openapi.shapes import (
    COUNT,
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
    word,
)

TECHNOLOGIES: Final[Schema] = {"type": "string", "description": "Flags, separated by commas: `mdm,microsoftSense`."}
PLATFORM: Final[Schema] = {
    "type": "string",
    "description": "Flags, separated by commas: `linux`, `windows10`, `macOS`.",
}

PLAIN_VALUE: Final = Component(
    "PlainSettingValue",
    tagged(
        "@odata.type",
        {
            f"{PREFIX}{name}": Component(
                f"Plain{name}",
                record(
                    {
                        "@odata.type": constant(f"{PREFIX}{name}"),
                        "settingValueTemplateReference": {"type": "null"},
                        "value": value,
                    }
                ),
            )
            for name, value in (("StringSettingValue", TEXT), ("IntegerSettingValue", NUMBER))
        },
        "A value that stands in a definition and not in a policy.",
    ),
)
_DEPENDENT_ON: Final = list_of(Component("DependentOn", record({"dependentOn": TEXT, "parentSettingId": TEXT})))
_DEPENDED_ON_BY: Final = list_of(Component("DependedOnBy", record({"dependedOnBy": TEXT, "required": FLAG})))
_OPTION: Final = Component(
    "SettingOption",
    record(
        {
            "itemId": TEXT,
            "name": TEXT,
            "displayName": TEXT,
            "description": TEXT,
            "helpText": TEXT,
            "optionValue": PLAIN_VALUE,
            "dependentOn": _DEPENDENT_ON,
            "dependedOnBy": _DEPENDED_ON_BY,
        }
    ),
)
_VALUE_DEFINITION: Final = Component(
    "SettingValueDefinition",
    tagged(
        "@odata.type",
        {
            f"{PREFIX}IntegerSettingValueDefinition": Component(
                "IntegerSettingValueDefinition",
                record(
                    {
                        "@odata.type": constant(f"{PREFIX}IntegerSettingValueDefinition"),
                        "minimumValue": nullable(NUMBER),
                        "maximumValue": nullable(NUMBER),
                    }
                ),
            ),
            f"{PREFIX}StringSettingValueDefinition": Component(
                "StringSettingValueDefinition",
                record(
                    {
                        "@odata.type": constant(f"{PREFIX}StringSettingValueDefinition"),
                        "format": word("none"),
                        "inputValidationSchema": nullable(TEXT),
                        "isSecret": FLAG,
                        "minimumLength": COUNT,
                        "maximumLength": COUNT,
                        "fileTypes": list_of(TEXT),
                    }
                ),
            ),
        },
    ),
)


def _applicability(name: str, more: Mapping[str, Schema]) -> Component:
    return Component(
        name,
        record(
            {
                "@odata.type": constant(PREFIX + name),
                "description": {"type": "null"},
                "platform": PLATFORM,
                "technologies": TECHNOLOGIES,
                "deviceMode": word("none"),
                **more,
            }
        ),
    )


_WINDOWS: Final[Mapping[str, Schema]] = {
    "minimumSupportedVersion": nullable(TEXT),
    "maximumSupportedVersion": {"type": "null"},
    "windowsSkus": list_of(TEXT),
    "requiresAzureAd": FLAG,
    "requiredAzureAdTrustType": word("none"),
    "configurationServiceProviderVersion": {"type": "null"},
}
_APPLICABILITY: Final = tagged(
    "@odata.type",
    {
        PREFIX + name: _applicability(name, more)
        for name, more in (
            ("SettingApplicability", {}),
            ("LinuxSettingApplicability", {}),
            ("WindowsSettingApplicability", _WINDOWS),
        )
    },
)
_FACTS: Final = Component(
    "SettingFacts",
    record(
        {
            "kind": word(Kind),
            "category": TEXT,
            "family": nullable(TEXT),
            "landing": nullable(TEXT),
            "landingType": nullable(TEXT),
            "landingDefault": {"type": ["string", "integer", "boolean", "null"]},
            "windows": {"anyOf": [WindowsLanding, {"type": "null"}]},
            "minimumVersion": nullable(TEXT),
            "merge": word(Merge),
            "strength": {"anyOf": [Strength, {"type": "null"}]},
            "limits": {"allOf": [Limits]},
            "requires": {"type": "array", "items": Requirement},
            "tamperProtected": word(Tamper),
            "supported": FLAG,
            "deprecated": FLAG,
            "mayNeedRestart": FLAG,
            "untilRestart": said(list_of(TEXT), "Options that hold until the next restart, whatever policies say."),
            "since": TEXT,
            "confidence": word(Confidence),
            "note": nullable(TEXT),
        },
        meaning="What we know beyond Graph: where a setting lands, how it is decided, how well it is founded.",
    ),
)
_COMMON: Final[Mapping[str, Any]] = {
    "id": TEXT,
    "name": TEXT,
    "displayName": TEXT,
    "description": TEXT,
    "helpText": TEXT,
    "keywords": list_of(TEXT),
    "infoUrls": list_of(TEXT),
    "baseUri": nullable(TEXT),
    "offsetUri": nullable(TEXT),
    "rootDefinitionId": TEXT,
    "categoryId": TEXT,
    "version": TEXT,
    "accessTypes": {"type": "string", "description": "Flags, separated by commas."},
    "settingUsage": word("configuration", "reusableSetting"),
    "visibility": word("none", "template"),
    "uxBehavior": word("default", "dropdown", "smallTextBox", "largeTextBox", "multiheaderGrid"),
    "riskLevel": word("low", "high"),
    "occurrence": record({"minDeviceOccurrence": COUNT, "maxDeviceOccurrence": nullable(COUNT)}),
    "referredSettingInformationList": list_of(TEXT),
    "applicability": _APPLICABILITY,
    "shieldwall": _FACTS,
}
_CHOICE: Final[Mapping[str, Any]] = {"options": list_of(_OPTION), "defaultOptionId": nullable(TEXT)}
_DEPENDENT: Final[Mapping[str, Any]] = {"dependentOn": _DEPENDENT_ON, "dependedOnBy": _DEPENDED_ON_BY}
_SIMPLE: Final[Mapping[str, Any]] = {
    "valueDefinition": _VALUE_DEFINITION,
    "defaultValue": nullable(PLAIN_VALUE),
    **_DEPENDENT,
}
_GROUP: Final[Mapping[str, Any]] = {"childIds": list_of(TEXT), **_DEPENDENT}
_COUNTED: Final[Mapping[str, Any]] = {"minimumCount": COUNT, "maximumCount": nullable(COUNT)}
_KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ChoiceSettingDefinition": _CHOICE,
    "ChoiceSettingCollectionDefinition": {**_CHOICE, **_COUNTED},
    "SimpleSettingDefinition": _SIMPLE,
    "SimpleSettingCollectionDefinition": {**_SIMPLE, **_COUNTED},
    "SettingGroupDefinition": _GROUP,
    "SettingGroupCollectionDefinition": {**_GROUP, **_COUNTED},
}


def _definition(name: str, own: Mapping[str, Any]) -> Component:
    made = resource(name, {"@odata.type": constant(PREFIX + name), **_COMMON, **own})
    made.schema["required"].append("@odata.type")
    return made


DEFINITION: Final = Component(
    "SettingDefinition",
    tagged("@odata.type", {PREFIX + name: _definition(name, own) for name, own in _KINDS.items()}),
)
CATEGORY: Final = resource(
    "SettingCategory",
    {
        "@odata.type": constant(f"{PREFIX}Category"),
        "id": TEXT,
        "name": TEXT,
        "displayName": TEXT,
        "description": TEXT,
        "helpText": TEXT,
        "categoryDescription": TEXT,
        "platforms": PLATFORM,
        "technologies": TECHNOLOGIES,
        "settingUsage": word("configuration"),
        "parentCategoryId": nullable(TEXT),
        "rootCategoryId": TEXT,
        "childCategoryIds": list_of(TEXT),
    },
    meaning="Settings that belong together.",
)
