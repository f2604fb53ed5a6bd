"""Decide what holds on a device that several policies speak to. The same function runs on the server and on the device.

Setting by setting: who contends, do their values differ, and does the setting's rule decide? Published behaviour per
family is in the catalog as each definition's ``merge``; the order of policies never matters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from math import inf
from types import MappingProxyType
from typing import Any, TypeAlias

from shieldwall.catalog.model import Catalog, Kind, Merge, SettingDefinition
from shieldwall.contract.ids import PolicyId, SettingId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.policy.flatten import flatten
from shieldwall.policy.values import Item, SettingValue, as_set, order_key


class Rule(StrEnum):
    """What decided, or for a conflict what did not."""

    ONLY = "only"
    EQUAL = "equal"
    UNION = "union"
    MOST_SECURE = "mostSecure"
    LAST_MODIFIED = "lastModified"
    DIFFERING = "differing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A policy that sets the setting, and to what."""

    policy: PolicyId
    policy_name: str
    value: SettingValue
    modified_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The setting has a value. Winners wanted just that, or find all their items in it; losers do not."""

    setting: SettingId
    value: SettingValue
    winners: tuple[PolicyId, ...]
    losers: tuple[PolicyId, ...]
    rule: Rule
    contenders: tuple[Contender, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Values differ and the rule does not decide: the setting keeps its state from before management."""

    setting: SettingId
    contenders: tuple[Contender, ...]
    rule: Rule


Resolution: TypeAlias = Decided | Conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePolicy:
    """The outcome for every setting that any policy speaks about, in the order of setting ids."""

    settings: Mapping[SettingId, Resolution]

    def decided(self) -> Mapping[SettingId, SettingValue]:
        """Return the values to enforce; settings in conflict are not among them."""
        return {
            setting: resolution.value
            for setting, resolution in self.settings.items()
            if isinstance(resolution, Decided)
        }

    def conflicts(self) -> tuple[Conflict, ...]:
        """Return the settings on which the policies could not be brought together."""
        return tuple(resolution for resolution in self.settings.values() if isinstance(resolution, Conflict))


def resolve(catalog: Catalog, documents: Iterable[PolicyDocument]) -> EffectivePolicy:
    """Bring policies together, setting by setting. Pure; the order of ``documents`` does not matter.

    Raises:
        UnknownSettingError: A policy sets what the catalog does not know.
        MismatchedSettingError: A policy sets a value of another shape than its definition.
    """
    contenders: defaultdict[SettingId, list[Contender]] = defaultdict(list)
    for document in documents:
        for setting, value in flatten(catalog, document).items():
            contenders[setting].append(
                Contender(
                    policy=document.policy_id,
                    policy_name=document.name,
                    value=value,
                    modified_at=document.modified_at,
                )
            )
    return EffectivePolicy(
        settings=MappingProxyType(
            {
                setting: decide(catalog, catalog.definition(setting), contenders[setting])
                for setting in sorted(contenders)
            }
        )
    )


def decide(catalog: Catalog, definition: SettingDefinition, contenders: Iterable[Contender]) -> Resolution:
    """Decide one setting among at least one contender."""
    ordered = tuple(sorted(contenders, key=_contender_order))
    values = {contender.value for contender in ordered}
    alike = Rule.ONLY if len(ordered) == 1 else Rule.EQUAL
    if definition.merge is Merge.UNION:
        united = _union(catalog, definition, ordered)
        return _decided(definition.id, united, alike if len(values) == 1 else Rule.UNION, ordered)
    if len(values) == 1:
        return _decided(definition.id, ordered[0].value, alike, ordered)
    if definition.merge is not Merge.MOST_SECURE:
        return Conflict(setting=definition.id, contenders=ordered, rule=Rule.DIFFERING)
    for rule, choose in ((Rule.MOST_SECURE, _strongest), (Rule.LAST_MODIFIED, _last_modified)):
        if (value := choose(definition, ordered)) is not None:
            return _decided(definition.id, value, rule, ordered)
    return Conflict(setting=definition.id, contenders=ordered, rule=Rule.LAST_MODIFIED)


def explain(catalog: Catalog, resolution: Resolution) -> str:
    """Say in one sentence what holds and why."""
    definition = catalog.definition(resolution.setting)
    names = {contender.policy: contender.policy_name for contender in resolution.contenders}
    if isinstance(resolution, Decided):
        value = _shown(definition, resolution.value)
        return f"{definition.display_name} is {value} because {_reason(resolution, names)}."
    undecided = "" if resolution.rule is Rule.DIFFERING else ", none is known to be stronger and none was modified last"
    return f"{definition.display_name} is left as it was: the values of {_listed(names.values())} differ{undecided}."


def _reason(decided: Decided, names: Mapping[PolicyId, str]) -> str:
    everybody = _listed(names.values())
    won = _listed(names[policy] for policy in decided.winners)
    lost = _listed(names[policy] for policy in decided.losers)
    match decided.rule:
        case Rule.ONLY:
            return f"only {everybody} sets it"
        case Rule.EQUAL:
            return f"{everybody} agree"
        case Rule.UNION:
            return f"the items of {everybody} count together" + (
                f"; stronger ones replace some of {lost}" if lost else ""
            )
        case Rule.MOST_SECURE:
            return f"the value of {won} is the strongest in our order, stronger than that of {lost}"
        case Rule.LAST_MODIFIED:
            return f"{won} was modified last; {lost} lost"
        case Rule.DIFFERING:
            return f"{everybody} differ"


def _shown(definition: SettingDefinition, value: SettingValue) -> str:
    match value:
        case tuple():
            return f"a list of {len(value)}"
        case str() if option := definition.option(value):
            return option.display_name
        case _ if definition.kind is Kind.SIMPLE_SECRET:
            return "a secret"
        case _:
            return str(value)


def _listed(names: Iterable[str]) -> str:
    *most, last = sorted(names) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _contender_order(contender: Contender) -> tuple[object, ...]:
    return contender.policy, contender.modified_at, contender.policy_name, order_key(contender.value)


def _decided(setting: SettingId, value: SettingValue, rule: Rule, contenders: tuple[Contender, ...]) -> Decided:
    lost = {contender.policy for contender in contenders if not _got(contender.value, value, rule)}
    policies = tuple(dict.fromkeys(contender.policy for contender in contenders))
    return Decided(
        setting=setting,
        value=value,
        winners=tuple(policy for policy in policies if policy not in lost),
        losers=tuple(policy for policy in policies if policy in lost),
        rule=rule,
        contenders=contenders,
    )


def _got(wanted: SettingValue, value: SettingValue, rule: Rule) -> bool:
    if rule is Rule.UNION and isinstance(wanted, tuple) and isinstance(value, tuple):
        return set(wanted) <= set(value)
    return wanted == value


def _strongest(definition: SettingDefinition, contenders: tuple[Contender, ...]) -> SettingValue | None:
    """Return the strongest value, ``None`` unless the order of strength speaks about every one of them."""
    if definition.strength is None:
        return None
    ranked: dict[int, SettingValue] = {}
    for contender in contenders:
        rank = definition.strength.rank(contender.value)
        if rank is None:
            return None
        ranked[rank] = contender.value
    return ranked[min(ranked)]


def _last_modified(_definition: SettingDefinition, contenders: tuple[Contender, ...]) -> SettingValue | None:
    """Return the value of the policy modified last, ``None`` when several were and want different values."""
    moments = [_moment(contender.modified_at) for contender in contenders]
    newest = {contender.value for contender, moment in zip(contenders, moments, strict=True) if moment == max(moments)}
    return newest.pop() if len(newest) == 1 else None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)  # no moment we can read is never the latest
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _union(catalog: Catalog, definition: SettingDefinition, contenders: tuple[Contender, ...]) -> SettingValue:
    items = as_set(part for contender in contenders if isinstance(contender.value, tuple) for part in contender.value)
    if not definition.identity:
        return items
    # Of items with the same identity the strongest stays: a union never says two things about one subject.
    kept: dict[tuple[SettingValue | None, ...], Item] = {}
    for item in sorted((item for item in items if isinstance(item, Item)), key=partial(_weakness, catalog, definition)):
        kept.setdefault(tuple(item.get(member) for member in definition.identity), item)
    return as_set(kept.values())


def _weakness(catalog: Catalog, definition: SettingDefinition, item: Item) -> tuple[tuple[float, ...], tuple[Any, ...]]:
    """Return a sort key that puts the strongest item first and one without a known strength last."""
    ranks: list[float] = []
    for member in definition.children:
        strength = catalog.definition(member).strength
        rank = strength.rank(item.get(member)) if strength else None
        ranks.append(inf if rank is None else rank)
    return tuple(ranks), order_key(item)
