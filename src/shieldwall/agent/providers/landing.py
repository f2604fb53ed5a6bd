"""Between setting values as policies carry them and the typed JSON that a product's configuration holds.

A policy says ``…_enforcementlevel_0`` and items made of members; the product wants ``"real_time"`` and objects. The
catalog knows both sides: an option's value, and the landing of each member (``antivirusEngine.exclusions[].path``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from shieldwall.agent.providers.base import ProviderError
from shieldwall.catalog.model import Catalog, Kind, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item, SettingValue


class NotExpressibleError(ProviderError):
    """A value does not fit its definition."""

    code: ClassVar[str] = "notExpressible"
    remedy: ClassVar[str] = "Bring agent and server to the same version; their catalogs differ."


def encode(catalog: Catalog, setting: SettingId, value: SettingValue) -> Any:
    """Return the typed JSON of a setting's value. Raises: NotExpressibleError."""
    definition = catalog.definition(setting)
    match definition.kind, value:
        case Kind.CHOICE, str():
            return _option_value(definition, setting, value)
        case Kind.SIMPLE_INTEGER, int():
            return value
        case ((Kind.SIMPLE_STRING | Kind.SIMPLE_SECRET), str()):
            return value
        case Kind.SIMPLE_STRING_COLLECTION, tuple():
            return list(value)
        case Kind.CHOICE_COLLECTION, tuple():
            return [_option_value(definition, setting, choice) for choice in value]
        case Kind.GROUP_COLLECTION, tuple():
            return [encode_item(catalog, item) for item in value if isinstance(item, Item)]
        case _:
            raise NotExpressibleError(f"The value of {setting} is not a {definition.kind.value}.")


def encode_item(catalog: Catalog, item: Item) -> dict[str, Any]:
    """Return one item of a group as an object. Raises: NotExpressibleError."""
    return {_member_name(catalog.definition(member)): encode(catalog, member, value) for member, value in item.members}


def decode(  # noqa: PLR0911 - one return per kind reads as the table it is
    catalog: Catalog, setting: SettingId, value: Any
) -> SettingValue | None:
    """Return the setting value that ``encode`` turns into ``value``; ``None`` when there is none."""
    definition = catalog.definition(setting)
    match definition.kind, value:
        case Kind.CHOICE, _:
            return _option_of(definition, value)
        case Kind.CHOICE_COLLECTION, list():
            options = [_option_of(definition, element) for element in value]
            return None if None in options else tuple(option for option in options if option is not None)
        case Kind.SIMPLE_INTEGER, int() if not isinstance(value, bool):
            return value
        case ((Kind.SIMPLE_STRING | Kind.SIMPLE_SECRET), str()):
            return value
        case Kind.SIMPLE_STRING_COLLECTION, list() if all(isinstance(text, str) for text in value):
            return tuple(value)
        case Kind.GROUP_COLLECTION, list():
            items = [decode_item(catalog, setting, element) for element in value]
            return None if None in items else tuple(item for item in items if item is not None)
        case _:
            return None


def decode_item(catalog: Catalog, setting: SettingId, element: Any) -> Item | None:
    """Return one object of a group's array as an item; ``None`` when a member means nothing to us."""
    if not isinstance(element, dict):
        return None
    names = {_member_name(definition): definition.id for definition in _members(catalog, setting)}
    if not element or not set(element) <= set(names):
        return None
    members: list[tuple[SettingId, SettingValue]] = []
    for name, raw in element.items():
        value = decode(catalog, names[name], raw)
        if value is None:
            return None
        members.append((names[name], value))
    return Item(tuple(sorted(members, key=lambda member: member[0])))


def exclusion_name(item: dict[str, Any]) -> str:
    """Name the object of an exclusion in a status: its path, its process, or ``*.extension``."""
    extension = item.get("extension")
    text = f"*.{extension}" if extension is not None else item.get("path", item.get("name", item.get("$type", "")))
    return str(text)[:1024]


def _members(catalog: Catalog, setting: SettingId) -> Iterator[SettingDefinition]:
    for child in catalog.definition(setting).nested():
        yield catalog.definition(child)
        yield from _members(catalog, child)


def _option_value(definition: SettingDefinition, setting: SettingId, choice: SettingValue) -> Any:
    option = definition.option(choice) if isinstance(choice, str) else None
    if option is None:
        raise NotExpressibleError(f"{str(choice)[:128]!r} is no option of {setting}.")
    return option.value


def _option_of(definition: SettingDefinition, value: Any) -> str | None:
    return next((option.item_id for option in definition.options if _same(option.value, value)), None)


def _member_name(definition: SettingDefinition) -> str:
    if definition.landing is None:
        raise NotExpressibleError(f"Nothing is known about where {definition.id} lands.")
    return definition.landing.rpartition(".")[2]


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other  # True == 1 in Python, not in JSON
