"""For every setting of the catalog a policy that sets it: the smallest that is valid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shieldwall.catalog.model import Catalog, Kind, PolicyTemplate, SettingDefinition, Syntax
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
    SimpleSetting,
    SimpleValue,
)

_TEXTS: Final[Mapping[Syntax, str]] = {
    Syntax.EXCLUSION_PATH: "/srv/example",
    Syntax.EXCLUSION_PATH_LITERAL: "/srv/example",
    Syntax.EXCLUSION_PROCESS: "/srv/example/serve",
    Syntax.EXCLUSION_PROCESS_PATH: "/srv/example/serve",
    Syntax.EXCLUSION_EXTENSION: "example",
    Syntax.WINDOWS_EXCLUSION_PATH: r"D:\Example\Data",
    Syntax.WINDOWS_EXCLUSION_PROCESS: r"D:\Example\serve.exe",
    Syntax.WINDOWS_EXCLUSION_EXTENSION: "example",
    Syntax.PORT_RANGE: "8000-8010",
    Syntax.WINDOWS_PORT_RANGE: "8000-8010",
    Syntax.ADDRESS_RANGE: "192.0.2.0/24",
    Syntax.WINDOWS_ADDRESS_RANGE: "192.0.2.0/24",
    Syntax.ICMP_TYPE: "8:0",
    Syntax.GUID: "00000000-0000-4000-8000-000000000001",
    Syntax.REUSABLE_SETTING: "00000000-0000-4000-8000-000000000002",
}
_BESIDE: Final[Mapping[str, Mapping[str, str | int]]] = {
    "_firewallrules_{firewallrulename}_localportranges": {"_protocol": 6},
    "_firewallrules_{firewallrulename}_remoteportranges": {"_protocol": 6},
    "_firewallrules_{firewallrulename}_icmptypesandcodes": {"_protocol": 1},
    "_firewallrules_{firewallrulename}_edgetraversal": {"_direction": "_in"},
}
"""What has to stand beside a member of a Windows firewall rule, beyond what its definition requires."""

Path = tuple[tuple[SettingId, str | None], ...]
"""From the top of a policy to a setting: each setting on the way, and the option of it that leads on."""


def paths(catalog: Catalog, template: PolicyTemplate) -> Iterator[Path]:
    """Yield the way to every supported setting that a template leads to, the first way to each."""
    seen: set[SettingId] = set()
    waiting: list[Path] = [((offered.definition, None),) for offered in template.settings]
    while waiting:
        path = waiting.pop(0)
        setting = path[-1][0]
        definition = catalog.definition(setting)
        if setting in seen or not definition.supported:
            continue
        seen.add(setting)
        yield path
        waiting += [((*path, (child, None))) for child in definition.children]
        waiting += [
            (*path[:-1], (setting, option.item_id), (child, None))
            for option in definition.options
            for child in option.children
        ]


def policy(catalog: Catalog, path: Path) -> tuple[SettingInstance, ...]:
    """Return the settings of a policy that sets what is at the end of the way."""
    return _with_siblings(catalog, _along(catalog, path), path[0][0])


def _along(catalog: Catalog, path: Path) -> SettingInstance:
    (setting, option), rest = path[0], path[1:]
    definition = catalog.definition(setting)
    if not rest:
        return example(catalog, definition)
    child = _along(catalog, rest)
    children = _with_siblings(catalog, child, rest[0][0])
    if option is not None:
        found = definition.option(option)
        assert found is not None, "a way leads through options that are there"
        value = ChoiceValue(value=option, children=_completed(catalog, found.required_children, children))
        if definition.kind is Kind.CHOICE_COLLECTION:
            return ChoiceCollectionSetting(definition=setting, values=(value,))
        return ChoiceSetting(definition=setting, value=value)
    group = GroupValue(children=_completed(catalog, definition.required_children, children))
    if definition.kind is Kind.GROUP:
        return GroupSetting(definition=setting, value=group)
    return GroupCollectionSetting(definition=setting, values=(group,))


def _with_siblings(catalog: Catalog, instance: SettingInstance, setting: SettingId) -> tuple[SettingInstance, ...]:
    """Put beside a setting what it requires there."""
    siblings: list[SettingInstance] = [instance]
    for requirement in catalog.definition(setting).requires:
        value = ChoiceValue(value=requirement.options[0])
        siblings.append(ChoiceSetting(definition=requirement.setting, value=value))
    for suffix, beside in _BESIDE.items():
        if setting.endswith(suffix):
            group = setting.rpartition("_")[0]
            siblings += [_member(SettingId(group + name), wanted) for name, wanted in beside.items()]
    return tuple(siblings)


def _member(setting: SettingId, wanted: str | int) -> SettingInstance:
    if isinstance(wanted, int):
        return SimpleSetting(definition=setting, value=SimpleValue(kind="integer", value=wanted))
    return ChoiceSetting(definition=setting, value=ChoiceValue(value=setting + wanted))


def _completed(
    catalog: Catalog, required: Sequence[SettingId], children: tuple[SettingInstance, ...]
) -> tuple[SettingInstance, ...]:
    present = {child.definition for child in children}
    missing = [example(catalog, catalog.definition(setting)) for setting in required if setting not in present]
    return (*children, *missing)


def example(catalog: Catalog, definition: SettingDefinition) -> SettingInstance:
    """Return a setting with the value it has by default, or else the first that it may have."""
    match definition.kind:
        case Kind.CHOICE:
            return ChoiceSetting(definition=definition.id, value=_choice(catalog, definition))
        case Kind.CHOICE_COLLECTION:
            return ChoiceCollectionSetting(definition=definition.id, values=(_choice(catalog, definition),))
        case Kind.SIMPLE_STRING_COLLECTION:
            return SimpleCollectionSetting(definition=definition.id, values=(_simple(definition),))
        case Kind.GROUP:
            return GroupSetting(definition=definition.id, value=_group(catalog, definition))
        case Kind.GROUP_COLLECTION:
            return GroupCollectionSetting(definition=definition.id, values=(_group(catalog, definition),))
        case _:
            return SimpleSetting(definition=definition.id, value=_simple(definition))


def _choice(catalog: Catalog, definition: SettingDefinition) -> ChoiceValue:
    option = definition.option(str(definition.default)) or definition.options[-1]
    return ChoiceValue(value=option.item_id, children=_completed(catalog, option.required_children, ()))


def _group(catalog: Catalog, definition: SettingDefinition) -> GroupValue:
    return GroupValue(children=_completed(catalog, definition.required_children, ()))


def _simple(definition: SettingDefinition) -> SimpleValue:
    limits = definition.limits
    if definition.kind is Kind.SIMPLE_INTEGER:
        default = definition.default
        value = default if isinstance(default, int) else limits.minimum or 0
        return SimpleValue(kind="integer", value=value)
    if definition.kind is Kind.SIMPLE_SECRET:
        return SimpleValue(kind="secret", value="a secret".ljust(limits.minimum_length or 0, "."))
    if limits.allowed:
        return SimpleValue(kind="string", value=limits.allowed[0])
    text = _TEXTS[limits.syntax] if limits.syntax else _fitting(limits.pattern)
    return SimpleValue(kind="string", value=text.ljust(limits.minimum_length or 0, "."))


def _fitting(pattern: str | None) -> str:
    """Return the first of a few texts that fits a pattern."""
    texts = ("example", "example.service", "/srv/example", "w", "1.2.3.4", "0123456789abcdef" * 4)
    return texts[0] if pattern is None else next(text for text in texts if re.search(pattern, text))
