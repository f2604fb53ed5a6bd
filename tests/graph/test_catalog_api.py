"""The catalog as Graph publishes it: definitions, categories, templates."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import POLICIES, a_policy, sample
from tests.support.policies import ANTIVIRUS, EXCLUSIONS, FIREWALL_RULES, LEVEL, RETENTION, RULES, catalog

from shieldwall.catalog.model import Kind, SettingDefinition
from shieldwall.server.graph.catalog_resources import CatalogResources

TEMPLATES = "/beta/deviceManagement/configurationPolicyTemplates"
DEFINITIONS = "/beta/deviceManagement/configurationSettings"
CATEGORIES = "/beta/deviceManagement/configurationCategories"
PREFIX = "#microsoft.graph.deviceManagementConfiguration"

EVERY_KIND = {
    "id",
    "name",
    "displayName",
    "description",
    "helpText",
    "keywords",
    "infoUrls",
    "baseUri",
    "offsetUri",
    "rootDefinitionId",
    "categoryId",
    "version",
    "accessTypes",
    "settingUsage",
    "visibility",
    "uxBehavior",
    "riskLevel",
    "occurrence",
    "referredSettingInformationList",
    "applicability",
    "shieldwall",
    "@odata.type",
}
COUNTS = {"minimumCount", "maximumCount"}
DEPENDENT = {"dependentOn", "dependedOnBy"}
OWN = {
    Kind.CHOICE: {"options", "defaultOptionId"},
    Kind.CHOICE_COLLECTION: {"options", "defaultOptionId"} | COUNTS,
    Kind.SIMPLE_STRING: {"valueDefinition", "defaultValue"} | DEPENDENT,
    Kind.SIMPLE_INTEGER: {"valueDefinition", "defaultValue"} | DEPENDENT,
    Kind.SIMPLE_SECRET: {"valueDefinition", "defaultValue"} | DEPENDENT,
    Kind.SIMPLE_STRING_COLLECTION: {"valueDefinition", "defaultValue"} | DEPENDENT | COUNTS,
    Kind.GROUP: {"childIds"} | DEPENDENT,
    Kind.GROUP_COLLECTION: {"childIds"} | DEPENDENT | COUNTS,
}

resources = CatalogResources(catalog())
definitions = pytest.mark.parametrize("definition", catalog().definitions.values(), ids=lambda each: each.id)


@definitions
def test_a_definition_has_the_members_of_its_kind_and_no_other(definition: SettingDefinition) -> None:
    assert set(resources.definitions[definition.id]) == EVERY_KIND | OWN[definition.kind]


@definitions
def test_dependencies_name_each_other(definition: SettingDefinition) -> None:
    shape = resources.definitions[definition.id]
    holders = [(definition.id, shape), *((option["itemId"], option) for option in shape.get("options", []))]
    for name, holder in holders:
        for below in holder.get("dependedOnBy", []):
            child = resources.definitions[below["dependedOnBy"]]
            way_up = child.get("dependentOn", child.get("options", [{}])[0].get("dependentOn"))
            assert {"dependentOn": name, "parentSettingId": definition.id} in way_up
    root = resources.definitions[shape["rootDefinitionId"]]
    assert root["rootDefinitionId"] == root["id"]


@definitions
def test_a_definition_is_found_in_its_category_and_under_its_technologies(definition: SettingDefinition) -> None:
    shape = resources.definitions[definition.id]

    category = resources.categories[shape["categoryId"]]
    assert category["displayName"] == definition.category
    assert category["platforms"] == shape["applicability"]["platform"] == definition.platform
    assert "microsoftSense" in shape["applicability"]["technologies"]


@definitions
def test_what_the_product_is_told_is_typed_as_graph_types_it(definition: SettingDefinition) -> None:
    for option in resources.definitions[definition.id].get("options", []):
        value = option["optionValue"]
        kind = "IntegerSettingValue" if isinstance(value["value"], int) else "StringSettingValue"
        assert value["@odata.type"] == PREFIX + kind
        assert not isinstance(value["value"], bool)
        if definition.platform != "windows10":
            assert isinstance(value["value"], str)


def test_a_number_says_its_range(embedded_graph: Client) -> None:
    shape = embedded_graph.get(f"{DEFINITIONS}/{RETENTION}").json()

    assert shape["@odata.type"] == f"{PREFIX}SimpleSettingDefinition"
    assert shape["valueDefinition"] == {
        "@odata.type": f"{PREFIX}IntegerSettingValueDefinition",
        "minimumValue": 1,
        "maximumValue": 180,
    }
    assert shape["shieldwall"]["landing"] == "antivirusEngine.scanResultsRetentionDays"


def test_our_own_facts_stand_apart(embedded_graph: Client) -> None:
    facts = embedded_graph.get(f"{DEFINITIONS}/{LEVEL}").json()["shieldwall"]

    assert facts["landing"] == "antivirusEngine.enforcementLevel"
    assert facts["merge"] == "mostSecure"
    assert facts["strength"]["options"][0] == f"{LEVEL}_0"
    assert facts["tamperProtected"] == "no"
    assert facts["since"] == "2026.11.1"


def test_a_template_offers_its_settings_with_the_ids_that_policies_refer_to(embedded_graph: Client) -> None:
    template = catalog().template(ANTIVIRUS)

    listed = embedded_graph.get(f"{TEMPLATES}/{ANTIVIRUS}/settingTemplates").json()["value"]

    assert [each["id"] for each in listed] == [str(number) for number in range(len(template.settings))]
    for shape, setting in zip(listed, template.settings, strict=True):
        instance = shape["settingInstanceTemplate"]
        assert instance["settingDefinitionId"] == setting.definition
        assert instance["settingInstanceTemplateId"] == setting.instance_template
        assert "settingDefinitions" not in shape


def test_instance_templates_of_a_group_hold_those_of_its_members(embedded_graph: Client) -> None:
    (offered,) = embedded_graph.get(f"{TEMPLATES}/{FIREWALL_RULES}/settingTemplates").json()["value"]

    instance = offered["settingInstanceTemplate"]
    assert instance["@odata.type"] == f"{PREFIX}GroupSettingCollectionInstanceTemplate"
    assert instance["allowUnmanagedValues"]
    (value,) = instance["groupSettingCollectionValueTemplate"]
    rules = catalog().definition(RULES)
    assert [child["settingDefinitionId"] for child in value["children"]] == list(rules.children)
    required = {child["settingDefinitionId"] for child in value["children"] if child["isRequired"]}
    assert required == set(rules.required_children)


def test_definitions_are_expanded_with_all_that_stands_inside(embedded_graph: Client) -> None:
    path = f"{TEMPLATES}/{ANTIVIRUS}/settingTemplates"

    listed = embedded_graph.get(path, params={"$expand": "settingDefinitions"}).json()["value"]

    by_setting = {each["settingInstanceTemplate"]["settingDefinitionId"]: each for each in listed}
    assert [each["id"] for each in by_setting[LEVEL]["settingDefinitions"]] == [LEVEL]
    inside = {each["id"] for each in by_setting[EXCLUSIONS]["settingDefinitions"]}
    assert {EXCLUSIONS, *catalog().definition(EXCLUSIONS).children} <= inside
    assert all(each["rootDefinitionId"] == EXCLUSIONS for each in by_setting[EXCLUSIONS]["settingDefinitions"])


def test_setting_templates_are_expanded_where_they_are_asked_for(embedded_graph: Client) -> None:
    plain = embedded_graph.get(f"{TEMPLATES}/{ANTIVIRUS}").json()
    expanded = embedded_graph.get(f"{TEMPLATES}/{ANTIVIRUS}", params={"$expand": "settingTemplates"}).json()
    listed = embedded_graph.get(TEMPLATES, params={"$expand": "settingTemplates"}).json()["value"]

    assert "settingTemplates" not in plain
    assert len(expanded.pop("settingTemplates")) == plain["settingTemplateCount"]
    assert expanded == plain
    assert all(len(each["settingTemplates"]) == each["settingTemplateCount"] for each in listed)
    assert plain["allowUnmanagedSettings"] is False
    assert plain["lifecycleState"] == "active"


def test_settings_of_a_policy_bring_their_definitions_when_asked(embedded_graph: Client) -> None:
    policy = embedded_graph.post(POLICIES, json=sample("linux-exclusions")).json()

    listed = embedded_graph.get(f"{POLICIES}/{policy['id']}/settings", params={"$expand": "settingDefinitions"}).json()[
        "value"
    ]

    assert [each.pop("settingDefinitions")[0]["id"] for each in listed] == [
        each["settingInstance"]["settingDefinitionId"] for each in policy["settings"]
    ]
    assert listed == policy["settings"]
    assert embedded_graph.post(POLICIES, json=a_policy(settings=[])).status_code == 201


def test_categories_lead_from_the_root_to_the_settings(embedded_graph: Client) -> None:
    listed: list[dict[str, Any]] = embedded_graph.get(CATEGORIES, params={"$top": 1000}).json()["value"]
    known = {each["id"]: each for each in listed}

    category = known[embedded_graph.get(f"{DEFINITIONS}/{LEVEL}").json()["categoryId"]]
    root = known[category["rootCategoryId"]]
    assert (root["displayName"], root["parentCategoryId"]) == ("Linux", "00000000-0000-0000-0000-000000000000")
    assert category["id"] in root["childCategoryIds"]
    assert embedded_graph.get(f"{CATEGORIES}/{category['id']}").json() == category


@pytest.mark.parametrize(
    "path", [f"{TEMPLATES}/x", f"{TEMPLATES}/x/settingTemplates", f"{DEFINITIONS}/x", f"{CATEGORIES}/x"]
)
def test_what_the_catalog_does_not_hold_is_not_found(embedded_graph: Client, path: str) -> None:
    assert embedded_graph.get(path).status_code == 404


def test_a_definition_is_found_by_its_key_in_brackets(embedded: AdminWorld, embedded_graph: Client) -> None:
    longest = max(embedded.services.catalog.definitions, key=len)

    assert embedded_graph.get(f"{DEFINITIONS}('{longest}')").json()["id"] == longest
