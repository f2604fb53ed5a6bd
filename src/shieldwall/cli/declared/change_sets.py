"""What a plan sends to the server: bodies with ids, and one change set for all policies.

Before the groups, filters and reusable settings of a plan are made, nobody knows their ids. ``countable`` is the part
of a change set that can be previewed all the same; it says what it had to leave out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shieldwall.cli.declared.objects import Json, Kind, Present
from shieldwall.cli.declared.planning import Action, Change, Plan
from shieldwall.cli.declared.references import Names, settings_references_of, with_ids

_ODD: Final = re.compile(r"[^A-Za-z0-9]")
_LONGEST_NICKNAME: Final = 64
_FILTER: Final = "deviceAndAppManagementAssignmentFilterId"
_PLACE: Final = re.compile(r"changes\[(\d+)\]")
_MEMBERS: Final = {"template": "templateReference", "priority": "priorityMetaData"}
"""Members of a policy that are compared under another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Countable:
    """A change set as far as its effect can be known beforehand, and what cannot, one line each.

    ``names`` are those of the policies in it, change by change.
    """

    body: Json
    names: tuple[str, ...]
    is_whole: bool
    unknown: tuple[str, ...]


def ids_of(present: list[Present]) -> dict[Kind, dict[str, str]]:
    """Return the ids of what is there, by kind and name."""
    return {kind: {each.name: each.id for each in present if each.kind is kind} for kind in Kind}


def change_set(plan: Plan, ids: Names, reason: str) -> Json:
    """Write all changes of policies as one change set. Raises: KeyError when a reference leads nowhere."""
    return _body(
        [_entry(change, with_ids(change.document or {}, ids)) for change in plan.of(Kind.POLICY)], plan, reason
    )


def countable(plan: Plan, ids: Names, reason: str) -> Countable:
    """Write the part of the change set whose effect can be known before what is new has been made."""
    new = {(change.kind, change.name): change for change in plan.changes if change.action is Action.CREATE}
    entries: list[Json] = []
    names: list[str] = []
    unknown: list[str] = []
    for change in plan.of(Kind.POLICY):
        document = dict(change.document or {})
        missing = [name for name in settings_references_of(document) if (Kind.REUSABLE_SETTING, name) in new]
        if missing:
            unknown.append(f"The policy {change.name!r} refers to {missing[0]!r}, which is new.")
            continue
        if document.get("assignments") is not None:
            document["assignments"] = [
                each for each in document["assignments"] if not _is_new(each["target"], new, change.name, unknown)
            ]
        entries.append(_entry(change, with_ids(document, ids)))
        names.append(change.name)
    republishing = [
        f"Every policy that refers to the reusable setting {change.name!r} is published again."
        for change in plan.of(Kind.REUSABLE_SETTING, Action.CHANGE)
    ]
    body = _body(entries, plan, reason)
    return Countable(body=body, names=tuple(names), is_whole=not unknown, unknown=(*unknown, *republishing))


def created(change: Change) -> Json:
    """Write the body that makes a group, filter or reusable setting."""
    document = dict(change.document or {})
    if change.kind is not Kind.GROUP:
        return document
    nickname = document.get("mailNickname") or _ODD.sub("", change.name)[:_LONGEST_NICKNAME] or "group"
    rule = {"membershipRule": document["membershipRule"]} if document.get("membershipRule") else {}
    kinds = {"groupTypes": ["DynamicMembership"] if rule else [], "mailEnabled": False, "securityEnabled": True}
    named = {"displayName": change.name, "description": document["description"], "mailNickname": nickname}
    return named | kinds | rule


def _body(entries: list[Json], plan: Plan, reason: str) -> Json:
    deletes = len(plan.of(Kind.POLICY, Action.DELETE))
    return {"reason": reason, "expectedDeletes": deletes, "changes": entries}


def in_names(text: str, names: Sequence[str]) -> str:
    """Say which policy is meant where a text of the server names a change by its number."""

    def name(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"policy {names[number]!r}" if number < len(names) else found[0]

    return _PLACE.sub(name, text)


def _entry(change: Change, document: Json) -> Json:
    assigned = document.pop("assignments", None)
    if change.present is None:
        assignments = {} if assigned is None else {"assignments": assigned}
        return {"kind": "create", "key": change.name, "policy": document} | assignments
    named = {"id": change.present.id, "revision": change.present.revision}
    if change.action is Action.DELETE:
        return {"kind": "delete"} | named
    members = [_MEMBERS.get(member, member) for member in change.members if member != "assignments"]
    policy = {"policy": {member: document[member] for member in members}} if members else {}
    return {"kind": "update"} | named | policy | ({"assignments": assigned} if "assignments" in change.members else {})


def _is_new(target: Json, new: Mapping[tuple[Kind, str], Change], policy: str, unknown: list[str]) -> bool:
    """Tell whether an assignment names what is not there yet; nobody belongs to a new group without a rule."""
    group = new.get((Kind.GROUP, str(target.get("groupName"))))
    chosen = new.get((Kind.FILTER, str(target.get(_FILTER))))
    filled = group if group is not None and (group.document or {}).get("membershipRule") else None
    deciding = chosen or filled
    if deciding is not None:
        unknown.append(f"The policy {policy!r} is assigned with {deciding.name!r}, which is new.")
    return group is not None or chosen is not None
