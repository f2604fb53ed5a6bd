"""From the settings at hand to what the script is made of, and what of them cannot be. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from shieldwall.agent.providers.base import Desired
from shieldwall.agent.providers.nftables.machine import Machine
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.script import Asked
from shieldwall.agent.providers.nftables.usable import sorted_out
from shieldwall.agent.providers.nftables.zones import (
    is_list,
    is_of_profile,
    unusable,
    unusable_entry,
    zone_setting,
)
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.policy.values import SettingValue


def asked_for(desired: Desired, machine: Machine) -> tuple[Asked, dict[SettingId, tuple[ItemStatus, ...]]]:
    """Part the settings into what can be expressed on this machine, and the rest with its reasons."""
    settings: dict[SettingId, SettingValue] = {}
    rejected: dict[SettingId, tuple[ItemStatus, ...]] = {}
    for name, value in desired.items():
        if not is_of_profile(name):
            continue
        kept, faults = _list(name, value) if is_list(name) else _single(name, value)
        if kept is not None:
            settings[name] = kept
        if faults:
            rejected[name] = faults
    if FIREWALL_RULES not in desired:
        return Asked(settings=settings, machine=machine), rejected
    parted = sorted_out(desired[FIREWALL_RULES], machine)
    if parted.rejected:
        rejected[FIREWALL_RULES] = parted.rejected
    return Asked(settings=settings, rules=parted.items, machine=machine), rejected


def conflicts(asked: Asked) -> Mapping[SettingId, tuple[ItemStatus, ...]]:
    """Name the tables of others, for every zone where a policy wants its own rules alone to count."""
    profile = asked.profile
    found = tuple(
        ItemStatus(
            item=f"{table.family} {table.name}",
            state=SettingState.CONFLICT,
            code="foreignTable",
            reason=f"This table of {table.manager} decides on the same packets. It was left as it is; remove it there.",
        )
        for table in asked.machine.foreign
    )
    return {
        zone_setting(zone, "allowlocalpolicymerge"): found
        for zone in profile.reachable
        if found and profile.zone(zone).filtering and not profile.zone(zone).local_merge
    }


def _list(name: SettingId, value: SettingValue) -> tuple[SettingValue, tuple[ItemStatus, ...]]:
    entries = value if isinstance(value, tuple) else (value,)
    faults = [(entry, unusable_entry(name, entry)) for entry in entries]
    good = tuple(entry for entry, fault in faults if fault is None)
    return good, tuple(_invalid(str(entry), fault) for entry, fault in faults if fault is not None)


def _single(name: SettingId, value: SettingValue) -> tuple[SettingValue | None, tuple[ItemStatus, ...]]:
    fault = unusable(name, value)
    return (value, ()) if fault is None else (None, (_invalid(str(value), fault),))


def _invalid(item: str, fault: str) -> ItemStatus:
    return ItemStatus(item=item[:1024], state=SettingState.ERROR, code="invalidValue", reason=fault[:1024])
