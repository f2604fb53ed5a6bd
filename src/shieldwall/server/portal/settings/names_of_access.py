"""What role assignments name by ids, in names: people, groups, scope tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from shieldwall.contract.ids import GroupId, TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.roles import BUILT_IN, Role
from shieldwall.server.directory import scope_tags
from shieldwall.server.directory.holdings import Holding
from shieldwall.server.portal.settings.action_words import AREAS, ActionWords
from shieldwall.server.storage.access import roles
from shieldwall.server.storage.access_records import RoleAssignment
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity_records import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Names by ids; what is gone has none."""

    people: Mapping[str, Person] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """One action that somebody may do, and every way in which they may."""

    words: ActionWords
    by: Sequence[Holding]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedArea:
    """What somebody may do to one kind of things."""

    name: str
    granted: Sequence[Granted]


def names_of(connection: Connection, tenant_id: TenantId, assigned: Iterable[RoleAssignment]) -> Names:
    """Read the names of everything that these assignments name."""
    every = tuple(assigned)
    members = {member for each in every for member in each.members}
    groups_named = {GroupId(each) for each in members} | {group for each in every for group in each.scope_groups}
    return Names(
        people=people.find_many(connection, tenant_id, members),
        groups={str(id_): name for id_, name in groups.names(connection, groups_named).items()},
        tags={tag.id: tag.display_name for tag in scope_tags.all_tags(connection, tenant_id)},
        roles=roles_of(connection, tenant_id),
    )


def roles_of(connection: Connection, tenant_id: TenantId) -> Mapping[str, Role]:
    """Return every role of a tenant by its id, the built-in ones first."""
    return BUILT_IN | {each.role.id: each.role for each in roles.all_of_tenant(connection, tenant_id)}


def granted_by(holdings: Sequence[Holding]) -> list[GrantedArea]:
    """Lay out what some holdings allow together, area by area."""
    found = []
    for area in AREAS:
        granted = [Granted(words=words, by=by) for words in area.actions if (by := _granting(holdings, words.action))]
        if granted:
            found.append(GrantedArea(name=area.name, granted=granted))
    return found


def _granting(holdings: Sequence[Holding], action: ResourceAction) -> list[Holding]:
    return [each for each in holdings if action in each.role.actions]
