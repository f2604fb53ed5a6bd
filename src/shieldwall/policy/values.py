"""Setting values, flattened out of a policy document so that they can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

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
