"""Whose a value of the firewall is that is not ours: Group Policy's, a local administrator's, or Windows' own. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.registry import RegistryValue, document_path
from shieldwall.agent.host.registry.model import same_name
from shieldwall.agent.providers import registry_values
from shieldwall.agent.providers.base import Desired, Files, Other, Whose
from shieldwall.agent.providers.windows_firewall.places import (
    GROUP_POLICY_STORE,
    PROFILES,
    SUMS,
    Place,
    place_of,
    value_at,
)
from shieldwall.agent.providers.windows_firewall.writing import numbers_of
from shieldwall.catalog.model import Catalog, Kind, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import SettingValue

_LOCAL: Final = r"HKLM\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy"
LOCAL: Final[Mapping[str, PurePosixPath]] = {
    profile: document_path(rf"{_LOCAL}\{'Standard' if profile == 'Private' else profile}Profile")
    for profile in PROFILES.values()
}
"""What a local administrator set, by profile; each document is one profile."""


def local(catalog: Catalog, files: Files) -> Desired:
    """Read what a local administrator set. Raises: HostError: no document."""
    held = {profile: registry_values.read(files.get(path)) for profile, path in LOCAL.items()}
    found: dict[SettingId, SettingValue] = {}
    for setting, profile, place in _placed(catalog):
        at = same_name(place.below), same_name(place.name)
        if profile and (value := _value(catalog, setting, place, held[profile].get(at))) is not None:
            found[setting] = value
    return found


def others(catalog: Catalog, group_policy: bytes | None, by_local: Desired) -> Mapping[SettingId, Other]:
    """Name the values of Group Policy, and those of Windows itself where nobody says anything.

    Raises: HostError: no document.
    """
    held = registry_values.read(group_policy)
    found: dict[SettingId, Other] = {}
    for setting, profile, place in _placed(catalog):
        key, name = value_at(GROUP_POLICY_STORE, profile, place)
        said = _value(catalog, setting, place, held.get((same_name(key), same_name(name))))
        default = _default(catalog.definition(setting))
        if said is not None:
            found[setting] = Other(whose=Whose.GROUP_POLICY, value=said)
        elif setting not in by_local and default is not None:
            found[setting] = Other(whose=Whose.PRODUCT, value=default)
    return found


def _placed(catalog: Catalog) -> list[tuple[SettingId, str, Place]]:
    found = ((setting, place_of(setting)) for setting in catalog.definitions)
    return [(setting, *place) for setting, place in found if place is not None]


def _value(catalog: Catalog, setting: SettingId, place: Place, held: RegistryValue | None) -> SettingValue | None:
    if held is None or isinstance(held.data, str) != place.is_text:
        return None
    if not isinstance(held.data, int):
        return held.data if isinstance(held.data, str) else None
    definition = catalog.definition(setting)
    if definition.kind is Kind.SIMPLE_INTEGER:
        return held.data
    numbers = {option.item_id: numbers_of(definition, (option.item_id,)) for option in definition.options}
    if setting.rpartition("_")[2] in SUMS:
        bits = {item: number[0] for item, number in numbers.items() if number}
        return tuple(sorted(item for item, bit in bits.items() if (held.data & bit if bit else not held.data)))
    return next((item for item, number in numbers.items() if number == (held.data,)), None)


def _default(definition: SettingDefinition) -> SettingValue | None:
    default = definition.default
    return (default,) if definition.kind is Kind.CHOICE_COLLECTION and default is not None else default
