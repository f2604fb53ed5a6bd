"""Setting values in words, as people see them in tables.

A list is one line per item. A line says what the item is first, leaves out what every item does anyway, and puts
switches last: ``Block Telnet: block in tcp, local ports 23``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shieldwall.catalog.model import Catalog, Kind, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item, SettingValue

_ON: Final = "enabled"
_OFF: Final = "disabled"
_SAYS_NOTHING: Final = frozenset({_ON, _OFF, "any"})
"""Options that tell a reader nothing new where they are the default."""


def name_of(catalog: Catalog, setting: SettingId) -> str:
    """Return a setting's display name; one that the catalog does not know goes by its id."""
    definition = catalog.definitions.get(setting)
    return definition.display_name if definition else setting


def category_of(catalog: Catalog, setting: SettingId) -> str:
    """Return the category that tells apart settings of the same name; empty where it is not known or says no more."""
    definition = catalog.definitions.get(setting)
    return "" if definition is None or definition.category == definition.display_name else definition.category


def in_words(catalog: Catalog, setting: SettingId, value: SettingValue) -> str:
    """Write a value on one line: options by their names, items one after the other, secrets not at all."""
    return "; ".join(lines_of(catalog, setting, value)) or "none"


def lines_of(catalog: Catalog, setting: SettingId, value: SettingValue) -> tuple[str, ...]:
    """Write a value on a line per item; a value that is no list takes one line, an empty list none."""
    if isinstance(value, tuple):
        return tuple(line for each in value for line in lines_of(catalog, setting, each))
    if isinstance(value, Item):
        return (_item(catalog, setting, value),)
    definition = catalog.definitions.get(setting)
    if definition is not None and definition.kind is Kind.SIMPLE_SECRET:
        return ("a secret",)
    option = definition.option(value) if definition is not None and isinstance(value, str) else None
    return (option.display_name if option else str(value),)


def _item(catalog: Catalog, collection: SettingId, item: Item) -> str:
    places = {setting: place for place, setting in enumerate(_below(catalog, collection))}
    members = sorted(item.members, key=lambda member: places.get(member[0], len(places)))
    head = _head(catalog, collection, item)
    choices: list[tuple[bool, str]] = []
    values: list[str] = []
    facts: list[str] = []
    switches: list[str] = []
    for setting, value in members:
        definition = catalog.definitions.get(setting)
        option = _option(definition, value)
        name = name_of(catalog, setting).lower()
        if setting == head or (option in _SAYS_NOTHING and definition is not None and value == definition.default):
            continue
        if option in {_ON, _OFF}:
            switches.append(name if option == _ON else f"{name}: no")
        elif option is not None:
            choices.append((definition is not None and definition.default is not None, option))
        elif _is_of_choice(definition, item):
            values.append(in_words(catalog, setting, value))
        else:
            facts.append(f"{name} {', '.join(lines_of(catalog, setting, value)) or 'none'}")
    decided = [option for _, option in sorted(choices, key=lambda choice: choice[0])]  # what has no default comes first
    said = ", ".join(part for part in (" ".join([*decided, *values]), *facts) if part)
    tail = f" ({', '.join(switches)})" if switches else ""
    if head is None:
        return said[:1].upper() + said[1:] + tail
    title = next(iter(lines_of(catalog, head, item.get(head) or "")), "")
    return f"{title}: {said or 'as usual'}{tail}"


def _head(catalog: Catalog, collection: SettingId, item: Item) -> SettingId | None:
    """Return the member that says which item this is, if there is one."""
    definition = catalog.definitions.get(collection)
    if definition is None:
        return None
    named = [setting for setting in definition.children if name_of(catalog, setting).lower() == "name"]
    telling = definition.identity if len(definition.children) > 1 else ()
    return next((setting for setting in (*named, *telling) if item.get(setting) is not None), None)


def _below(catalog: Catalog, setting: SettingId) -> Iterator[SettingId]:
    definition = catalog.definitions.get(setting)
    for each in definition.nested() if definition else ():
        yield each
        yield from _below(catalog, each)


def _is_of_choice(definition: SettingDefinition | None, item: Item) -> bool:
    """Whether an option chosen in the same item says already what the value is."""
    return definition is not None and any(
        each.option is not None and item.get(each.parent) == each.option for each in definition.depends_on
    )


def _option(definition: SettingDefinition | None, value: SettingValue) -> str | None:
    option = definition.option(value) if definition is not None and isinstance(value, str) else None
    return option.display_name.lower() if option else None
