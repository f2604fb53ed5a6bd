"""Check the catalog against itself: what a data file says must make sense together with what the others say."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from shieldwall.catalog.model import (
    FIRST_VERSION,
    Catalog,
    Confidence,
    Kind,
    Lists,
    Merge,
    Option,
    PolicyTemplate,
    SettingDefinition,
    Strength,
    Syntax,
)
from shieldwall.contract.ids import SettingId

_CHOICES = frozenset({Kind.CHOICE, Kind.CHOICE_COLLECTION})
_GROUPS = frozenset({Kind.GROUP, Kind.GROUP_COLLECTION})
_COLLECTIONS = frozenset({Kind.CHOICE_COLLECTION, Kind.SIMPLE_STRING_COLLECTION, Kind.GROUP_COLLECTION})
_WINDOWS: Final = "windows10"
_VERSION: Final = re.compile(r"([0-9]{4})\.([0-9]{1,2})\.([0-9]{1,3})")
_SHARED_SYNTAXES: Final = frozenset({Syntax.REUSABLE_SETTING, Syntax.GUID, Syntax.ICMP_TYPE})
"""Syntaxes that are the same on every platform."""
_LANDING_TYPES: dict[str, type] = {"boolean": bool, "integer": int, "string": str}


def check_catalog(catalog: Catalog) -> list[str]:
    """Return what is wrong with a catalog, one line each; nothing for a sound one. Pure."""
    problems = [
        f"{definition.id}: {problem}"
        for definition in catalog.definitions.values()
        for problem in _definition(catalog, definition)
    ]
    problems += [
        f"{template.id}: {problem}"
        for template in catalog.templates.values()
        for problem in _template(catalog, template)
    ]
    owners = Counter(option.item_id for definition in catalog.definitions.values() for option in definition.options)
    problems += [f"{item_id}: is an option more than once" for item_id, count in owners.items() if count > 1]
    reached = _reached(catalog)
    problems += [f"{setting}: no template leads here" for setting in catalog.definitions if setting not in reached]
    problems += [
        f"{setting}: belongs to the families {' and '.join(sorted(families))}"
        for setting, families in _families(catalog).items()
        if len(families) > 1
    ]
    return problems


def _definition(catalog: Catalog, definition: SettingDefinition) -> Iterator[str]:
    if not definition.description.strip() or not definition.display_name.strip():
        yield "has no name or no description"
    if bool(definition.options) != (definition.kind in _CHOICES):
        yield "options go with choices, and only with them"
    if definition.children and definition.kind not in _GROUPS:
        yield "children of its own go with groups only"
    for since in {definition.since, *(option.since for option in definition.options)}:
        yield from _versions(catalog, since)
    yield from _lasting(definition)
    yield from _platform(catalog, definition)
    yield from _nesting(catalog, definition)
    yield from _limits(definition)
    yield from _default(definition)
    yield from _landing(definition)
    yield from _merging(catalog, definition)
    yield from _strength(catalog, definition)
    yield from _requirements(catalog, definition)


def _lasting(definition: SettingDefinition) -> Iterator[str]:
    """Check what the system does not take back before a restart: nobody gets there by leaving everything as it was."""
    lasting = {option.item_id for option in definition.until_restart}
    if lasting and not definition.may_need_reboot:
        yield "an option holds until the next restart, and the setting does not say that one may be needed"
    if definition.default in lasting or lasting == {option.item_id for option in definition.options} != set():
        yield "the default, and one option at least, hold no longer than anybody wants them"


def _versions(catalog: Catalog, since: str) -> Iterator[str]:
    since_parts, known_parts = _parts(since), _parts(catalog.version)
    if since_parts is None:
        yield f"came with {since}, which is no catalog version"
    elif since_parts < (_parts(FIRST_VERSION) or ()) or (known_parts is not None and since_parts > known_parts):
        yield f"came with {since}, which is not between {FIRST_VERSION} and {catalog.version}"


def _parts(version: str) -> tuple[int, ...] | None:
    match = _VERSION.fullmatch(version)
    return None if match is None else tuple(map(int, match.groups()))


def _platform(catalog: Catalog, definition: SettingDefinition) -> Iterator[str]:
    on_windows, syntax = definition.platform == _WINDOWS, definition.limits.syntax
    if definition.windows is not None and not on_windows:
        yield "lands on Windows, which it is not for"
    if syntax is not None and syntax not in _SHARED_SYNTAXES and syntax.startswith("windows") != on_windows:
        yield f"its values are written as on another platform: {syntax}"
    if syntax is Syntax.REUSABLE_SETTING and definition.kind is not Kind.SIMPLE_STRING_COLLECTION:
        yield "only lists refer to reusable settings"
    yield from (
        f"the child {child} is for {catalog.definitions[child].platform}"
        for child in definition.nested()
        if child in catalog.definitions and catalog.definitions[child].platform != definition.platform
    )


def _nesting(catalog: Catalog, definition: SettingDefinition) -> Iterator[str]:
    holders: list[SettingDefinition | Option] = [definition, *definition.options]
    for holder in holders:
        yield from (
            f"the child {child} is not defined" for child in holder.children if child not in catalog.definitions
        )
        if len(set(holder.children)) < len(holder.children):
            yield "a child stands twice"
        if not set(holder.required_children) <= set(holder.children):
            yield "a required child is not a child"
    if definition.id in _below(catalog, definition.nested()):
        yield "stands inside itself"


def _limits(definition: SettingDefinition) -> Iterator[str]:
    limits = definition.limits
    if limits.minimum is not None and limits.maximum is not None and limits.minimum > limits.maximum:
        yield "the least number is above the greatest"
    if (limits.minimum_length or 0) > (definition.limits.maximum_length or 2**31):
        yield "the least length is above the greatest"
    if (limits.minimum is not None or limits.maximum is not None) and definition.kind is not Kind.SIMPLE_INTEGER:
        yield "a range goes with integers only"
    textual = limits.minimum_length or limits.maximum_length or limits.pattern or limits.allowed or limits.syntax
    if textual and definition.kind in _CHOICES | _GROUPS | {Kind.SIMPLE_INTEGER}:
        yield "lengths, patterns and syntax go with texts only"
    if limits.pattern is not None:
        try:
            re.compile(limits.pattern)
        except re.error:
            yield "the pattern is not a regular expression"
    high = definition.maximum_count
    if high is not None and definition.kind not in _COLLECTIONS:
        yield "a count goes with collections only"
    if definition.minimum_count > (high if high is not None else definition.minimum_count):
        yield "the least count is above the greatest"


def _default(definition: SettingDefinition) -> Iterator[str]:
    default, limits = definition.default, definition.limits
    if default is None:
        return
    if definition.kind is Kind.SIMPLE_INTEGER:
        low, high = limits.minimum, limits.maximum
        if type(default) is not int or (low is not None and default < low) or (high is not None and default > high):
            yield "the default is not a number in range"
    elif not isinstance(default, str):
        yield "the default is of another type"
    elif definition.kind in _CHOICES and definition.option(default) is None:
        yield "the default is not an option"


def _landing(definition: SettingDefinition) -> Iterator[str]:
    if (definition.landing is None) != (definition.landing_type is None):
        yield "a landing place and its type go together"
    expected = _LANDING_TYPES.get(definition.landing_type or "")
    if expected is None:
        return
    if any(type(option.value) is not expected for option in definition.options):
        yield f"an option's value is not a {definition.landing_type}"
    if definition.landing_default is not None and type(definition.landing_default) is not expected:
        yield f"what the product does by itself is not a {definition.landing_type}"


def _merging(catalog: Catalog, definition: SettingDefinition) -> Iterator[str]:
    if definition.merge is Merge.UNION and definition.kind not in _COLLECTIONS:
        yield "only collections have a union"
    if definition.merge is Merge.MEMBERS and (
        definition.kind is not Kind.GROUP_COLLECTION or definition.maximum_count != 1
    ):
        yield "members are decided apart only in a group with at most one item"
    if not set(definition.identity) | set(definition.unique) <= set(definition.children):
        yield "identity and unique name members only"
    if definition.identity:
        others = [child for child in definition.children if child not in definition.identity]
        known = [catalog.definitions[child] for child in others if child in catalog.definitions]
        if definition.merge is not Merge.UNION or any(other.strength is None for other in known):
            yield "identity needs a union, and an order of strength for every other member"


def _strength(catalog: Catalog, definition: SettingDefinition) -> Iterator[str]:
    strength = definition.strength
    if strength is None:
        return
    told = sum(map(bool, (strength.options, strength.numbers, strength.lists, strength.neutral)))
    if told > 1 or (told == 0 and not strength.connectivity):
        yield "strength is told in exactly one way"
    yield from _peculiarities(strength)
    if strength.numbers is not None and definition.kind is not Kind.SIMPLE_INTEGER:
        yield "an order of numbers goes with integers only"
    if strength.options and sorted(strength.options) != sorted(option.item_id for option in definition.options):
        yield "the order of strength does not name every option once"
    if strength.lists is not None and definition.kind not in _COLLECTIONS:
        yield "an order of lists goes with collections only"
    if strength.lists is Lists.RULES:
        yield from _rules(catalog, definition, {strength.blocks, strength.off})
    elif strength.blocks is not None or strength.off is not None:
        yield "only rules have an option that blocks or switches off"


def _peculiarities(strength: Strength) -> Iterator[str]:
    if strength.zero is not None and strength.numbers is None:
        yield "what 0 stands for goes with an order of numbers only"
    if strength.unset_differs and strength.lists not in {Lists.FEWER, Lists.MORE}:
        yield "what is left out can differ from an empty list only where lists are compared"
    if strength.tied:
        yield from _tied(strength)


def _tied(strength: Strength) -> Iterator[str]:
    if strength.equal and strength.unordered:
        yield "options that share a place are either equal or unordered"
    start = strength.options.index(strength.tied[0]) if strength.tied[0] in strength.options else 0
    if strength.options[start : start + len(strength.tied)] != strength.tied:
        yield "options that share a place stand together in the order of strength"
    if not 1 < len(strength.tied) < len(strength.options):
        yield "some options share a place, neither one nor all"


def _rules(catalog: Catalog, definition: SettingDefinition, switches: set[str | None]) -> Iterator[str]:
    members = [catalog.definitions[child] for child in definition.children if child in catalog.definitions]
    options = {option.item_id for member in members for option in member.options}
    if definition.kind is not Kind.GROUP_COLLECTION or not switches <= options:
        yield "rules say which option of a member blocks, and which switches off"


def _requirements(catalog: Catalog, definition: SettingDefinition) -> Iterator[str]:
    for requirement in definition.requires:
        sibling = catalog.definitions.get(requirement.setting)
        if sibling is None or sibling.depends_on != definition.depends_on:
            yield f"{requirement.setting} does not stand beside it"
        elif not requirement.options or any(sibling.option(item_id) is None for item_id in requirement.options):
            yield f"requires what is not an option of {requirement.setting}"


def _template(catalog: Catalog, template: PolicyTemplate) -> Iterator[str]:
    if template.id != f"{template.base_id}_{template.version}":
        yield "the id is not made of base id and version"
    if not template.settings:
        yield "offers nothing"
    yield from _versions(catalog, template.since)
    for definition, count in Counter(setting.definition for setting in template.settings).items():
        found = catalog.definitions.get(definition)
        if found is None:
            yield f"offers {definition}, which is not defined"
        elif found.depends_on:
            yield f"offers {definition} at the top, which stands inside another"
        elif found.reusable:
            yield f"offers {definition}, which stands in no policy"
        elif found.platform != template.platforms:
            yield f"offers {definition}, which is for {found.platform}"
        if count > 1:
            yield f"offers {definition} twice"


def _reached(catalog: Catalog) -> set[SettingId]:
    tops = [setting.definition for template in catalog.templates.values() for setting in template.settings]
    tops += [definition.id for definition in catalog.definitions.values() if definition.reusable]
    return set(tops) | _below(catalog, tuple(tops))


def _families(catalog: Catalog) -> dict[SettingId, set[str]]:
    """Return the families of every setting, by the templates that are known for sure to lead to it."""
    families: defaultdict[SettingId, set[str]] = defaultdict(set)
    for template in catalog.templates.values():
        known = [setting for setting in template.settings if setting.confidence is not Confidence.UNVERIFIED]
        if template.supported:
            for setting in _below(catalog, tuple(setting.definition for setting in known)):
                families[setting].add(template.family)
    return families


def _below(catalog: Catalog, settings: tuple[SettingId, ...]) -> set[SettingId]:
    """Return these settings and everything that may stand inside them."""
    waiting, reached = list(settings), set[SettingId]()
    while waiting:
        setting = waiting.pop()
        if setting not in reached and setting in catalog.definitions:
            reached.add(setting)
            waiting.extend(catalog.definitions[setting].nested())
    return reached
