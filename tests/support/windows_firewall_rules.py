"""Rules of the Windows firewall, built up member by member."""

from __future__ import annotations

from typing import Final

from tests.support import policies as p

from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.contract.settings import ChoiceCollectionSetting, ChoiceValue, SettingInstance

TEMPLATE: Final = TemplateId("19c8aa67-f286-4861-9aa0-f23541d31680_1")
RULES: Final = "vendor_msft_firewall_mdmstore_firewallrules_{firewallrulename}"

BLOCK, ALLOW = p.choice(f"{RULES}_action_type", "_0"), p.choice(f"{RULES}_action_type", "_1")
OUT, IN = p.choice(f"{RULES}_direction", "_out"), p.choice(f"{RULES}_direction", "_in")
TCP, UDP, ICMP = (p.number(f"{RULES}_protocol", number) for number in (6, 17, 1))


def rule(*members: SettingInstance, name: str = "A rule") -> tuple[SettingInstance, ...]:
    return (p.text(f"{RULES}_name", name), *members)


def local_ports(*ports: str) -> SettingInstance:
    return p.texts(f"{RULES}_localportranges", *ports)


def remote_ports(*ports: str) -> SettingInstance:
    return p.texts(f"{RULES}_remoteportranges", *ports)


def local(*addresses: str) -> SettingInstance:
    return p.texts(f"{RULES}_localaddressranges", *addresses)


def remote(*addresses: str) -> SettingInstance:
    return p.texts(f"{RULES}_remoteaddressranges", *addresses)


def program(path: str) -> SettingInstance:
    return p.text(f"{RULES}_app_filepath", path)


def service(name: str) -> SettingInstance:
    return p.text(f"{RULES}_app_servicename", name)


def several(name: str, *suffixes: str) -> SettingInstance:
    values = tuple(ChoiceValue(value=f"{RULES}_{name}{suffix}") for suffix in suffixes)
    return ChoiceCollectionSetting(definition=SettingId(f"{RULES}_{name}"), values=values)
