"""Bodies as programs send them to the Graph front door."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Final

SAMPLES: Final = sorted((Path(__file__).parents[2] / "samples" / "policies").glob("*.json"))
POLICIES: Final = "/beta/deviceManagement/configurationPolicies"
PACKAGES: Final = "/beta/deviceManagement/onboardingPackages"
MANAGED_DEVICES: Final = "/beta/deviceManagement/managedDevices"
GROUPS: Final = "/v1.0/groups"
FILTERS: Final = "/beta/deviceManagement/assignmentFilters"
CONFLICT_RULES: Final = "/beta/deviceManagement/conflictRules"

_LEVEL: Final = "linux_mdatp_managed_antivirusengine_enforcementlevel"
_RETENTION: Final = "linux_mdatp_managed_antivirusengine_scanresultsretentiondays"


def sample(name: str) -> dict[str, Any]:
    """An exported policy of the samples."""
    document: dict[str, Any] = json.loads(next(file for file in SAMPLES if file.stem == name).read_text())
    return document


def a_policy(name: str = "Antivirus", option: str = "0", **changes: Any) -> dict[str, Any]:
    """A small policy for Linux antivirus."""
    body: dict[str, Any] = {
        "name": name,
        "platforms": "linux",
        "technologies": "microsoftSense",
        "templateReference": {"templateId": "4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1"},
        "settings": [chosen(_LEVEL, f"{_LEVEL}_{option}")],
    }
    return body | changes


def chosen(definition: str, option: str) -> dict[str, Any]:
    """A setting with one of its options chosen."""
    return {
        "settingInstance": {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance",
            "settingDefinitionId": definition,
            "choiceSettingValue": {"value": option, "children": []},
        }
    }


def retention(days: int) -> dict[str, Any]:
    """The setting that says how many days scan results are kept."""
    return {
        "settingInstance": {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance",
            "settingDefinitionId": _RETENTION,
            "simpleSettingValue": {
                "@odata.type": "#microsoft.graph.deviceManagementConfigurationIntegerSettingValue",
                "value": days,
            },
        }
    }


def a_group(name: str = "Servers", rule: str | None = None) -> dict[str, Any]:
    """A group, dynamic with a rule."""
    return {
        "displayName": name,
        "mailEnabled": False,
        "mailNickname": name.replace(" ", "").lower(),
        "securityEnabled": True,
        "groupTypes": ["DynamicMembership"] if rule else [],
        **({"membershipRule": rule, "membershipRuleProcessingState": "On"} if rule else {}),
    }


def to_group(group_id: str, *, excluded: bool = False) -> dict[str, Any]:
    """An assignment to a group, or away from it."""
    kind = "exclusionGroupAssignmentTarget" if excluded else "groupAssignmentTarget"
    return {"target": {"@odata.type": f"#microsoft.graph.{kind}", "groupId": group_id}}


def a_filter(
    name: str = "Edge", rule: str = '(device.displayName -startsWith "edge")', **changes: Any
) -> dict[str, Any]:
    """An assignment filter for Linux."""
    return {"displayName": name, "platform": "linux", "rule": rule} | changes


def narrowed(assignment: dict[str, Any], filter_id: str, kind: str = "include") -> dict[str, Any]:
    """An assignment that a filter narrows."""
    names = ("deviceAndAppManagementAssignmentFilterId", "deviceAndAppManagementAssignmentFilterType")
    return {"target": assignment["target"] | dict(zip(names, (filter_id, kind), strict=True))}


TO_ALL_DEVICES: Final = {"target": {"@odata.type": "#microsoft.graph.allDevicesAssignmentTarget"}}


def secrets_in(value: Any) -> list[dict[str, Any]]:
    """Every secret value inside settings."""
    if isinstance(value, list):
        return [secret for each in value for secret in secrets_in(each)]
    if not isinstance(value, dict):
        return []
    own = [value] if str(value.get("@odata.type")).endswith("SecretSettingValue") else []
    return own + secrets_in(list(value.values()))


def without_secrets(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Settings as they are read, but for secrets: in the place of each stands a token."""
    shown = copy.deepcopy(settings)
    for secret in secrets_in(shown):
        secret |= {"value": "a secret", "valueState": "encryptedValueToken"}
    return shown
