"""Setting values in words, as people see them in tables."""

from __future__ import annotations

from shieldwall.catalog.model import Catalog, Kind
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item, SettingValue


def name_of(catalog: Catalog, setting: SettingId) -> str:
    """Return a setting's display name; one that the catalog does not know goes by its id."""
    definition = catalog.definitions.get(setting)
    return definition.display_name if definition else setting


def in_words(catalog: Catalog, setting: SettingId, value: SettingValue) -> str:
    """Write a value on one line: options by their names, items member by member, secrets not at all."""
    definition = catalog.definitions.get(setting)
    match value:
        case Item():
            return ", ".join(
                f"{name_of(catalog, name)} {in_words(catalog, name, each)}" for name, each in value.members
            )
        case tuple():
            return "; ".join(in_words(catalog, setting, each) for each in value) or "none"
        case str() if definition is not None and (option := definition.option(value)):
            return option.display_name
        case _ if definition is not None and definition.kind is Kind.SIMPLE_SECRET:
            return "a secret"
        case _:
            return str(value)
