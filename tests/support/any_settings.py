"""Strategies for trees of settings: valid ones, ones that are almost valid, and ones that are anything at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from hypothesis import strategies as st

from shieldwall.catalog.model import Catalog, Kind
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupSetting,
    GroupValue,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleKind,
    SimpleSetting,
    SimpleValue,
)

_KINDS: Final[tuple[SimpleKind, ...]] = ("string", "integer", "secret", "reference")
_PIECES: Final = (
    *("C:\\", "\\\\", "%TEMP%", "/", "*", "?", "..", "cmd.exe", "10.0.0.0/8", "1-2", "::/0", "LocalSubnet", "8:0"),
    *("a", ".", "-", "\u202e", "\x00", "é", " ", "{", "}", "00000000-0000-4000-8000-000000000000", "=", "|", ">"),
)
_TEXTS: Final = st.lists(st.sampled_from(_PIECES), max_size=5).map("".join) | st.text(max_size=20)
_SIMPLE: Final = st.builds(SimpleValue, kind=st.sampled_from(_KINDS), value=_TEXTS | st.integers())
_SHAPES: Final[dict[Kind, type[SettingInstance]]] = {
    Kind.CHOICE: ChoiceSetting,
    Kind.CHOICE_COLLECTION: ChoiceCollectionSetting,
    Kind.SIMPLE_STRING: SimpleSetting,
    Kind.SIMPLE_INTEGER: SimpleSetting,
    Kind.SIMPLE_SECRET: SimpleSetting,
    Kind.SIMPLE_STRING_COLLECTION: SimpleCollectionSetting,
    Kind.GROUP: GroupSetting,
    Kind.GROUP_COLLECTION: GroupCollectionSetting,
}
_ALL_SHAPES: Final = tuple(dict.fromkeys(_SHAPES.values()))
_UNHEARD_OF: Final = SettingId("unheard_of")
_DEEPEST: Final = 3

Settings: TypeAlias = tuple[SettingInstance, ...]


@st.composite
def trees(draw: st.DrawFn, catalog: Catalog, settings: Sequence[SettingId]) -> tuple[SettingInstance, ...]:
    """Settings at the top of a policy. Most stand where they may; each part may be of any shape, with any value."""
    return _several(draw, catalog, settings, 0)


def _several(draw: st.DrawFn, catalog: Catalog, settings: Sequence[SettingId], depth: int) -> Settings:
    count = draw(st.integers(0, 4 if depth < _DEEPEST else 0))
    return tuple(_one(draw, catalog, draw(st.sampled_from(settings)), depth) for _ in range(count))


def _one(draw: st.DrawFn, catalog: Catalog, setting: SettingId, depth: int) -> SettingInstance:
    definition = catalog.definitions.get(setting)
    fits = definition is not None and draw(st.integers(0, 9)) > 0
    kind = _SHAPES[definition.kind] if definition is not None and fits else draw(st.sampled_from(_ALL_SHAPES))
    if kind is SimpleSetting:
        return SimpleSetting(definition=setting, value=draw(_SIMPLE))
    if kind is SimpleCollectionSetting:
        return SimpleCollectionSetting(definition=setting, values=tuple(draw(st.lists(_SIMPLE, max_size=3))))
    inside = [*definition.nested(), _UNHEARD_OF] if definition is not None else [_UNHEARD_OF]
    options = [option.item_id for option in definition.options] if definition is not None else []

    def group() -> GroupValue:
        return GroupValue(children=_several(draw, catalog, inside, depth + 1))

    def choice() -> ChoiceValue:
        value = draw(st.sampled_from([*options, *options, "x"]))
        return ChoiceValue(value=value, children=_several(draw, catalog, inside, depth + 1))

    if kind is ChoiceSetting:
        return ChoiceSetting(definition=setting, value=choice())
    if kind is GroupSetting:
        return GroupSetting(definition=setting, value=group())
    count = draw(st.integers(0, 2))
    if kind is ChoiceCollectionSetting:
        return ChoiceCollectionSetting(definition=setting, values=tuple(choice() for _ in range(count)))
    return GroupCollectionSetting(definition=setting, values=tuple(group() for _ in range(count)))
