"""Who else manages a device, who may be managed, and what that does to what is enforced."""

from __future__ import annotations

from typing import Any

from tests.life.ledger import Ledger, is_managed, is_untouched
from tests.life.office import Office
from tests.life.staying import newcomers
from tests.support.life import Life, LifeDevice

SCOPE = "/beta/deviceManagement/enforcementScope"


def be_in_scope(life: Life, office: Office, ledger: Ledger) -> None:
    """Surveys and scopes, one after the other."""
    managed_elsewhere(life, office, ledger)
    another_manager_comes(life, office, ledger)
    domain_controllers(life, office, ledger)
    tagged_devices(life, office, ledger)
    tenant_switch(life, office, ledger)
    groups_follow(life, office, ledger)


def managed_elsewhere(life: Life, office: Office, ledger: Ledger) -> None:
    """The agent stays passive, and the inventory says who manages the device and why."""
    kinds: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("intune", 3, {"manager": "mdm", "managed_elsewhere": "Microsoft Intune"}),
        ("microsoft", 3, {"manager": "microsoftChannel", "managed_elsewhere": "Microsoft's own channel"}),
        ("configmgr", 4, {"manager": "configurationManager", "managed_elsewhere": "Configuration Manager"}),
        ("desktop", 6, {"unsuitable": "nonPersistentDesktop"}),
        ("old-system", 5, {"unsuitable": "unsupportedOs"}),
    )
    for name, code, facts in kinds:
        devices = newcomers(life, name, 3, **facts)
        for device in devices:
            assert is_released(life, device, code)
            enrollment = life.managed(device)["shieldwall"]["enrollment"]
            assert enrollment["cause"]
            assert enrollment["remedy"]
        ledger.ended(f"is found by the survey: {name}", f"passive, enrollment status {code}", *devices)
    # Where Configuration Manager has no authority any more, its devices are taken, as far as nobody else is there.
    assert life.patch(SCOPE, {"configurationManagerAuthority": False})["effect"]
    for device in (each for each in ledger.devices if each.name.startswith("configmgr")):
        device.check_in()
        assert is_managed(life, device, office.setting)
    life.patch(SCOPE, {"configurationManagerAuthority": True})
    for device in (each for each in ledger.devices if each.name.startswith("configmgr")):
        device.check_in()
        assert is_released(life, device, 4)


def another_manager_comes(life: Life, office: Office, ledger: Ledger) -> None:
    """A managed device that an MDM takes over is let go of, and taken again when the MDM is gone."""
    devices = newcomers(life, "taken-over", 4)
    for device in devices:
        before = device.machine.said
        device.machine.say(manager="mdm", managed_elsewhere="Microsoft Intune")
        device.check_in()
        device.check_in()
        assert is_released(life, device, 3)
        device.machine.said = before
        device.check_in()
        device.check_in()
        assert is_managed(life, device, office.setting)
    ledger.ended("is taken over by an MDM, and given back", "released, then managed", *devices)


def domain_controllers(life: Life, office: Office, ledger: Ledger) -> None:
    """Taken only when enabled, and never with firewall policy."""
    devices = newcomers(life, "controller", 4, is_domain_controller=True)
    for device in devices:
        assert is_released(life, device, 2)
    preview = life.post(f"{SCOPE}/preview", {"includesDomainControllers": True})
    assert preview["taken"]["count"] == len(devices)
    life.patch(SCOPE, {"includesDomainControllers": True})
    for device in devices:
        device.check_in()
        assert is_managed(life, device, office.setting)
        assert office.firewall_setting not in device.products.now
    ledger.ended("is a domain controller", "managed once they are enabled, without firewall policy", *devices)


def tagged_devices(life: Life, office: Office, ledger: Ledger) -> None:
    """On tagged devices alone: the tag of an administrator, or one that a rule gives."""
    devices = newcomers(life, "untagged", 4)
    tagged, by_rule, *others = devices
    life.post(f"/beta/deviceManagement/managedDevices/{tagged.id}/changeTags", {"add": ["MDE-Management"]})
    rule = {"displayName": "By name", "rule": f'device.displayName -eq "{by_rule.name}"'}
    wanted = {"linux": "tagged", "dynamicTags": [rule]}
    said = life.post(f"{SCOPE}/preview", wanted)["released"]["count"]
    effect = life.patch(SCOPE, wanted)["effect"]
    assert effect["released"]["count"] == said > 0
    for device in devices:
        device.check_in()
    assert is_managed(life, tagged, office.setting)
    assert is_managed(life, by_rule, office.setting)
    for device in others:
        assert is_released(life, device, 2)
    ledger.ended("has no tag where tagged devices alone are taken", "released to its state from before", *others)
    ledger.ended("has the tag, by hand or by rule", "managed", tagged, by_rule)
    life.patch(SCOPE, {"linux": "all", "dynamicTags": []})
    for device in others:
        device.check_in()
        assert is_managed(life, device, office.setting)


def tenant_switch(life: Life, office: Office, ledger: Ledger) -> None:
    """Off for a platform, then off for the tenant, then on: released and taken again each time."""
    devices = newcomers(life, "switched", 4)
    for off, on, code in (({"linux": "off"}, {"linux": "all"}, 2), ({"isAllowed": False}, {"isAllowed": True}, 8)):
        life.patch(SCOPE, off)
        for device in devices:
            device.check_in()
            assert is_released(life, device, code)
        life.patch(SCOPE, on)
        for device in devices:
            device.check_in()
            assert is_managed(life, device, office.setting)
    ledger.ended("lives through switches of platform and tenant", "released and taken again", *devices)


def groups_follow(life: Life, office: Office, ledger: Ledger) -> None:
    """A device moves between dynamic groups as it changes; a paused group stays as it is."""
    group = life.group("Web servers", rule='device.displayName -match "^web-[0-9]+$" -or device.tags -eq "web"')
    devices = newcomers(life, "web", 4)
    assert {device.id for device in devices} == life.members(group)
    life.patch(f"/v1.0/groups/{group}", {"membershipRuleProcessingState": "Paused"})
    for device in devices:
        device.machine.say(display_name=f"db of {device.name}")
        device.check_in()
    assert {device.id for device in devices} == life.members(group)
    life.patch(f"/v1.0/groups/{group}", {"membershipRuleProcessingState": "On"})
    assert life.members(group) == set()
    life.post(f"/beta/deviceManagement/managedDevices/{devices[0].id}/changeTags", {"add": ["web"]})
    assert life.members(group) == {devices[0].id}
    history = life.get(f"/beta/groups/{group}/membershipHistory")["value"]
    assert len(history) == 2 * len(devices) + 1
    for device in devices:
        assert is_managed(life, device, office.setting)
    ledger.ended("moves between dynamic groups, also paused ones", "where the rule says, with its history", *devices)


def is_released(life: Life, device: LifeDevice, code: int) -> bool:
    """Whether a device is not managed, for this reason, and enforces nothing."""
    seen = life.managed(device)["shieldwall"]
    in_directory = life.get(f"/v1.0/devices(deviceId='{device.id}')")
    return (
        seen["enrollment"]["code"] == code
        and seen["managedBy"] != "MDE"
        and in_directory["managementType"] != "MicrosoftSense"
        and is_untouched(device)
    )
