"""Decide one setting among the policies that set it.

Who contends, do their values differ, and does the rule of the setting's family decide? Published behaviour is in the
catalog as each definition's ``merge``; a tenant may have chosen another rule. The order of policies never matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import inf
from typing import Any

from shieldwall.catalog.model import Catalog, Lists, Merge, SettingDefinition
from shieldwall.contract.conflicts import PUBLISHED, ConflictRule, ConflictRules
from shieldwall.contract.ids import PolicyId, SettingId
from shieldwall.contract.settings import LOWEST_PRIORITY
from shieldwall.policy.families import chosen_rule
from shieldwall.policy.outcomes import Conflict, Contender, Decided, Rule
from shieldwall.policy.values import Item, SettingValue, as_set, order_key


def decide(  # noqa: PLR0911 - one return per rule reads as the table it is
    catalog: Catalog,
    definition: SettingDefinition,
    contenders: Iterable[Contender],
    rules: ConflictRules = PUBLISHED,
) -> Decided | Conflict:
    """Decide one setting among at least one contender."""
    ordered = tuple(sorted(contenders, key=_contender_order))
    first = ordered[0].value
    if len(ordered) == 1 or all(contender.value == first for contender in ordered):
        alike = Rule.ONLY if len(ordered) == 1 else Rule.EQUAL
        value = (
            united(catalog, definition, [contender.value for contender in ordered])
            if definition.merge is Merge.UNION
            else first
        )
        return _decided(definition.id, value, alike, ordered)
    match chosen_rule(catalog, definition.id, rules):
        case ConflictRule.NOTHING:
            return Conflict(setting=definition.id, contenders=ordered, rule=Rule.DIFFERING)
        case ConflictRule.PRIORITY:
            return _by_priority(definition, ordered)
        case ConflictRule.MOST_SECURE:
            return _by_strength(definition, ordered)
        case None if definition.merge is Merge.UNION:
            return _decided(
                definition.id,
                united(catalog, definition, [contender.value for contender in ordered]),
                Rule.UNION,
                ordered,
            )
        case None if definition.merge is Merge.MOST_SECURE:
            return _by_strength(definition, ordered)
        case None:
            return Conflict(setting=definition.id, contenders=ordered, rule=Rule.DIFFERING)


def priority_of(contender: Contender) -> int:
    """Return a contender's place by priority, 1 for the best; without a priority it comes after all that have one."""
    return LOWEST_PRIORITY + 1 if contender.priority is None else contender.priority


def strongest(definition: SettingDefinition, values: Sequence[SettingValue]) -> frozenset[SettingValue]:
    """Return the strongest of several values: all of those that share the first place.

    Nothing, unless the order of strength speaks about every one of them.
    """
    strength = definition.strength
    if strength is None:
        return frozenset()
    if strength.lists in {Lists.FEWER, Lists.MORE}:
        return _extreme(values, strength.lists)
    ranks = [strength.rank(value) for value in values]
    known = [rank for rank in ranks if rank is not None]
    if len(known) < len(ranks):
        return frozenset()
    first = min(known)
    return frozenset(value for value, rank in zip(values, ranks, strict=True) if rank == first)


def united(catalog: Catalog, definition: SettingDefinition, lists: Iterable[SettingValue]) -> SettingValue:
    """Return the items of all lists; of those with one identity the strongest."""
    items = as_set(part for value in lists if isinstance(value, tuple) for part in value)
    if not definition.identity:
        return items
    # Of items with the same identity the strongest stays: a union never says two things about one subject.
    kept: dict[tuple[SettingValue | None, ...], Item] = {}
    for item in sorted((item for item in items if isinstance(item, Item)), key=partial(_weakness, catalog, definition)):
        kept.setdefault(subject_of(definition, item), item)
    return as_set(kept.values())


def subject_of(definition: SettingDefinition, item: SettingValue) -> tuple[SettingValue | None, ...]:
    """Return what an item of a union is about: its identity, or itself."""
    if definition.identity and isinstance(item, Item):
        return tuple(item.get(member) for member in definition.identity)
    return (item,)


def _by_strength(definition: SettingDefinition, contenders: tuple[Contender, ...]) -> Decided | Conflict:
    best = strongest(definition, [contender.value for contender in contenders])
    if len(best) == 1:
        return _decided(definition.id, next(iter(best)), Rule.MOST_SECURE, contenders)
    standing = [contender for contender in contenders if not best or contender.value in best]
    latest = max(contender.moment for contender in standing)
    newest = {contender.value for contender in standing if contender.moment == latest}
    if len(newest) == 1:
        return _decided(definition.id, newest.pop(), Rule.LAST_MODIFIED, contenders)
    return Conflict(setting=definition.id, contenders=contenders, rule=Rule.LAST_MODIFIED)


def _by_priority(definition: SettingDefinition, contenders: tuple[Contender, ...]) -> Decided | Conflict:
    best = min(map(priority_of, contenders))
    values = {contender.value for contender in contenders if priority_of(contender) == best}
    if len(values) == 1:
        return _decided(definition.id, values.pop(), Rule.PRIORITY, contenders)
    return Conflict(setting=definition.id, contenders=contenders, rule=Rule.PRIORITY)


def _extreme(values: Sequence[SettingValue], lists: Lists) -> frozenset[SettingValue]:
    """Return the list that is within all others, or around them, if there is one."""
    sized = sorted((value for value in values if isinstance(value, tuple)), key=len, reverse=lists is Lists.MORE)
    extreme = set(sized[0])
    fits = extreme.issuperset if lists is Lists.MORE else extreme.issubset
    return frozenset({sized[0]} if all(fits(other) for other in sized) else ())


def _weakness(catalog: Catalog, definition: SettingDefinition, item: Item) -> tuple[tuple[float, ...], tuple[Any, ...]]:
    """Return a sort key that puts the strongest item first and one without a known strength last."""
    ranks: list[float] = []
    for member in definition.children:
        strength = catalog.definition(member).strength
        rank = strength.rank(item.get(member)) if strength else None
        ranks.append(inf if rank is None else rank)
    return tuple(ranks), order_key(item)


def _decided(setting: SettingId, value: SettingValue, rule: Rule, contenders: tuple[Contender, ...]) -> Decided:
    policies = tuple(dict.fromkeys(contender.policy for contender in contenders))
    lost = _losers(value, rule, contenders)
    return Decided(
        setting=setting,
        value=value,
        winners=tuple(policy for policy in policies if policy not in lost) if lost else policies,
        losers=tuple(policy for policy in policies if policy in lost) if lost else (),
        rule=rule,
        contenders=contenders,
    )


def _losers(value: SettingValue, rule: Rule, contenders: tuple[Contender, ...]) -> frozenset[PolicyId]:
    """Return the policies that did not get what they wanted."""
    if rule in {Rule.ONLY, Rule.EQUAL}:
        return frozenset()
    if rule is Rule.UNION and isinstance(value, tuple):
        holds = set(value).issuperset
        return frozenset(each.policy for each in contenders if isinstance(each.value, tuple) and not holds(each.value))
    return frozenset(each.policy for each in contenders if each.value != value)


def _contender_order(contender: Contender) -> tuple[str, int, str]:
    return contender.policy, contender.revision, contender.modified_at
