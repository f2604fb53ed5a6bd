"""From settings to values of the store with our notes, and back. Pure.

Several spellings of a rule mean the same, so the store alone cannot say what a policy said. That stands in notes of our
own, and is believed only where the store holds exactly what it leads to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.host.registry import RegistryValue
from shieldwall.agent.host.registry.model import same_name
from shieldwall.agent.providers import registry_values
from shieldwall.agent.providers.base import Desired, Files
from shieldwall.agent.providers.windows_firewall import grammar, rules
from shieldwall.agent.providers.windows_firewall.places import (
    RECORDS,
    RULES,
    RULES_KEY,
    Place,
    PolicyStore,
    place_of,
    value_at,
)
from shieldwall.agent.providers.windows_firewall.plain import noted, read_note
from shieldwall.catalog.model import Catalog, Kind, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.policy.values import Item, SettingValue

Values = dict[tuple[str, str], RegistryValue]
Rejected = dict[SettingId, tuple[ItemStatus, ...]]

ORDER: Final = "rules"
"""The note that names the rules in their order; it is there where rules are asked for, even if none."""
_BOOLEANS: Final = {"false": 0, "true": 1}
_DWORD: Final = 2**32


class Written(Struct):
    """Values for the store, notes beside them, and what could not be written."""

    store: Values = field(default_factory=dict)
    notes: Values = field(default_factory=dict)
    rejected: Rejected = field(default_factory=dict)


def written(catalog: Catalog, store: PolicyStore, desired: Desired) -> Written:
    """Write settings down; each rule that cannot be is left out by itself."""
    result = Written()
    for setting in sorted(desired):
        value, found = desired[setting], place_of(setting)
        if setting == RULES:
            _write_rules(result, value)
        elif found is not None:
            held = _held(catalog, setting, found[1], value)
            if isinstance(held, RegistryValue):
                result.store[value_at(store, *found)] = held
                result.notes["", setting] = RegistryValue.text(noted(value))
            else:
                result.rejected[setting] = (_invalid(value, held),)
    return result


def read(catalog: Catalog, store: PolicyStore, files: Files) -> Desired:
    """Read back every setting of our notes that the store holds exactly. Raises: HostError: no document."""
    held, notes = registry_values.read(files.get(store.path)), registry_values.read(files.get(RECORDS))
    found: dict[SettingId, SettingValue] = {}
    for setting in catalog.definitions:
        place = place_of(setting)
        value = _noted(notes, setting) if place is not None else None
        if place is not None and value is not None:
            wanted = _held(catalog, setting, place[1], value)
            if isinstance(wanted, RegistryValue) and held.get(_folded(*value_at(store, *place))) == wanted:
                found[setting] = value
    order = _noted(notes, ORDER)
    if isinstance(order, tuple):
        found[RULES] = tuple(item for name in order if (item := _noted_rule(notes, held, str(name))) is not None)
    return found


def rules_in(files: Files, store: PolicyStore) -> Mapping[str, str]:
    """Return the rules of anybody that are in the store, by the names of their values as they are compared."""
    key = same_name(RULES_KEY)
    return {
        name: value.data
        for (below, name), value in registry_values.read(files.get(store.path)).items()
        if below == key and isinstance(value.data, str)
    }


def _write_rules(result: Written, value: SettingValue) -> None:
    items = value if isinstance(value, tuple) else (value,)
    order: list[SettingValue] = []
    refused: list[ItemStatus] = []
    for item in items:
        try:
            rule = rules.rule_of(item)
        except rules.UnusableRuleError as error:
            refused.append(rules.refused(item, error))
            continue
        assert isinstance(item, Item)  # nothing else is a rule
        name = rules.id_of(item)
        order.append(name)
        result.store[RULES_KEY, name] = RegistryValue.text(grammar.render(rule))
        result.notes["", name] = RegistryValue.text(noted(item))
    result.notes["", ORDER] = RegistryValue.text(noted(tuple(order)))
    if refused:
        result.rejected[RULES] = tuple(refused)


def _noted_rule(notes: Mapping[tuple[str, str], RegistryValue], held: Values, name: str) -> Item | None:
    item = _noted(notes, name)
    if not isinstance(item, Item) or rules.id_of(item) != name:
        return None
    try:
        wanted = RegistryValue.text(grammar.render(rules.rule_of(item)))
    except rules.UnusableRuleError:
        return None
    return item if held.get(_folded(RULES_KEY, name)) == wanted else None


def _noted(notes: Mapping[tuple[str, str], RegistryValue], name: str) -> SettingValue | None:
    note = notes.get(_folded("", name))
    return None if note is None or not isinstance(note.data, str) else read_note(note.data)


def _folded(key: str, name: str) -> tuple[str, str]:
    return same_name(key), same_name(name)


def _held(catalog: Catalog, setting: SettingId, place: Place, value: SettingValue) -> RegistryValue | str:
    """Return what the registry shall hold for a value, or what is wrong with the value."""
    definition = catalog.definition(setting)
    if place.is_text:
        if not isinstance(value, str) or not value or "\0" in value:
            return "No text that the registry can hold."
        return RegistryValue.text(value)
    match definition.kind, value:
        case Kind.CHOICE, str():
            numbers = numbers_of(definition, (value,))
        case Kind.CHOICE_COLLECTION, tuple():
            numbers = numbers_of(definition, value)
        case Kind.SIMPLE_INTEGER, int() if 0 <= value < _DWORD:
            numbers = (value,)
        case _:
            numbers = None
    if numbers is None:
        return f"{str(value)[:128]!r} is no value of this setting."
    number = 0
    for each in numbers:
        number |= each
    return RegistryValue.dword(number)


def numbers_of(definition: SettingDefinition, options: tuple[SettingValue, ...]) -> tuple[int, ...] | None:
    """Return what the registry holds for options; ``None`` when one of them is none."""
    numbers: list[int] = []
    for chosen in options:
        option = definition.option(chosen) if isinstance(chosen, str) else None
        if option is None:
            return None
        value = _BOOLEANS.get(option.value, -1) if isinstance(option.value, str) else int(option.value)
        if value < 0:
            return None
        numbers.append(value)
    return tuple(numbers)


def _invalid(value: SettingValue, fault: str) -> ItemStatus:
    return ItemStatus(item=str(value)[:256], state=SettingState.ERROR, code="invalidValue", reason=fault)
