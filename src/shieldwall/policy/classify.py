"""Does a change make devices safer? From the catalog's orders of strength, all of which are ours.

What no order speaks about weakens: whoever could weaken a fleet by what we do not know would find it. Where no policy
says anything, a device is in its state from before management and nobody holds it there, so what the product does by
itself is trusted only between the extremes: setting the weakest value weakens, and so does leaving a setting that stood
on anything better. One law holds this together: where a change strengthens, going back weakens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from shieldwall.catalog.model import Catalog, Lists, SettingDefinition, Strength
from shieldwall.contract.ids import SettingId
from shieldwall.policy.deciding import subject_of
from shieldwall.policy.values import Item, SettingValue


class ChangeClass(StrEnum):
    """What a change does to the protection of a device."""

    NEUTRAL = "neutral"
    STRENGTHEN = "strengthen"
    CONNECTIVITY_RISK = "connectivityRisk"
    """It protects, and can cut the device off from its network."""
    WEAKEN = "weaken"


_GRAVITY: Final = (
    ChangeClass.NEUTRAL,
    ChangeClass.STRENGTHEN,
    ChangeClass.CONNECTIVITY_RISK,
    ChangeClass.WEAKEN,
)


def gravest(classes: Iterable[ChangeClass]) -> ChangeClass:
    """Return the class of a change made of parts; one without parts is neutral."""
    return max(classes, key=_GRAVITY.index, default=ChangeClass.NEUTRAL)


def classify(
    catalog: Catalog, setting: SettingId, before: SettingValue | None, after: SettingValue | None
) -> ChangeClass:
    """Classify one setting's change; ``None`` stands for a setting that no policy sets."""
    definition = catalog.definitions.get(setting)
    if before == after:
        return ChangeClass.NEUTRAL
    if definition is None:
        return ChangeClass.WEAKEN
    if definition.identity:
        return _subjects(catalog, definition, _parts(before), _parts(after))
    if definition.strength is None:
        return ChangeClass.WEAKEN
    return _by_strength(catalog, definition, definition.strength, before, after)


def classify_all(
    catalog: Catalog, before: Mapping[SettingId, SettingValue], after: Mapping[SettingId, SettingValue]
) -> Mapping[SettingId, ChangeClass]:
    """Classify every setting that differs between two sets of values, in the order of setting ids."""
    return {
        setting: classify(catalog, setting, before.get(setting), after.get(setting))
        for setting in sorted(before.keys() | after.keys())
        if before.get(setting) != after.get(setting)
    }


def _by_strength(
    catalog: Catalog,
    definition: SettingDefinition,
    strength: Strength,
    before: SettingValue | None,
    after: SettingValue | None,
) -> ChangeClass:
    if strength.neutral:
        return ChangeClass.CONNECTIVITY_RISK if strength.connectivity else ChangeClass.NEUTRAL
    if strength.lists is not None:
        if strength.unset_differs and (before is None or after is None):
            return ChangeClass.WEAKEN
        return _lists(catalog, definition, strength, _parts(before), _parts(after))
    if before is None:
        return _first(definition, strength, after)
    if after is None and not strength.is_weakest(before):
        return ChangeClass.WEAKEN
    return _single(strength, before, _or_default(definition, after))


def _first(definition: SettingDefinition, strength: Strength, after: SettingValue | None) -> ChangeClass:
    """Classify a value where there was none."""
    if strength.is_weakest(after):
        return ChangeClass.WEAKEN
    found = _single(strength, _or_default(definition, None), after)
    if found is ChangeClass.NEUTRAL and strength.connectivity:  # somebody may have switched it off on the device
        return ChangeClass.CONNECTIVITY_RISK
    return found


def _single(
    strength: Strength | None,
    before: SettingValue | None,
    after: SettingValue | None,
) -> ChangeClass:
    if before == after:
        return ChangeClass.NEUTRAL
    if strength is None or after is None:
        return ChangeClass.WEAKEN
    rank = strength.rank(after)
    if before is None:  # whatever the product does by itself, nothing is stronger than the strongest
        better = bool(strength.options) and rank == 0 and after not in strength.unordered
    else:
        former = strength.rank(before)
        if before in strength.equal and after in strength.equal:
            return ChangeClass.NEUTRAL
        better = rank is not None and former is not None and rank < former
    if not better:
        return ChangeClass.WEAKEN
    return ChangeClass.CONNECTIVITY_RISK if strength.connectivity else ChangeClass.STRENGTHEN


def _lists(
    catalog: Catalog,
    definition: SettingDefinition,
    strength: Strength,
    before: frozenset[SettingValue],
    after: frozenset[SettingValue],
) -> ChangeClass:
    added, removed = after - before, before - after
    match strength.lists:
        case Lists.FEWER:
            harmful, helpful = added, removed
        case Lists.MORE:
            harmful, helpful = removed, added
        case _:
            return gravest(
                [
                    *(_rule(catalog, definition, strength, rule, comes=True) for rule in added),
                    *(_rule(catalog, definition, strength, rule, comes=False) for rule in removed),
                ]
            )
    if harmful:
        return ChangeClass.WEAKEN
    if helpful:
        return ChangeClass.CONNECTIVITY_RISK if strength.connectivity else ChangeClass.STRENGTHEN
    return ChangeClass.NEUTRAL


def _rule(
    catalog: Catalog, definition: SettingDefinition, strength: Strength, rule: SettingValue, *, comes: bool
) -> ChangeClass:
    """Classify a firewall rule that comes or goes: one that blocks protects, one that allows is a hole."""
    if strength.off is not None and _said(catalog, definition, rule, strength.off) == strength.off:
        return ChangeClass.NEUTRAL
    action = _said(catalog, definition, rule, strength.blocks)
    if action is None:  # nobody knows what such a rule does
        return ChangeClass.WEAKEN
    return ChangeClass.CONNECTIVITY_RISK if (action == strength.blocks) == comes else ChangeClass.WEAKEN


def _said(catalog: Catalog, definition: SettingDefinition, rule: SettingValue, option: str | None) -> object:
    """Return what the member with this option is set to, or what it is by default; ``None`` where neither is known."""
    if option is None or not isinstance(rule, Item):
        return None
    for member in definition.children:
        found = catalog.definitions.get(member)
        if found is not None and found.option(option) is not None:
            value = rule.get(member)
            return found.default if value is None else value
    return None


def _subjects(
    catalog: Catalog,
    definition: SettingDefinition,
    before: frozenset[SettingValue],
    after: frozenset[SettingValue],
) -> ChangeClass:
    """Classify lists that say one thing about each subject, such as what to do with each type of threat."""
    was = {subject_of(definition, item): item for item in before}
    now = {subject_of(definition, item): item for item in after}
    return gravest(
        _members(catalog, definition, was.get(subject), now.get(subject)) for subject in was.keys() | now.keys()
    )


def _members(
    catalog: Catalog, definition: SettingDefinition, before: SettingValue | None, after: SettingValue | None
) -> ChangeClass:
    if before == after:
        return ChangeClass.NEUTRAL
    others = [member for member in definition.children if member not in definition.identity]
    return gravest(
        _single(
            catalog.definition(member).strength,
            before.get(member) if isinstance(before, Item) else None,
            after.get(member) if isinstance(after, Item) else None,
        )
        for member in others
    )


def _or_default(definition: SettingDefinition, value: SettingValue | None) -> SettingValue | None:
    """Return what the product does by itself where no policy says anything, ``None`` where nobody knows."""
    if value is not None:
        return value
    default = definition.landing_default
    if default is not None and definition.options:
        return next(
            (
                each.item_id
                for each in definition.options
                if type(each.value) is type(default) and each.value == default
            ),
            None,
        )
    if isinstance(default, str | int) and not isinstance(default, bool):
        return default
    return definition.default if definition.windows is not None else None


def _parts(value: SettingValue | None) -> frozenset[SettingValue]:
    return frozenset(value) if isinstance(value, tuple) else frozenset()
