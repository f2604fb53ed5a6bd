"""What Defender shows of a setting, compared with what is wanted of it. Pure.

Source: Microsoft, *MSFT_MpPreference* and *Get-MpPreference*, for the types of properties: yes and no, numbers, lists,
times as ``hh:mm:ss``, and pairs of lists for attack surface reduction rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from shieldwall.agent.host.cim import CimValue
from shieldwall.agent.host.registry.model import same_name
from shieldwall.agent.providers.windows_defender.landings import (
    Landing,
    PolicyNames,
    PolicyText,
    Preference,
    RuleExclusions,
    RuleMode,
    ThreatSeverity,
)
from shieldwall.agent.providers.windows_defender.policies import CLOUD_PROTECTION, LIST_SEPARATOR, number_of
from shieldwall.catalog.model import Kind, SettingDefinition
from shieldwall.policy.values import SettingValue, as_set

_TIME: Final = re.compile(r"(?:\d{4}-\d\d-\d\dT)?(\d{1,2}):(\d\d)(?::\d\d(?:\.\d+)?)?Z?\Z")
_HIDDEN: Final = "N/A:"
"""How Defender answers somebody who may not see a list."""
_IDS: Final = "AttackSurfaceReductionRules_Ids"
_ACTIONS: Final = "AttackSurfaceReductionRules_Actions"
_PER_RULE: Final = "AttackSurfaceReductionRules_RuleSpecificExclusions"
_PER_RULE_IDS: Final = _PER_RULE + "_Id"
_MINUTES_AN_HOUR: Final = 60


def value_shown(
    definition: SettingDefinition,
    place: Landing,
    preferences: Mapping[str, CimValue],
    status: Mapping[str, CimValue],
) -> SettingValue | None:
    """Return the setting as Defender shows it, as a policy would say it; ``None`` where it does not show it.

    A number in place of an option is one that no policy could ask for.
    """
    windows = definition.windows
    match place:
        case RuleMode():
            return _option(definition, _mode(preferences, place.guid))
        case RuleExclusions():
            return _rule_exclusions(preferences, place.guid)
    if windows is None:
        return None
    if windows.preference is not None:
        found = preferences.get(windows.preference)
        return _from_property(definition, place, found, inverted=windows.preference_inverted)
    found = status.get(windows.status) if windows.status else None
    return _option(definition, int(found)) if isinstance(found, bool) else None


def holds(definition: SettingDefinition, place: Landing, wanted: SettingValue, found: SettingValue) -> bool:
    """Say whether what is shown is what is wanted. A list may hold more: others may add to it."""
    if isinstance(wanted, tuple) and isinstance(found, tuple):
        if isinstance(place, PolicyText) or definition.kind is Kind.CHOICE_COLLECTION:
            return _folded(wanted) == _folded(found)
        return set(_folded(wanted)) <= set(_folded(found))
    return wanted == found


def _from_property(
    definition: SettingDefinition, place: Landing, found: CimValue, *, inverted: bool
) -> SettingValue | None:
    if isinstance(place, PolicyNames):
        return _list(found)
    if isinstance(place, PolicyText):
        return _joined(definition, found)
    number = _number(found)
    if number is None:
        return None
    if inverted:
        number = 1 - number
    if definition.id == CLOUD_PROTECTION:
        number = min(number, 1)
    if definition.kind is Kind.SIMPLE_INTEGER:
        return number
    option = _option(definition, number)
    if option is None:
        return number  # something else than any policy would say
    return (option,) if definition.kind is Kind.CHOICE_COLLECTION else option


def _number(found: CimValue) -> int | None:
    if isinstance(found, bool | int):
        return int(found)
    time = _TIME.match(found) if isinstance(found, str) else None
    return None if time is None else int(time[1]) * _MINUTES_AN_HOUR + int(time[2])


def _list(found: CimValue) -> tuple[str, ...] | None:
    if found is None:
        return ()
    if not isinstance(found, Sequence) or isinstance(found, str):
        return None
    texts = [item for item in found if isinstance(item, str)]
    if any(text.startswith(_HIDDEN) for text in texts):
        return None
    return tuple(str(item) for item in as_set(texts))


def _joined(definition: SettingDefinition, found: CimValue) -> SettingValue | None:
    if not isinstance(found, str):
        return None
    if definition.kind is Kind.SIMPLE_STRING:
        return found
    return tuple(part for each in found.strip("{}").split(LIST_SEPARATOR) if (part := each.strip()))


def _mode(preferences: Mapping[str, CimValue], guid: str) -> int | None:
    """Return a rule's mode; a rule that is not listed is off."""
    modes = dict(_pairs(preferences, _IDS, _ACTIONS))
    mode = modes.get(guid, 0)
    return mode if isinstance(mode, int) else None


def _rule_exclusions(preferences: Mapping[str, CimValue], guid: str) -> tuple[str, ...] | None:
    if _PER_RULE_IDS not in preferences and _PER_RULE not in preferences:
        return None
    texts = [text for rule, text in _pairs(preferences, _PER_RULE_IDS, _PER_RULE) if rule == guid]
    # What Defender shows is joined by | and what its policy holds by >: both have been seen.
    parts = [part for text in texts if isinstance(text, str) for part in re.split(r"[|>]", text) if part]
    return tuple(str(part) for part in as_set(parts))


def _pairs(preferences: Mapping[str, CimValue], names: str, values: str) -> list[tuple[str, CimValue]]:
    ids, found = preferences.get(names), preferences.get(values)
    if not isinstance(ids, Sequence) or not isinstance(found, Sequence):
        return []
    return [(str(each).lower(), value) for each, value in zip(ids, found, strict=False)]


def _option(definition: SettingDefinition, number: int | None) -> str | None:
    if number is None:
        return None
    return next((each.item_id for each in definition.options if number_of(definition, each.item_id) == number), None)


def _folded(items: tuple[SettingValue, ...]) -> tuple[str, ...]:
    return tuple(same_name(str(item)) for item in items)


def is_shown(definition: SettingDefinition, place: Landing) -> bool:
    """Say whether Defender has a way to show a setting at all."""
    windows = definition.windows
    if isinstance(place, RuleMode | RuleExclusions | ThreatSeverity | Preference):
        return True
    return windows is not None and (windows.preference is not None or windows.status is not None)
