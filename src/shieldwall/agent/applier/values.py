"""Setting values as plain JSON: for reports, and to tell one set of values from another."""

from __future__ import annotations

from typing import Any

from shieldwall.agent.providers.base import Desired
from shieldwall.catalog.model import Catalog, Kind
from shieldwall.contract.ids import Digest, SettingId
from shieldwall.contract.strict_json import digest_of
from shieldwall.policy.values import Item, SettingValue

HIDDEN = "(secret)"


def plain(value: SettingValue) -> Any:
    """Write a value as plain JSON: an item as an object, a collection as a list."""
    match value:
        case Item(members=members):
            return {setting: plain(member) for setting, member in members}
        case tuple():
            return [plain(part) for part in value]
        case _:
            return value


def shown(catalog: Catalog, setting: SettingId, value: SettingValue | None) -> Any:
    """Write a value for a report, which no secret may enter."""
    definition = catalog.definitions.get(setting)
    if definition is not None and definition.kind is Kind.SIMPLE_SECRET and value is not None:
        return HIDDEN
    match value:
        case None:
            return None
        case Item(members=members):
            return {member: shown(catalog, member, content) for member, content in members}
        case tuple():
            return [shown(catalog, setting, part) for part in value]
        case _:
            return value


def digest_of_desired(desired: Desired) -> Digest:
    """Name a set of settings with their values; equal sets have equal names."""
    return digest_of({setting: plain(value) for setting, value in desired.items()})
