"""Setting values, flattened out of a policy document so that they can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from shieldwall.contract.ids import SettingId


class Item:
    """One item of a group: member values in the order of their ids. Immutable and hashable, so unions are sets.

    Hash and sort key are worked out once: lists of hundreds of items are united for every device.
    """

    __slots__ = ("_hash", "_key", "members")

    members: tuple[tuple[SettingId, SettingValue], ...]
    _hash: int
    _key: str | None

    def __init__(self, members: tuple[tuple[SettingId, SettingValue], ...]) -> None:
        object.__setattr__(self, "members", members)
        object.__setattr__(self, "_hash", hash(members))
        object.__setattr__(self, "_key", None)

    def get(self, setting: SettingId) -> SettingValue | None:
        """Return the value of one member, ``None`` when the item does not have it."""
        return next((value for name, value in self.members if name == setting), None)

    @property
    def sort_key(self) -> str:
        """A text by which items have one order, the same everywhere."""
        key = self._key
        if key is None:
            key = repr(self.members)
            object.__setattr__(self, "_key", key)
        return key

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: an item never changes."""
        raise AttributeError(f"{name} of an item cannot be set.")

    def __eq__(self, other: object) -> bool:
        """Say whether two items say the same."""
        return isinstance(other, Item) and self._hash == other._hash and self.members == other.members

    def __hash__(self) -> int:
        """Return the hash of what it says."""
        return self._hash

    def __repr__(self) -> str:
        """Show what it says."""
        return f"Item({self.members!r})"


SettingValue: TypeAlias = "str | int | tuple[SettingValue, ...] | Item"
"""An option's item id or a text, a number, a collection, or an item. Never a bool: a choice is its item id."""


def order_key(value: SettingValue) -> tuple[Any, ...]:
    """Return a key by which any values, of whatever kind, have one order."""
    match value:
        case Item():
            return (3, value.sort_key)
        case int():
            return (0, value)
        case str():
            return (1, value)
        case tuple():
            return (2, tuple(order_key(part) for part in value))


def as_set(values: Iterable[SettingValue]) -> tuple[SettingValue, ...]:
    """Return the values once each and in their one order."""
    return tuple(sorted(set(values), key=order_key))
