"""Who has which role, and by what: each assignment laid out over the people whom it reaches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.contract.ids import GroupId, TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.roles import Role
from shieldwall.server.directory.access_of_people import role_of
from shieldwall.server.storage.access import role_assignments
from shieldwall.server.storage.access_records import RoleAssignment
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity_records import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A role that somebody has by an assignment; ``group_id`` where they have it by belonging to that group."""

    person_id: str
    role: Role
    assignment: RoleAssignment
    group_id: GroupId | None = None


def holdings_of(connection: Connection, person: Person) -> tuple[Holding, ...]:
    """Return what one person has, in the order of the assignments."""
    groups = people.groups_of(connection, person.id)
    found = []
    for assignment, role in _assigned(connection, person.tenant_id):
        by: list[GroupId | None] = [None] if person.id in assignment.members else []
        by += [GroupId(member) for member in assignment.members if member in groups]
        found += [Holding(person_id=person.id, role=role, assignment=assignment, group_id=each) for each in by]
    return tuple(found)


def holders(connection: Connection, tenant_id: TenantId, action: ResourceAction) -> tuple[Holding, ...]:
    """Return who may do something, once for each way in which they may; also people who are switched off."""
    granting = [each for each in _assigned(connection, tenant_id) if action in each[1].actions]
    members = {member for assignment, _ in granting for member in assignment.members}
    belonging = _belonging(connection, tenant_id, members)
    known = role_assignments.known_people(connection, tenant_id, members)
    found = []
    for assignment, role in granting:
        for member in assignment.members:
            if member in known:
                found.append(Holding(person_id=member, role=role, assignment=assignment))
            found += [
                Holding(person_id=person_id, role=role, assignment=assignment, group_id=GroupId(member))
                for person_id in belonging[member]
            ]
    return tuple(found)


def reached(connection: Connection, tenant_id: TenantId, assigned: Iterable[RoleAssignment]) -> Mapping[str, int]:
    """Return how many people each of these assignments reaches, by its id."""
    every = tuple(assigned)
    members = {member for assignment in every for member in assignment.members}
    belonging = _belonging(connection, tenant_id, members)
    known = role_assignments.known_people(connection, tenant_id, members)
    return {
        each.id: len({person for member in each.members for person in (*belonging[member], *({member} & known))})
        for each in every
    }


def _assigned(connection: Connection, tenant_id: TenantId) -> list[tuple[RoleAssignment, Role]]:
    """Return every assignment of a role that is there."""
    known: dict[str, Role | None] = {}
    found = []
    for assignment in role_assignments.all_of_tenant(connection, tenant_id):
        if assignment.role_id not in known:
            known[assignment.role_id] = role_of(connection, tenant_id, assignment.role_id)
        role = known[assignment.role_id]
        if role is not None:
            found.append((assignment, role))
    return found


def _belonging(connection: Connection, tenant_id: TenantId, members: Collection[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for group_id, person_id in role_assignments.people_of_groups(connection, tenant_id, members):
        found[group_id].append(person_id)
    return found
