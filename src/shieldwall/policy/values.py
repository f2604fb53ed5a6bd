"""Setting values, flattened out of a policy document so that they can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from shieldwall.contract.ids import SettingId


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a group: member values in the order of their ids. Hashable, so unions are sets."""

    members: tuple[tuple[SettingId, SettingValue], ...]

    def get(self, setting: SettingId) -> SettingValue | None:
        """Return the value of one member, ``None`` when the item does not have it."""
        return next((value for name, value in self.members if name == setting), None)


SettingValue: TypeAlias = "str | int | tuple[SettingValue, ...] | Item"
"""An option's item id or a text, a number, a collection, or an item. Never a bool: a choice is its item id."""


def order_key(value: SettingValue) -> tuple[Any, ...]:
    """Return a key by which any values, of whatever kind, have one order."""
    match value:
        case int():
            return (0, value)
        case str():
            return (1, value)
        case tuple():
            return (2, tuple(order_key(part) for part in value))
        case Item(members=members):
            return (3, tuple((name, order_key(member)) for name, member in members))


def as_set(values: Iterable[SettingValue]) -> tuple[SettingValue, ...]:
    """Return the values once each and in their one order."""
    return tuple(sorted(set(values), key=order_key))
