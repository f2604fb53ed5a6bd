"""Holding whoever acts to their scope, on the objects that are loaded for the change itself."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from shieldwall.contract.ids import GroupId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.grants import DEFAULT_TAG
from shieldwall.server.access.tagging import require_tags, tags_held, tags_of_new
from shieldwall.server.access.verdicts import OutOfScopeError
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.scope_tags import require_known
from shieldwall.server.storage.access import scoping


def require_scope(acting: Acting, action: ResourceAction, tags: Collection[str], what: str) -> None:
    """Refuse to do something to an object with these scope tags that lies outside the scope of who does it.

    Raises:
        OutOfScopeError: It does.
    """
    if not acting.access.sees(action, tags):
        raise OutOfScopeError(f"No role of yours grants {action.value} on {what}.")


def tags_for_new(
    connection: Connection, acting: Acting, action: ResourceAction, wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the tags of something new; where only the default one is wanted, an author who is narrowed gives theirs.

    Raises:
        OutOfScopeError: The author may make nothing of this kind.
        ScopeTagRefusedError: A tag is not the author's.
        UnknownScopeTagError: There is no such tag.
    """
    if not acting.access.may(action):
        raise OutOfScopeError(f"No role of yours grants {action.value}.")
    held = tags_held(acting.access, action)
    is_default = held is not None and DEFAULT_TAG not in held and set(wanted) <= {DEFAULT_TAG}
    tags = tags_of_new(acting.access, action, None if is_default else wanted)
    require_known(connection, acting.tenant_id, tags)
    return tags


def tags_for_copy(acting: Acting, action: ResourceAction, tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tags of a copy: of the original's those that its author holds."""
    held = tags_held(acting.access, action)
    return tags if held is None else tuple(tag for tag in tags if tag in held)


def require_tag_change(
    connection: Connection,
    acting: Acting,
    action: ResourceAction,
    before: tuple[str, ...],
    wanted: tuple[str, ...],
) -> None:
    """Refuse a change of tags that who makes it does not hold, or that names tags which are not there.

    Raises:
        ScopeTagRefusedError: A tag is not theirs.
        UnknownScopeTagError: There is no such tag.
    """
    require_tags(acting.access, action, before, wanted)
    require_known(connection, acting.tenant_id, set(wanted) - set(before))


def sees_group(connection: Connection, acting: Acting, group_id: GroupId) -> bool:
    """Tell whether a group is there for who acts."""
    scopes = acting.access.scopes(ResourceAction.READ_GROUPS)
    if any(scope.tags is None for scope in scopes):
        return True
    tags = scoping.tags_of_group(connection, acting.tenant_id, group_id) or frozenset({DEFAULT_TAG})
    return any(scope.shows(tags) or group_id in (scope.groups or ()) for scope in scopes)


def require_target(acting: Acting, group_id: GroupId | None) -> None:
    """Refuse to assign a policy to a group, or to all devices, beyond the scope groups of who assigns it.

    Raises:
        OutOfScopeError: It lies beyond.
    """
    scopes = acting.access.scopes(ResourceAction.ASSIGN_POLICIES)
    if any(scope.groups is None or group_id in scope.groups for scope in scopes):
        return
    target = "all devices" if group_id is None else f"the group {group_id}"
    raise OutOfScopeError(f"No role of yours lets you assign policies to {target}.")
