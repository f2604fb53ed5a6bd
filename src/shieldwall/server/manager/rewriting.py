"""Change what stands inside settings, wherever it stands. Places are named as validation names them in its findings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupSetting,
    GroupValue,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleSetting,
    SimpleValue,
)

Settings: TypeAlias = tuple[SettingInstance, ...]
ValueChange: TypeAlias = Callable[[str, SimpleValue], SimpleValue]
"""From a place and the value that stands there to the one that shall."""
SiblingsChange: TypeAlias = Callable[[Settings, str], Settings]
"""From settings that stand together, and their place, to those that shall."""

_Holder = TypeVar("_Holder", ChoiceValue, GroupValue)


def rewritten(settings: Settings, change: ValueChange, place: str = "settings") -> Settings:
    """Return settings with every simple value changed."""

    def one(instance: SettingInstance, path: str) -> SettingInstance:
        match instance:
            case SimpleSetting(value=simple):
                return msgspec.structs.replace(instance, value=change(f"{path}.value", simple))
            case SimpleCollectionSetting(values=simples):
                values = tuple(change(f"{path}.values[{index}]", simple) for index, simple in enumerate(simples))
                return msgspec.structs.replace(instance, values=values)
            case _:
                return with_children(instance, path, lambda children, inner: rewritten(children, change, inner))

    return tuple(one(instance, f"{place}[{index}]") for index, instance in enumerate(settings))


def with_children(instance: SettingInstance, path: str, change: SiblingsChange) -> SettingInstance:
    """Return an instance with the settings directly inside it changed; one that holds none stays as it is."""

    def held(holder: _Holder, place: str) -> _Holder:
        return msgspec.structs.replace(holder, children=change(holder.children, f"{place}.children"))

    match instance:
        case ChoiceSetting(value=choice):
            return msgspec.structs.replace(instance, value=held(choice, path))
        case GroupSetting(value=group):
            return msgspec.structs.replace(instance, value=held(group, path))
        case ChoiceCollectionSetting(values=choices):
            chosen = tuple(held(each, f"{path}.values[{index}]") for index, each in enumerate(choices))
            return msgspec.structs.replace(instance, values=chosen)
        case GroupCollectionSetting(values=groups):
            items = tuple(held(each, f"{path}.values[{index}]") for index, each in enumerate(groups))
            return msgspec.structs.replace(instance, values=items)
        case SimpleSetting() | SimpleCollectionSetting():
            return instance
