"""Change sets as clients send them: several changes of policies that take effect together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import PolicyId, parse_policy_id
from shieldwall.contract.strict_json import convert
from shieldwall.server.graph.policy_bodies import read_assigned, read_draft
from shieldwall.server.graph.requests import is_annotation
from shieldwall.server.manager.assignments import Assigned
from shieldwall.server.manager.change_plans import Change, ChangeSet, Create, Delete, Key, Update, at
from shieldwall.server.manager.drafts import PolicyDraft

_SET: Final = frozenset({"reason", "expectedDeletes", "changes"})


def read_change_set(members: Mapping[str, Any], reason: str = "") -> ChangeSet:
    """Read a change set; its own reason comes before the one given with the request.

    Raises:
        ShieldwallError: As the single changes would raise it; the cause says by ``changes[n]`` which one it was.
    """
    _only(members, _SET, "a change set")
    changes = members.get("changes")
    if not isinstance(changes, list):
        raise InvalidJsonError("changes: expected a list.")
    return ChangeSet(
        changes=tuple(_change(index, change) for index, change in enumerate(changes)),
        expected_deletes=convert(members.get("expectedDeletes", 0), int),
        reason=convert(members.get("reason", ""), str).strip() or reason,
    )


def _change(index: int, value: Any) -> Change:
    with at(index):
        if not isinstance(value, dict):
            raise InvalidJsonError("Expected an object.")
        kind = value.get("kind")
        read = _KINDS.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise InvalidJsonError(f"kind: {str(kind)[:64]!r} is not one of {', '.join(_KINDS)}.")
        members = {name: member for name, member in value.items() if name != "kind" and not is_annotation(name)}
        return read(members)


def _create(members: Mapping[str, Any]) -> Create:
    _only(members, frozenset({"key", "policy", "assignments"}), "a change that creates")
    return Create(
        draft=read_draft(_policy(members.get("policy"))),
        assigned=_assigned(members) or (),
        key=Key(convert(members["key"], str)) if "key" in members else None,
    )


def _update(members: Mapping[str, Any]) -> Update:
    _only(members, frozenset({"id", "key", "revision", "policy", "assignments"}), "a change that updates")
    if ("id" in members) == ("key" in members):
        raise InvalidJsonError("Name the policy by its id, or by the key under which this set creates it.")
    named = Key(convert(members["key"], str)) if "key" in members else _id(members)
    policy = _policy(members["policy"]) if "policy" in members else None

    def edit(before: PolicyDraft) -> PolicyDraft:
        return read_draft(policy or {}, before)

    return Update(
        policy=named,
        draft=None if policy is None else edit,
        assigned=_assigned(members),
        expected_revision=_revision(members),
    )


def _delete(members: Mapping[str, Any]) -> Delete:
    _only(members, frozenset({"id", "revision"}), "a change that deletes")
    return Delete(policy_id=_id(members), expected_revision=_revision(members))


_KINDS: Final[Mapping[str, Callable[[Mapping[str, Any]], Change]]] = {
    "create": _create,
    "update": _update,
    "delete": _delete,
}


def _only(members: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    unknown = set(members) - known
    if unknown:
        raise InvalidJsonError(f"The member {min(unknown)[:128]!r} is not one of {what}.")


def _id(members: Mapping[str, Any]) -> PolicyId:
    return parse_policy_id(convert(members.get("id"), str))


def _revision(members: Mapping[str, Any]) -> int | None:
    return convert(members["revision"], int) if members.get("revision") is not None else None


def _policy(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidJsonError("policy: expected an object.")
    return {name: member for name, member in value.items() if not is_annotation(name)}


def _assigned(members: Mapping[str, Any]) -> list[Assigned] | None:
    return read_assigned(members["assignments"], "assignments") if "assignments" in members else None
