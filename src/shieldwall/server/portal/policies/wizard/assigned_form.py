"""Whom a policy reaches, as fields of a form and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import AssignmentFilterId, GroupId, parse_assignment_filter_id, parse_group_id
from shieldwall.server.manager.assignments import Assigned
from shieldwall.server.storage.records import AssignmentKind, FilterKind

EVERYBODY: Final = "everybody"
GROUP: Final = "group"
ADD: Final = "add"
ALL: Final = "all"
_REMOVE: Final = "remove"


def read_assigned(before: Sequence[Assigned], sent: Mapping[str, Sequence[str]]) -> tuple[Assigned, ...]:
    """Read whom a form names: the groups that stood there, in their order, then those that were ticked to be added.

    A form that did not show a group leaves it as it is.
    """
    found = [changed for each in before if (changed := _stood(each, sent)) is not None]
    if _last(sent, EVERYBODY) == "on" and all(each.group_id is not None for each in before):
        found.insert(0, _narrowed(AssignmentKind.ALL_DEVICES, None, sent, ALL))
    named = {each.group_id for each in found}
    for text in dict.fromkeys(sent.get(ADD, ())):
        group = _group(text)
        if group is not None and group not in named:
            found.append(_narrowed(AssignmentKind.INCLUDE, group, sent, group))
    return tuple(found)


def _stood(before: Assigned, sent: Mapping[str, Sequence[str]]) -> Assigned | None:
    if before.group_id is None:
        if "shown" not in sent:
            return before
        ticked = _last(sent, EVERYBODY) == "on"
        return _narrowed(AssignmentKind.ALL_DEVICES, None, sent, ALL) if ticked else None
    if before.group_id not in sent.get(GROUP, ()):
        return before
    kind = _last(sent, f"kind:{before.group_id}")
    if kind == _REMOVE:
        return None
    excluded = AssignmentKind.EXCLUDE if kind == AssignmentKind.EXCLUDE else AssignmentKind.INCLUDE
    return _narrowed(excluded, before.group_id, sent, before.group_id)


def _narrowed(kind: AssignmentKind, group: GroupId | None, sent: Mapping[str, Sequence[str]], key: str) -> Assigned:
    """Read the filter beside a group; an exclusion is for whole groups."""
    chosen = _filter(_last(sent, f"filter:{key}"))
    if chosen is None or kind is AssignmentKind.EXCLUDE:
        return Assigned(kind=kind, group_id=group)
    excluding = _last(sent, f"mode:{key}") == FilterKind.EXCLUDE
    mode = FilterKind.EXCLUDE if excluding else FilterKind.INCLUDE
    return Assigned(kind=kind, group_id=group, filter_id=chosen, filter_kind=mode)


def _group(text: str) -> GroupId | None:
    try:
        return parse_group_id(text)
    except InvalidIdError:
        return None


def _filter(text: str) -> AssignmentFilterId | None:
    try:
        return parse_assignment_filter_id(text)
    except InvalidIdError:
        return None


def _last(sent: Mapping[str, Sequence[str]], name: str) -> str:
    values = sent.get(name, ())
    return values[-1] if values else ""
