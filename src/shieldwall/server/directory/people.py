"""People as the directory has them: listed, made, renamed, switched off, removed; their sessions ended.

Who may do that is asked at the front doors. Two rules are kept here, for whoever comes: a tenant never loses its last
administrator, and nobody gets hold of more than they may themselves by way of somebody else's account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.access.actions import EVERYTHING
from shieldwall.server.access.grants import Access
from shieldwall.server.access.roles import Role
from shieldwall.server.directory.access_of_people import access_of, make_administrator
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.names import is_name
from shieldwall.server.storage.access import role_assignments
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.identity import invitations, people, sessions
from shieldwall.server.storage.identity_records import Person
from shieldwall.server.storage.records import Page, Tenant

_USER_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9.-]{1,190}\Z")
"""An internet address in lower case, as far as clients of Graph write them."""


class InvalidPersonError(ShieldwallError):
    """Nobody can be called so."""

    code = "invalidPerson"
    remedy = "Give a display name of 1 to 256 plain characters and a user name of the form name@domain."


class LastAdministratorError(ShieldwallError):
    """A tenant keeps at least one person who may do everything in it."""

    code = "lastAdministrator"
    remedy = "Make somebody else a Global Administrator first."


class OutrankedError(ShieldwallError):
    """The account is that of somebody who may do more than the caller, who would get hold of that by it."""

    code = "outranked"
    remedy = "Ask somebody who may do at least as much as that person, such as a Global Administrator."


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonDraft:
    """What is wanted of a person; ``None`` is left as it is."""

    display_name: str | None = None
    enabled: bool | None = None


def list_people(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[Person, ...]:
    """Return one page of the people of a tenant, ordered by id."""
    return people.list_people(connection, tenant_id, page)


def get(connection: Connection, tenant_id: TenantId, person_id: str) -> Person:
    """Return a person of this tenant. Raises: NotFoundError."""
    person = people.find(connection, person_id)
    if person is None or person.tenant_id != tenant_id:  # the same answer for another tenant's: nobody learns of it
        raise NotFoundError(f"There is no person {person_id[:64]}.")
    return person


def named(connection: Connection, tenant: Tenant, name: str) -> Person | None:
    """Return the person of a tenant who signs in by a name, with the tenant's domain behind it or without."""
    typed = name.strip().lower()
    short = typed.removesuffix(f"@{tenant.domain.lower()}")
    return people.find_by_user_name(connection, tenant.id, typed) or people.find_by_user_name(
        connection, tenant.id, short
    )


def principal_name(person: Person, tenant: Tenant) -> str:
    """Return the name by which somebody is known everywhere (``userPrincipalName``)."""
    return person.principal_name(tenant.domain)


def create(
    connection: Connection, acting: Acting, *, user_name: str, display_name: str, enabled: bool = True
) -> Person:
    """Make a person, who may do nothing yet and has no way in yet.

    Raises:
        InvalidPersonError: Nobody can be called so.
        AlreadyExistsError: Somebody is called so.
    """
    now, name = acting.clock.now(), user_name.strip().lower()
    if not is_name(display_name) or not _USER_NAME.match(name):
        raise InvalidPersonError("Nobody can have that display name or user name.")
    if people.find_by_user_name(connection, acting.tenant_id, name) is not None:
        raise AlreadyExistsError(f"Somebody is called {name} already.")
    person = Person(
        id=acting.new_id(),
        tenant_id=acting.tenant_id,
        user_name=name,
        display_name=display_name,
        enabled=enabled,
        created_at=now,
        valid_from=now,
    )
    people.add(connection, person)
    acting.record(connection, "person.created", "person", person.id, name=display_name, userName=name)
    return person


def give_role(connection: Connection, acting: Acting, person: Person, role: Role, *, giver: Access) -> None:
    """Give a person a built-in role in the whole tenant. Raises: OutrankedError."""
    if not all(giver.may_everywhere(action) for action in role.actions):
        raise OutrankedError(f"The role {role.display_name} may do more than you may.")
    make_administrator(connection, acting, person, role)


def change(connection: Connection, acting: Acting, person: Person, draft: PersonDraft) -> Person:
    """Rename a person, or switch their account on or off; whoever is switched off is signed out everywhere.

    Raises:
        InvalidPersonError: Nobody can be called so.
        LastAdministratorError: Nobody would be left who may do everything.
    """
    changed = replace(
        person,
        display_name=person.display_name if draft.display_name is None else draft.display_name,
        enabled=person.enabled if draft.enabled is None else draft.enabled,
    )
    if not is_name(changed.display_name):
        raise InvalidPersonError("Nobody can have that display name.")
    if changed == person:
        return person
    if person.enabled and not changed.enabled:
        _keep_an_administrator(connection, person)
        changed = replace(changed, valid_from=acting.clock.now())
        _end_sessions(connection, person)
    people.change(connection, changed)
    details = {"name": changed.display_name, "enabled": changed.enabled}
    acting.record(connection, "person.changed", "person", person.id, **details)
    return changed


def delete(connection: Connection, acting: Acting, person: Person) -> None:
    """Remove a person with all that showed who they are. Raises: LastAdministratorError."""
    _keep_an_administrator(connection, person)
    _take_out_of_assignments(connection, acting, person)
    people.remove(connection, person.id)
    acting.record(connection, "person.deleted", "person", person.id, name=person.display_name)


def end_sessions(connection: Connection, acting: Acting, person: Person) -> None:
    """Sign a person out everywhere: sessions and tokens from before now are worth nothing."""
    people.change(connection, replace(person, valid_from=acting.clock.now()))
    _end_sessions(connection, person)
    acting.record(connection, "person.sessionsEnded", "person", person.id, name=person.display_name)


def require_no_less(connection: Connection, caller: Access, person: Person) -> None:
    """Refuse who would get hold of more than they may themselves by way of a person's account.

    Raises:
        OutrankedError: The person may do something that the caller may not do in the whole tenant.
    """
    theirs = access_of(connection, replace(person, enabled=True))
    beyond = {action for grant in theirs.grants for action in grant.actions if not caller.may_everywhere(action)}
    if beyond:
        raise OutrankedError(f"{person.display_name} may do more than you may: {min(beyond).value}.")


def is_administrator(connection: Connection, person: Person) -> bool:
    """Tell whether a person may do everything in the whole tenant."""
    access = access_of(connection, person)
    return all(access.may_everywhere(action) for action in EVERYTHING)


def count_administrators(connection: Connection, tenant_id: TenantId) -> int:
    """Return how many people of a tenant may do everything in it."""
    return sum(is_administrator(connection, each) for each in people.enabled_of_tenant(connection, tenant_id))


def _keep_an_administrator(connection: Connection, person: Person) -> None:
    targets.lock(connection)  # so that no two people remove each other
    if is_administrator(connection, person) and count_administrators(connection, person.tenant_id) == 1:
        raise LastAdministratorError(f"{person.display_name} is the last Global Administrator.")


def _take_out_of_assignments(connection: Connection, acting: Acting, person: Person) -> None:
    """Let no role assignment name somebody who is gone; one that named nobody else goes along."""
    for assignment in role_assignments.all_of_tenant(connection, person.tenant_id):
        if person.id not in assignment.members:
            continue
        others = tuple(each for each in assignment.members if each != person.id)
        if others:
            changed = replace(assignment, members=others, modified_at=acting.clock.now())
            role_assignments.put(connection, changed)
        else:
            role_assignments.remove(connection, person.tenant_id, assignment.id)


def _end_sessions(connection: Connection, person: Person) -> None:
    sessions.remove_of_person(connection, person.id)
    invitations.remove_of_person(connection, person.id)
