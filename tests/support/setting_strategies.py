"""Strategies for setting values, drawn from the catalog's own definitions."""

from __future__ import annotations

import string
from collections.abc import Iterable

from hypothesis import strategies as st

from shieldwall.agent.providers.base import Desired
from shieldwall.catalog.model import Catalog, Kind, SettingDefinition, Syntax
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item, SettingValue

_NAME = st.text(string.ascii_letters + string.digits + " .-_()[]{}+$^|\\äß€😀'\"#", min_size=1, max_size=12)
_WILD = st.text(string.ascii_letters + "*?.-_", min_size=1, max_size=8)


def paths(segments: st.SearchStrategy[str] = _NAME) -> st.SearchStrategy[str]:
    """Absolute paths with everything that a file name may hold."""
    return st.lists(segments, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


_TEXTS: dict[Syntax | None, st.SearchStrategy[str]] = {
    Syntax.EXCLUSION_PATH: paths(_NAME | _WILD),
    Syntax.EXCLUSION_PATH_LITERAL: paths(),
    Syntax.EXCLUSION_PROCESS: _NAME,
    Syntax.EXCLUSION_PROCESS_PATH: paths(),
    Syntax.EXCLUSION_EXTENSION: st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=5),
}


def values_of(catalog: Catalog, setting: SettingId) -> st.SearchStrategy[SettingValue]:
    """Values that the definition of ``setting`` allows."""
    definition = catalog.definition(setting)
    match definition.kind:
        case Kind.CHOICE:
            return st.sampled_from([option.item_id for option in definition.options])
        case Kind.SIMPLE_INTEGER:
            low, high = definition.limits.minimum, definition.limits.maximum
            return st.integers(0 if low is None else low, 2**31 if high is None else high)
        case Kind.CHOICE_COLLECTION:
            return st.sets(st.sampled_from([option.item_id for option in definition.options]), min_size=1).map(
                lambda chosen: tuple(sorted(chosen))
            )
        case Kind.SIMPLE_STRING_COLLECTION:
            return st.lists(_text(definition), max_size=4, unique=True).map(tuple)
        case Kind.GROUP_COLLECTION:
            most = min(definition.maximum_count or 4, 4)
            return st.lists(_items(catalog, definition), max_size=most, unique=True).map(tuple)
        case _:
            return _text(definition)


def desired_settings(catalog: Catalog, settings: Iterable[SettingId]) -> st.SearchStrategy[Desired]:
    """Any part of ``settings``, each with a value."""
    return st.fixed_dictionaries({}, optional={setting: values_of(catalog, setting) for setting in settings})


@st.composite
def _items(draw: st.DrawFn, catalog: Catalog, group: SettingDefinition) -> Item:
    members: dict[SettingId, SettingValue] = {}
    waiting = list(group.children)
    while waiting:
        member = catalog.definition(waiting.pop())
        value = draw(values_of(catalog, member.id))
        members[member.id] = value
        option = member.option(value) if isinstance(value, str) else None
        waiting += option.children if option else ()
    return Item(tuple(sorted(members.items())))


def _text(definition: SettingDefinition) -> st.SearchStrategy[str]:
    if definition.limits.allowed:
        return st.sampled_from(definition.limits.allowed)
    if definition.limits.syntax in _TEXTS and definition.limits.syntax is not None:
        return _TEXTS[definition.limits.syntax]
    return _NAME
