"""A group of addresses as a form shows it, and as a reusable setting keeps it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import (
    GroupSetting,
    GroupValue,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleValue,
    walk,
)


def kinds_of(catalog: Catalog) -> list[tuple[SettingId, str]]:
    """Return what reusable settings can be made of: a group whose one member is a list of addresses."""
    return [
        (definition.id, definition.display_name)
        for definition in catalog.definitions.values()
        if definition.reusable and len(definition.children) == 1
    ]


def written(catalog: Catalog, kind: SettingId, addresses: tuple[str, ...]) -> SettingInstance:
    """Write addresses as a reusable setting. Raises: UnknownSettingError."""
    (member,) = catalog.definition(kind).children
    values = tuple(SimpleValue(kind="string", value=each) for each in addresses)
    listed = SimpleCollectionSetting(definition=member, values=values)
    return GroupSetting(definition=kind, value=GroupValue(children=(listed,)))


def read(instance: SettingInstance) -> tuple[str, ...]:
    """Return the addresses of a reusable setting, as its author wrote them."""
    return tuple(_values(instance))


def is_editable(catalog: Catalog, instance: SettingInstance) -> bool:
    """Whether the form of addresses says all that a reusable setting holds."""
    known = {kind for kind, _ in kinds_of(catalog)}
    return instance.definition in known and written(catalog, instance.definition, read(instance)) == instance


def _values(instance: SettingInstance) -> Iterator[str]:
    for part in walk((instance,)):
        if isinstance(part, SimpleCollectionSetting):
            yield from (str(each.value) for each in part.values)
