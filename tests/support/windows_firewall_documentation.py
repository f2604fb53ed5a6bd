"""The tables of ``docs/windows-macos.md`` about the firewall and about Defender for Endpoint on Windows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from tests.support.documentation import table

from shieldwall.agent.providers.windows_edr import writing as edr
from shieldwall.agent.providers.windows_firewall.places import (
    MDM_STORE,
    RULES,
    Place,
    place_of,
    value_at,
    why_nowhere,
)
from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog, SettingDefinition
from shieldwall.contract.ids import SettingId, TemplateId

FIREWALL: Final = TemplateId("6078910e-d808-4a9f-a51d-1b8a7bacb7c0_1")
EDR: Final = TemplateId("0385b795-0f2f-44ac-8602-9f65bf6adede_1")
_MEMBERS: Final = {
    "action_type": ("`Action=`", "Action"),
    "app_filepath": ("`App=`", "Program (Get-NetFirewallApplicationFilter)"),
    "app_fqbn": ("nowhere: nothing is published about it", ""),
    "app_packagefamilyname": (
        "`AppPkgId=`, the identifier made of the name",
        "Package (Get-NetFirewallApplicationFilter)",
    ),
    "app_servicename": ("`Svc=`", "Service (Get-NetFirewallServiceFilter)"),
    "description": ("`Desc=`", "Description"),
    "direction": ("`Dir=`", "Direction"),
    "edgetraversal": ("`Edge=`", "EdgeTraversalPolicy"),
    "enabled": ("`Active=`", "Enabled"),
    "firewallrulename": ("the value's own name instead, `Shieldwall-` and a digest of the rule", "Name"),
    "icmptypesandcodes": ("`ICMP4=`, `ICMP6=`", "IcmpType (Get-NetFirewallPortFilter)"),
    "interfacetypes": ("`IFType=`; mobile broadband nowhere", "InterfaceType (Get-NetFirewallInterfaceTypeFilter)"),
    "localaddressranges": ("`LA4=`, `LA6=`", "LocalAddress (Get-NetFirewallAddressFilter)"),
    "localportranges": ("`LPort=`, `LPort2_10=`", "LocalPort (Get-NetFirewallPortFilter)"),
    "localuserauthorizedlist": ("`LUAuth=`", "LocalUser (Get-NetFirewallSecurityFilter)"),
    "name": ("`Name=`", "DisplayName"),
    "policyappid": ("nowhere: nothing is published about it", ""),
    "profiles": ("`Profile=`", "Profile"),
    "protocol": ("`Protocol=`", "Protocol (Get-NetFirewallPortFilter)"),
    "remoteaddressdynamickeywords": ("the server puts addresses in its place", ""),
    "remoteaddressranges": ("`RA4=`, `RA6=`, `RA42=`, `RA62=`", "RemoteAddress (Get-NetFirewallAddressFilter)"),
    "remoteportranges": ("`RPort=`, `RPort2_10=`", "RemotePort (Get-NetFirewallPortFilter)"),
}
"""Of every member of a rule: the field of the rule's text, and where a cmdlet shows it."""
_EDR: Final = {
    edr.TYPE: ("with the package that it asks for", "see the packages"),
    edr.ONBOARDING: (f"`{edr.ONBOARDING_VALUE}`", 'Value `OnboardingState`: `reg query "{status}"`'),
    edr.OFFBOARDING: (f"`{edr.OFFBOARDING_VALUE}`", 'Value `OnboardingState`: `reg query "{status}"`'),
    edr.SAMPLES: (f"`{edr.SAMPLES_VALUE}`", "`reg query` of the policy's key; Defender shows it nowhere"),
    edr.FROM_CONNECTOR: ("nowhere: only a connected service knows the package", ""),
    edr.FREQUENCY: ("nowhere: withdrawn", ""),
}
_STATUS: Final = r"HKLM\SOFTWARE\Microsoft\Windows Advanced Threat Protection\Status"


@cache
def _catalog() -> Catalog:
    return load(platform="windows")


def firewall_tables() -> dict[str, str]:
    """Write where each setting lands and how a person sees it on a real machine."""
    columns = ("Setting", "Lands at", "To see it on the machine")
    members = [_catalog().definition(member) for member in _catalog().definition(RULES).nested()]
    return {
        "windows-firewall-settings": table(columns, _settings()),
        "windows-firewall-rules": table(
            ("Member of a rule", "Field", "`Get-NetFirewallRule` and its filters show"),
            [
                (_named(member), *_MEMBERS[member.id.removeprefix(f"{RULES}_")])
                for member in sorted(members, key=lambda each: each.id)
            ],
        ),
        "windows-edr-settings": table(
            columns, [(_named(_catalog().definition(each)), *_of_edr(each)) for each in sorted(_within(EDR))]
        ),
    }


def _settings() -> Iterator[tuple[str, str, str]]:
    for setting in _within(FIREWALL):
        definition, found = _catalog().definition(setting), place_of(setting)
        nowhere = why_nowhere(setting) or ("" if definition.supported else "This channel does not deliver it.")
        if found is None or nowhere:
            yield _named(definition), f"nowhere: {nowhere[:1].lower()}{nowhere[1:]}", ""
        else:
            key, name = value_at(MDM_STORE, *found)
            yield _named(definition), f"`{key}\\{name}`" if key else f"`{name}`", _shown(*found)


def _shown(profile: str, place: Place) -> str:
    if not place.property:
        return "only the value itself, by `reg query`"
    asked = f"Get-NetFirewallProfile {profile}" if profile else "Get-NetFirewallSetting"
    turned = ", turned around" if place.answer == "opposite" else ""
    return f"`({asked} -PolicyStore ActiveStore).{place.property}`{turned}"


def _of_edr(setting: SettingId) -> tuple[str, str]:
    lands, shown = _EDR[setting]
    return lands, shown.format(status=_STATUS)


def _named(definition: SettingDefinition) -> str:
    return f"{definition.display_name}<br>`{definition.id}`"


def _within(template: TemplateId) -> Iterator[SettingId]:
    waiting = [setting.definition for setting in _catalog().template(template).settings]
    seen: set[SettingId] = set()
    while waiting:
        setting = waiting.pop(0)
        if setting not in seen:
            seen.add(setting)
            yield setting
            waiting += _catalog().definition(setting).nested()
