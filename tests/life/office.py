"""What the administrators of the scenario have set up before the first device comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.life import Life
from tests.support.manager_world import ANTIVIRUS, CLOUD, FIREWALL, FIREWALL_ON

from shieldwall.contract.ids import SettingId

LINUX = '(device.deviceOSType -eq "Linux") and (device.managementType -eq "MicrosoftSense")'


@dataclass(frozen=True)
class Office:
    """Groups and policies, by id."""

    managed: str
    named: str
    antivirus: str
    firewall: str
    setting: SettingId = CLOUD
    firewall_setting: SettingId = FIREWALL_ON


def set_up(life: Life) -> Office:
    """Make a dynamic group of all managed Linux devices, an assigned one, and policies for the former."""
    managed = life.group("Managed Linux", rule=LINUX)
    office = Office(
        managed=managed,
        named=life.group("Named by hand"),
        antivirus=_policy(life, "Antivirus", ANTIVIRUS, CLOUD),
        firewall=_policy(life, "Firewall", FIREWALL, FIREWALL_ON),
    )
    for policy in (office.antivirus, office.firewall):
        target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": managed}
        life.post(
            f"/beta/deviceManagement/configurationPolicies/{policy}/assign", {"assignments": [{"target": target}]}
        )
    return office


def _policy(life: Life, name: str, template: str, setting: str) -> str:
    option = "true" if setting == CLOUD else "false"
    instance: dict[str, Any] = {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance",
        "settingDefinitionId": setting,
        "choiceSettingValue": {"value": f"{setting}_{option}", "children": []},
    }
    body = {
        "name": name,
        "platforms": "linux",
        "technologies": "microsoftSense",
        "templateReference": {"templateId": template},
        "settings": [{"settingInstance": instance}],
    }
    made: dict[str, Any] = life.post("/beta/deviceManagement/configurationPolicies", body)
    return str(made["id"])
