"""References between objects: ids on the server, names in files.

A policy refers to groups and filters in its assignments, and to reusable settings in values of the kind reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from shieldwall.cli.declared.objects import Json, Kind

Names: TypeAlias = Mapping[Kind, Mapping[str, str]]
"""For each kind, what one word for an object is in the other: names by id, or ids by name."""

_REFERENCE: Final = "#microsoft.graph.deviceManagementConfigurationReferenceSettingValue"
_FILTER_ID: Final = "deviceAndAppManagementAssignmentFilterId"
_FILTER_TYPE: Final = "deviceAndAppManagementAssignmentFilterType"
_NO_FILTER: Final = frozenset({None, "", "none"})
_SPOKEN_OF: Final = frozenset({_FILTER_ID, _FILTER_TYPE, "groupId", "groupName", "groupType", "membershipRule"})
"""What stands in a target for its filter and group; backup tools write name, type and rule of the group there."""

_Replace: TypeAlias = Callable[[Kind, str], str]


def with_names(policy: Json, names: Names) -> Json:
    """Put names in the place of ids; an id that nobody has a name for stays."""
    return _replaced(policy, lambda kind, word: names.get(kind, {}).get(word, word), group_member="groupName")


def with_ids(policy: Json, ids: Names) -> Json:
    """Put ids in the place of names; what is an id already stays. Raises: KeyError with what is unknown."""
    known = {kind: frozenset(by_name.values()) for kind, by_name in ids.items()}

    def id_of(kind: Kind, word: str) -> str:
        if (found := ids[kind].get(word)) is not None:
            return found
        if word in known[kind]:
            return word
        raise KeyError((kind, word))

    return _replaced(policy, id_of, group_member="groupId")


def references_of(policy: Json) -> list[tuple[Kind, str]]:
    """List what a policy refers to, by the words that stand in it."""
    found: list[tuple[Kind, str]] = []

    def note(kind: Kind, word: str) -> str:
        found.append((kind, word))
        return word

    _replaced(policy, note, group_member="groupName")
    return found


def settings_references_of(policy: Json) -> list[str]:
    """List the reusable settings that a policy refers to."""
    return [word for kind, word in references_of(policy) if kind is Kind.REUSABLE_SETTING]


def _replaced(policy: Json, replace: _Replace, *, group_member: str) -> Json:
    changed = dict(policy)
    if "settings" in policy:
        changed["settings"] = _in_settings(policy["settings"], replace)
    if policy.get("assignments") is not None:
        changed["assignments"] = [
            {"target": dict(_in_target(each["target"], replace, group_member))} for each in policy["assignments"]
        ]
    return changed


def _in_settings(value: Any, replace: _Replace) -> Any:
    match value:
        case {"@odata.type": kind, "value": str(word)} if kind == _REFERENCE:
            return {**value, "value": replace(Kind.REUSABLE_SETTING, word.strip())}
        case dict():
            return {name: _in_settings(member, replace) for name, member in value.items()}
        case list():
            return [_in_settings(item, replace) for item in value]
        case _:
            return value


def _in_target(target: Json, replace: _Replace, group_member: str) -> Iterator[tuple[str, Any]]:
    group = target.get("groupName") or target.get("groupId")
    chosen = target.get(_FILTER_ID)
    if isinstance(chosen, str) and chosen and target.get(_FILTER_TYPE) not in _NO_FILTER:
        yield _FILTER_ID, replace(Kind.FILTER, chosen.strip())
        yield _FILTER_TYPE, target[_FILTER_TYPE]
    for name, value in target.items():
        if name not in _SPOKEN_OF:
            yield name, value
    if isinstance(group, str):
        yield group_member, replace(Kind.GROUP, group.strip())
