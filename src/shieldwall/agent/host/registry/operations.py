"""What has to be done to bring one part of the registry into another state. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from shieldwall.agent.host.registry.model import RegistryValue, Tree, as_stored, folded, same_name, value_as_stored


class MakeKey(Struct, frozen=True):
    """Make a key, and those above it."""

    key: str


class SetValue(Struct, frozen=True):
    """Set a value of a key that exists."""

    key: str
    name: str
    value: RegistryValue


class DeleteValue(Struct, frozen=True):
    """Take a value away."""

    key: str
    name: str


class DeleteKey(Struct, frozen=True):
    """Take a key away that has no values and no keys any more."""

    key: str


Operation: TypeAlias = MakeKey | SetValue | DeleteValue | DeleteKey


def difference(before: Tree | None, after: Tree | None) -> tuple[Operation, ...]:
    """Return the operations, in an order in which each can be done; keys are relative, ``""`` is the document itself.

    A key is made before what is in it, and goes after it. What is equal is not touched, so nobody is woken by a value
    that was set to what it was.
    """
    old, new = folded(before or {}), folded(after or {})
    spelled = {same_name(key): key for tree in (after or {}, before or {}) for key in tree}
    makes = [MakeKey(spelled[key]) for key in sorted(new.keys() - old.keys(), key=_depth)]
    sets = [each for key in sorted(new) for each in _values(spelled[key], old.get(key, {}), new[key])]
    gone = sorted(old.keys() - new.keys(), key=_depth, reverse=True)
    empties = [DeleteValue(spelled[key], name) for key in gone for name, _ in old[key].values()]
    deletes = [DeleteKey(spelled[key]) for key in gone]
    return (*makes, *sets, *empties, *deletes)


def as_carried_out(operation: Operation) -> Operation:
    """Return an operation on names and data of documents as one on what the registry stores."""
    key = as_stored(operation.key)
    match operation:
        case SetValue(_, name, value):
            return SetValue(key, as_stored(name), value_as_stored(value))
        case DeleteValue(_, name):
            return DeleteValue(key, as_stored(name))
        case MakeKey():
            return MakeKey(key)
        case DeleteKey():
            return DeleteKey(key)


def _values(
    key: str, old: dict[str, tuple[str, RegistryValue]], new: dict[str, tuple[str, RegistryValue]]
) -> Iterator[Operation]:
    for name in sorted(new):
        if name in old and old[name][0] != new[name][0]:
            yield DeleteValue(key, old[name][0])  # a value that is set again keeps the case that its name had
        elif old.get(name, ("", None))[1] == new[name][1]:
            continue
        yield SetValue(key, *new[name])
    for name in sorted(old.keys() - new.keys()):
        yield DeleteValue(key, old[name][0])


def _depth(key: str) -> tuple[int, str]:
    return (key.count("\\") + bool(key), key)
