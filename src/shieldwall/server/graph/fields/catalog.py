"""Fields of the settings catalog: definitions, categories, templates, and what is in effect on a device."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.fields.described import described
from shieldwall.server.graph.fields.words import PLATFORMS, TECHNOLOGIES
from shieldwall.server.graph.odata import fields
from shieldwall.server.graph.odata.fields import FieldMap, Property
from shieldwall.server.graph.schemas.definitions import CATEGORY, DEFINITION
from shieldwall.server.graph.schemas.devices import EFFECTIVE_SETTING, ORGANIZATION
from shieldwall.server.graph.schemas.templates import SETTING_TEMPLATE, TEMPLATE
from shieldwall.server.openapi.shapes import Component

_NAMED: Final = {"displayName": "displayName", "name": "name", "description": "description"}


def _of_every_kind(component: Component) -> tuple[Property, ...]:
    """Return the members of all the kinds that a resource may be of; the first that has a name says what it is."""
    found: dict[str, Property] = {}
    for kind in component.schema.get("oneOf", [component]):
        for each in described(kind):
            found.setdefault(each.name, each)
    return tuple(found.values())


_DEFINITION: Final[tuple[Property, ...]] = (
    fields.flags("accessTypes", ("none", "add", "copy", "delete", "get", "replace", "execute")),
    fields.flags("settingUsage", ("none", "configuration", "compliance", "reusableSetting")),
    fields.flags("visibility", ("none", "settingsCatalog", "template")),
    fields.within(
        "applicability",
        fields.flags("platform", PLATFORMS),
        fields.flags("technologies", TECHNOLOGIES),
        fields.text("description"),
        fields.text("deviceMode"),
        fields.text("minimumSupportedVersion"),
        fields.text("maximumSupportedVersion"),
        fields.boolean("requiresAzureAd"),
    ),
)
DEFINITION_FIELDS: Final = FieldMap((*_of_every_kind(DEFINITION), *_DEFINITION), searched=_NAMED)
CATEGORY_FIELDS: Final = described(CATEGORY, searched=_NAMED)
TEMPLATE_FIELDS: Final = described(TEMPLATE, *fields.shown("settingTemplates"), searched={"displayName": "displayName"})
SETTING_TEMPLATE_FIELDS: Final = described(
    SETTING_TEMPLATE,
    fields.within(
        "settingInstanceTemplate",
        fields.text("settingDefinitionId"),
        fields.text("settingInstanceTemplateId"),
        fields.boolean("isRequired"),
    ),
    *fields.shown("settingDefinitions"),
)
EFFECTIVE_SETTING_FIELDS: Final = described(EFFECTIVE_SETTING)
ORGANIZATION_FIELDS: Final = described(
    ORGANIZATION, *fields.shown("assignedPlans", "tenantType", "countryLetterCode", "onPremisesSyncEnabled")
)
