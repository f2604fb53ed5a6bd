"""Roles that a tenant makes itself. Nobody puts more into one than they hold in the whole tenant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.giving import require_no_more
from shieldwall.server.access.grants import DEFAULT_TAG, Access, Grant
from shieldwall.server.access.roles import BUILT_IN, Role
from shieldwall.server.directory import scope_tags
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.invalid_role import BuiltInRoleError, InvalidRoleError
from shieldwall.server.directory.names import is_name, is_text
from shieldwall.server.storage.access import role_assignments, roles
from shieldwall.server.storage.access.roles import CustomRole
from shieldwall.server.storage.errors import NotFoundError, StillReferencedError

MOST_ROLES: Final = 200
_MOST_DESCRIPTION: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDraft:
    """A role as an administrator wants it.

    Raises:
        InvalidRoleError: A part is too long, missing or holds what it may not.
    """

    display_name: str
    description: str = ""
    actions: frozenset[ResourceAction] = frozenset()
    scope_tag_ids: tuple[str, ...] = (DEFAULT_TAG,)

    def __post_init__(self) -> None:
        """Refuse to exist when wrong."""
        if not is_name(self.display_name):
            raise InvalidRoleError("A role's name has 1 to 256 plain characters.", member="displayName")
        if not is_text(self.description, _MOST_DESCRIPTION):
            cause = f"A role's description has at most {_MOST_DESCRIPTION} plain characters."
            raise InvalidRoleError(cause, member="description")


def draft_of_role(role: Role) -> RoleDraft:
    """Return the draft that a role could have been made of."""
    return RoleDraft(
        display_name=role.display_name,
        description=role.description,
        actions=role.actions,
        scope_tag_ids=role.scope_tag_ids,
    )


def get_role(connection: Connection, tenant_id: TenantId, role_id: str) -> Role:
    """Return a role, built in or the tenant's own. Raises: NotFoundError."""
    return BUILT_IN.get(role_id.lower()) or get_custom(connection, tenant_id, role_id).role


def get_custom(connection: Connection, tenant_id: TenantId, role_id: str) -> CustomRole:
    """Return a role to be changed.

    Raises:
        BuiltInRoleError: It is built in.
        NotFoundError: There is no such role.
    """
    if role_id.lower() in BUILT_IN:
        raise BuiltInRoleError(f"The role {BUILT_IN[role_id.lower()].display_name} is built in.")
    found = roles.find(connection, tenant_id, role_id.lower())
    if found is None:
        raise NotFoundError(f"There is no role {role_id[:64]}.")
    return found


def create_role(connection: Connection, acting: Acting, holder: Access, draft: RoleDraft) -> Role:
    """Make a role, assigned to nobody.

    Raises:
        EscalationError: It grants what its maker does not hold.
        InvalidRoleError: The tenant has as many roles as it can have.
        UnknownScopeTagError: It carries a tag that is not there.
    """
    require_no_more(holder, Grant(draft.actions))
    scope_tags.require_known(connection, acting.tenant_id, draft.scope_tag_ids)
    if len(roles.all_of_tenant(connection, acting.tenant_id)) >= MOST_ROLES:
        raise InvalidRoleError(f"A tenant has at most {MOST_ROLES} roles of its own.", member="displayName")
    now = acting.clock.now()
    role = _role(acting.new_id(), draft)
    roles.add(connection, CustomRole(role=role, tenant_id=acting.tenant_id, created_at=now, modified_at=now))
    acting.record(connection, "role.created", "roleDefinition", role.id, name=role.display_name, actions=_words(role))
    return role


def update_role(connection: Connection, acting: Acting, holder: Access, role_id: str, draft: RoleDraft) -> Role:
    """Change a role; whoever has it may at once do what it then grants.

    Raises:
        BuiltInRoleError: It is built in.
        EscalationError: It would grant, or no longer grant, what its editor does not hold.
        NotFoundError: There is no such role.
        UnknownScopeTagError: It carries a tag that is not there.
    """
    before = get_custom(connection, acting.tenant_id, role_id)
    role = _role(before.role.id, draft)
    if role == before.role:
        return role
    require_no_more(holder, Grant(draft.actions ^ before.role.actions))
    scope_tags.require_known(connection, acting.tenant_id, draft.scope_tag_ids)
    roles.put(connection, replace(before, role=role, modified_at=acting.clock.now()))
    acting.record(connection, "role.changed", "roleDefinition", role.id, name=role.display_name, actions=_words(role))
    return role


def delete_role(connection: Connection, acting: Acting, role_id: str) -> None:
    """Delete a role that nobody has.

    Raises:
        BuiltInRoleError: It is built in.
        NotFoundError: There is no such role.
        StillReferencedError: It is assigned.
    """
    role = get_custom(connection, acting.tenant_id, role_id).role
    if any(each.role_id == role.id for each in role_assignments.all_of_tenant(connection, acting.tenant_id)):
        raise StillReferencedError(f"The role {role.display_name} is assigned.")
    roles.remove(connection, acting.tenant_id, role.id)
    acting.record(connection, "role.deleted", "roleDefinition", role.id, name=role.display_name)


def _role(role_id: str, draft: RoleDraft) -> Role:
    return Role(
        id=role_id,
        display_name=draft.display_name,
        description=draft.description,
        actions=draft.actions,
        scope_tag_ids=draft.scope_tag_ids,
    )


def _words(role: Role) -> list[str]:
    return sorted(action.value for action in role.actions)
