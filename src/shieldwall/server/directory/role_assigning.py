"""Giving roles to people and groups of people, within scope tags and scope groups.

Nobody gives, changes or takes away what goes beyond what they hold; that counts too for whoever changes the members of
a group that carries a role, or that a role is narrowed to. A tenant never loses its last administrator.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import GroupId, TenantId, parse_group_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.giving import EscalationError, require_no_more
from shieldwall.server.access.grants import Access
from shieldwall.server.access.roles import ADMINISTRATOR
from shieldwall.server.directory import scope_tags
from shieldwall.server.directory.access_of_people import grants_of, scope_of
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.invalid_role import InvalidRoleError, NoAdministratorLeftError
from shieldwall.server.directory.names import is_name, is_text
from shieldwall.server.directory.roles import get_role
from shieldwall.server.storage.access import role_assignments
from shieldwall.server.storage.access import scope_tags as stored_tags
from shieldwall.server.storage.access_records import RoleAssignment, ScopeType
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.errors import NotFoundError, StillReferencedError
from shieldwall.server.storage.groups import groups

MOST_ASSIGNMENTS: Final = 500
MOST_NAMED: Final = 200
"""Members, scope groups and scope tags that one assignment names at most, of each kind."""
_MOST_DESCRIPTION: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentDraft:
    """A role assignment as an administrator wants it; ``members`` are groups of people, or people.

    Raises:
        InvalidRoleError: A part is too long, missing or does not fit another.
    """

    display_name: str
    description: str = ""
    members: tuple[str, ...] = ()
    scope_type: ScopeType = ScopeType.RESOURCE_SCOPE
    scope_groups: tuple[GroupId, ...] = ()
    role_scope_tag_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse to exist when wrong."""
        if not is_name(self.display_name):
            raise InvalidRoleError("A role assignment's name has 1 to 256 plain characters.", member="displayName")
        if not is_text(self.description, _MOST_DESCRIPTION):
            cause = f"A role assignment's description has at most {_MOST_DESCRIPTION} plain characters."
            raise InvalidRoleError(cause, member="description")
        if self.scope_type is not ScopeType.RESOURCE_SCOPE and self.scope_groups:
            raise InvalidRoleError("Only an assignment of resourceScope has scope groups.", member="resourceScopes")
        for member in ("members", "scope_groups", "role_scope_tag_ids"):
            if len(getattr(self, member)) > MOST_NAMED:
                raise InvalidRoleError(f"At most {MOST_NAMED} are possible.", member=member)


def draft_of_assignment(assignment: RoleAssignment) -> AssignmentDraft:
    """Return the draft that an assignment could have been made of."""
    return AssignmentDraft(
        display_name=assignment.display_name,
        description=assignment.description,
        members=assignment.members,
        scope_type=assignment.scope_type,
        scope_groups=assignment.scope_groups,
        role_scope_tag_ids=assignment.role_scope_tag_ids,
    )


def get_assignment(connection: Connection, tenant_id: TenantId, assignment_id: str) -> RoleAssignment:
    """Return an assignment of a tenant. Raises: NotFoundError."""
    found = role_assignments.find(connection, tenant_id, assignment_id.lower())
    if found is None:
        raise NotFoundError(f"There is no role assignment {assignment_id[:64]}.")
    return found


def assign_role(
    connection: Connection, acting: Acting, holder: Access, role_id: str, draft: AssignmentDraft
) -> RoleAssignment:
    """Give a role.

    Raises:
        EscalationError: It goes beyond what its giver holds.
        InvalidRoleError: A member or a scope group is not there, or there are too many assignments.
        NotFoundError: There is no such role.
        UnknownScopeTagError: There is no such scope tag.
    """
    role = get_role(connection, acting.tenant_id, role_id)
    present = role_assignments.all_of_tenant(connection, acting.tenant_id)
    if len(present) >= MOST_ASSIGNMENTS:
        raise InvalidRoleError(f"A tenant has at most {MOST_ASSIGNMENTS} role assignments.", member="displayName")
    now = acting.clock.now()
    made = _assignment(acting, acting.new_id(), role.id, draft)
    made = replace(made, created_at=now, modified_at=now)
    _check(connection, acting.tenant_id, draft)
    _require_held(connection, holder, made)
    role_assignments.add(connection, made)
    _record(connection, acting, "role.assigned", made, role.display_name)
    return made


def change_assignment(
    connection: Connection, acting: Acting, holder: Access, assignment_id: str, draft: AssignmentDraft
) -> RoleAssignment:
    """Change whom a role is given to, or where.

    Raises:
        EscalationError: It goes, or went, beyond what its editor holds.
        InvalidRoleError: A member or a scope group is not there.
        NoAdministratorLeftError: Nobody would be left who may do everything.
        NotFoundError: There is no such assignment.
        UnknownScopeTagError: There is no such scope tag.
    """
    targets.lock(connection)  # so that no two people remove each other
    before = get_assignment(connection, acting.tenant_id, assignment_id)
    changed = replace(
        _assignment(acting, before.id, before.role_id, draft),
        created_at=before.created_at,
        modified_at=before.modified_at,
    )
    if changed == before:
        return before
    _check(connection, acting.tenant_id, draft)
    _require_held(connection, holder, before)
    _require_held(connection, holder, changed)
    changed = replace(changed, modified_at=acting.clock.now())
    role_assignments.put(connection, changed)
    require_administrator(connection, acting.tenant_id, before)
    _record(connection, acting, "role.assignmentChanged", changed, _name(connection, changed))
    return changed


def unassign_role(connection: Connection, acting: Acting, holder: Access, assignment_id: str) -> None:
    """Take a role away from all members of an assignment.

    Raises:
        EscalationError: It went beyond what the caller holds.
        NoAdministratorLeftError: Nobody would be left who may do everything.
        NotFoundError: There is no such assignment.
    """
    targets.lock(connection)  # so that no two people remove each other
    before = get_assignment(connection, acting.tenant_id, assignment_id)
    _require_held(connection, holder, before)
    role_assignments.remove(connection, acting.tenant_id, before.id)
    require_administrator(connection, acting.tenant_id, before)
    _record(connection, acting, "role.unassigned", before, _name(connection, before))


def require_administrator(connection: Connection, tenant_id: TenantId, lost: RoleAssignment) -> None:
    """Refuse what leaves nobody who may do everything, where ``lost`` gave that to somebody.

    Raises:
        NoAdministratorLeftError: Nobody is left.
    """
    if not _is_of_administrators(lost) or not role_assignments.enabled_people(connection, tenant_id, lost.members):
        return
    members = {
        member
        for each in role_assignments.all_of_tenant(connection, tenant_id)
        if _is_of_administrators(each)
        for member in each.members
    }
    if not role_assignments.enabled_people(connection, tenant_id, members):
        raise NoAdministratorLeftError("Nobody would be left who may do everything in this tenant.")


def require_administrator_without(connection: Connection, tenant_id: TenantId, group_id: GroupId) -> None:
    """Refuse that somebody leaves a group by which the last people may do everything; they have left it already.

    Raises:
        NoAdministratorLeftError: Nobody is left.
    """
    everything = [each for each in role_assignments.all_of_tenant(connection, tenant_id) if _is_of_administrators(each)]
    members = {member for each in everything for member in each.members}
    if group_id in members and not role_assignments.enabled_people(connection, tenant_id, members):
        raise NoAdministratorLeftError("Nobody would be left who may do everything in this tenant.")


def carries_roles(connection: Connection, tenant_id: TenantId, group_id: GroupId) -> bool:
    """Tell whether people have roles by belonging to a group: to let somebody in is to give them these."""
    return any(group_id in each.members for each in role_assignments.all_of_tenant(connection, tenant_id))


def require_may_change_members(connection: Connection, tenant_id: TenantId, holder: Access, group_id: GroupId) -> None:
    """Refuse to change a group by whose members rights are given: who belongs to it, its rule, or whether it is there.

    Of a group that carries roles, members are changed by those who could assign them; a group that roles or tags are
    narrowed by, by those who are not narrowed themselves.

    Raises:
        EscalationError: The caller may not.
    """
    assigned = role_assignments.all_of_tenant(connection, tenant_id)
    carried = [each for each in assigned if group_id in each.members]
    if carried and not holder.may_everywhere(ResourceAction.ASSIGN_ROLES):
        raise EscalationError(f"The group carries the role assignment {carried[0].display_name}.")
    for grant in grants_of(connection, tenant_id, carried):
        require_no_more(holder, grant)
    narrows = any(group_id in each.scope_groups for each in assigned)
    narrows = narrows or stored_tags.has_group(connection, tenant_id, group_id)
    if narrows and not holder.may_everywhere(ResourceAction.UPDATE_GROUPS):
        raise EscalationError("The group decides what roles or scope tags reach.")


def require_unnamed(connection: Connection, tenant_id: TenantId, group_id: GroupId) -> None:
    """Refuse to remove a group that role assignments or scope tags name. Raises: StillReferencedError."""
    for each in role_assignments.all_of_tenant(connection, tenant_id):
        if group_id in each.members or group_id in each.scope_groups:
            raise StillReferencedError(f"The role assignment {each.display_name} names the group.")
    if stored_tags.has_group(connection, tenant_id, group_id):
        raise StillReferencedError("A scope tag is given by the group.")


def _assignment(acting: Acting, assignment_id: str, role_id: str, draft: AssignmentDraft) -> RoleAssignment:
    now = acting.clock.now()
    return RoleAssignment(
        id=assignment_id,
        tenant_id=acting.tenant_id,
        role_id=role_id,
        display_name=draft.display_name,
        description=draft.description,
        members=draft.members,
        scope_type=draft.scope_type,
        scope_groups=draft.scope_groups,
        role_scope_tag_ids=draft.role_scope_tag_ids,
        created_at=now,
        modified_at=now,
    )


def _check(connection: Connection, tenant_id: TenantId, draft: AssignmentDraft) -> None:
    people = role_assignments.known_people(connection, tenant_id, draft.members)
    scope_tags.require_groups(connection, tenant_id, _groups_among(set(draft.members) - people), member="members")
    scope_tags.require_groups(connection, tenant_id, draft.scope_groups, member="resourceScopes")
    scope_tags.require_known(connection, tenant_id, draft.role_scope_tag_ids)


def _groups_among(members: set[str]) -> set[GroupId]:
    try:
        return {parse_group_id(member) for member in members}
    except InvalidIdError as error:
        raise InvalidRoleError(error.cause, member="members") from None


def _require_held(connection: Connection, holder: Access, assignment: RoleAssignment) -> None:
    for grant in grants_of(connection, assignment.tenant_id, [assignment]):
        require_no_more(holder, grant)


def _is_of_administrators(assignment: RoleAssignment) -> bool:
    return assignment.role_id == ADMINISTRATOR.id and scope_of(assignment).is_whole


def _name(connection: Connection, assignment: RoleAssignment) -> str:
    return get_role(connection, assignment.tenant_id, assignment.role_id).display_name


def _record(connection: Connection, acting: Acting, activity: str, assignment: RoleAssignment, role: str) -> None:
    known = groups.names(connection, [GroupId(each) for each in assignment.members])
    acting.record(
        connection,
        activity,
        "roleAssignment",
        assignment.id,
        name=assignment.display_name,
        role=role,
        members=[known.get(GroupId(each), each) for each in assignment.members],
    )
