"""Flatten a policy document: from nested setting instances to one value per setting.

Values take the type of their definition here, once and for all, so that comparing them later is plain equality.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from shieldwall.catalog.model import Catalog, Kind, Merge, SettingDefinition
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceSetting,
    GroupCollectionSetting,
    GroupSetting,
    GroupValue,
    PolicyDocument,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleSetting,
    SimpleValue,
)
from shieldwall.policy.values import Item, SettingValue, as_set


class MismatchedSettingError(ShieldwallError):
    """A document holds a setting in another shape than its definition, or twice; validation would have said so."""

    code: ClassVar[str] = "mismatchedSetting"
    remedy: ClassVar[str] = "Validate the policy; it names every field that does not fit."


def flatten(catalog: Catalog, document: PolicyDocument) -> Mapping[SettingId, SettingValue]:
    """Return one value per setting of a policy.

    A choice becomes its item id, a simple setting its text or number, a collection a tuple, an item of a group an
    ``Item``. What stands inside a choice or a single group is set beside it. Collections whose order means nothing are
    sorted and hold each value once.

    Raises:
        UnknownSettingError: The catalog does not know a setting.
        MismatchedSettingError: A value does not have the shape of its definition.
    """
    values: dict[SettingId, SettingValue] = {}
    put(catalog, document.settings, values)
    return values


def put(catalog: Catalog, instances: Iterable[SettingInstance], values: dict[SettingId, SettingValue]) -> None:
    """Set the values of these instances beside those there are. Raises: as ``flatten``."""
    for instance in instances:
        definition = catalog.definition(instance.definition)
        value, children = _value(catalog, definition, instance)
        if value is not None:
            if definition.id in values:
                raise MismatchedSettingError(f"The setting {definition.id} is set twice.")
            values[definition.id] = value
        put(catalog, children, values)


def _value(  # noqa: PLR0911 - one return per kind reads as the table it is
    catalog: Catalog, definition: SettingDefinition, instance: SettingInstance
) -> tuple[SettingValue | None, tuple[SettingInstance, ...]]:
    """Return the setting's own value, if it has one, and the instances to be set beside it."""
    match definition.kind, instance:
        case Kind.CHOICE, ChoiceSetting(value=choice):
            return choice.value, choice.children
        case Kind.CHOICE_COLLECTION, ChoiceCollectionSetting(values=choices):
            chosen = tuple(choice.value for choice in choices)
            return _collection(definition, chosen), tuple(child for choice in choices for child in choice.children)
        case ((Kind.SIMPLE_STRING | Kind.SIMPLE_INTEGER | Kind.SIMPLE_SECRET), SimpleSetting(value=simple)):
            return _simple(definition, simple), ()
        case Kind.SIMPLE_STRING_COLLECTION, SimpleCollectionSetting(values=simples):
            return _collection(definition, tuple(_simple(definition, simple) for simple in simples)), ()
        case Kind.GROUP, GroupSetting(value=group):
            return None, group.children
        case Kind.GROUP_COLLECTION, GroupCollectionSetting(values=groups) if definition.merge is Merge.MEMBERS:
            return None, tuple(child for group in groups for child in group.children)
        case Kind.GROUP_COLLECTION, GroupCollectionSetting(values=groups):
            return _collection(definition, tuple(_item(catalog, group) for group in groups)), ()
        case _:
            raise MismatchedSettingError(f"The setting {definition.id} is a {definition.kind}, and is set otherwise.")


def _simple(definition: SettingDefinition, simple: SimpleValue) -> str | int:
    expected = int if definition.kind is Kind.SIMPLE_INTEGER else str
    if type(simple.value) is not expected:  # a bool is an int to Python, and never to us
        raise MismatchedSettingError(f"A value of {definition.id} is not of its type, {expected.__name__}.")
    return simple.value


def _item(catalog: Catalog, group: GroupValue) -> Item:
    members: dict[SettingId, SettingValue] = {}
    put(catalog, group.children, members)
    return Item(tuple(sorted(members.items(), key=lambda member: member[0])))


def _collection(definition: SettingDefinition, values: tuple[SettingValue, ...]) -> tuple[SettingValue, ...]:
    return values if definition.ordered else as_set(values)
