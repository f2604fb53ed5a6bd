"""People who administer tenants, and the groups they belong to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, literal, or_, select, update

from shieldwall.contract.ids import GroupId, TenantId
from shieldwall.server.storage.engine.database import insert_ignoring
from shieldwall.server.storage.identity_records import Person
from shieldwall.server.storage.order_terms import OrderTerm
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.bulk import is_one_of
from shieldwall.server.storage.statements.look_ups import LookUp
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.access_schema import group_people
from shieldwall.server.storage.tables.folding import holds
from shieldwall.server.storage.tables.identity_schema import people
from shieldwall.server.storage.tables.portal_schema import saved_views, unfinished_policies
from shieldwall.server.storage.tables.schema import groups

BY_NAME: Final = OrderTerm(people.c.display_name)
"""How people are listed for people."""
_ONE: Final = LookUp(select(people).where(people.c.id == bindparam("id")))
_GROUPS: Final = LookUp(select(group_people.c.group_id).where(group_people.c.person_id == bindparam("id")))


def find(connection: Connection, person_id: str) -> Person | None:
    """Return a person, or ``None``."""
    row = _ONE.row(connection, {"id": person_id})
    return None if row is None else Person(**dict(zip(people.c.keys(), row, strict=True)))


def find_by_user_name(connection: Connection, tenant_id: TenantId, user_name: str) -> Person | None:
    """Return the person of a tenant who has this user name, in any case, or ``None``."""
    named = (people.c.tenant_id == tenant_id, people.c.user_name == user_name.lower())
    row = connection.execute(select(people).where(*named)).one_or_none()
    return None if row is None else Person(**row._asdict())


def list_people(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[Person, ...]:
    """Return one page of a tenant's people, ordered by id where the page says nothing else."""
    query = select(people).where(people.c.tenant_id == tenant_id)
    return tuple(Person(**row._asdict()) for row in paging.rows(connection, query, page, people.c.id))


def called_like(text: str) -> ColumnElement[bool]:
    """Say, as a condition, whose name or user name holds a text, in any case."""
    return or_(*(holds(column, text) for column in (people.c.display_name, people.c.user_name)))


def find_many(connection: Connection, tenant_id: TenantId, person_ids: Collection[str]) -> Mapping[str, Person]:
    """Return those of these people that a tenant has, by their ids."""
    query = select(people).where(people.c.tenant_id == tenant_id, is_one_of(connection, people.c.id, person_ids))
    return {row.id: Person(**row._asdict()) for row in connection.execute(query)}


def enabled_of_tenant(connection: Connection, tenant_id: TenantId) -> tuple[Person, ...]:
    """Return all people of a tenant who are not switched off."""
    query = select(people).where(people.c.tenant_id == tenant_id, people.c.enabled).order_by(people.c.id)
    return tuple(Person(**row._asdict()) for row in connection.execute(query))


def count(connection: Connection, tenant_id: TenantId) -> int:
    """Return how many people a tenant has."""
    return connection.execute(select(func.count()).where(people.c.tenant_id == tenant_id)).scalar_one()


def add(connection: Connection, person: Person) -> None:
    """Add a person."""
    connection.execute(insert(people).values(columns_of(person)))


def change(connection: Connection, person: Person) -> None:
    """Write a person anew."""
    connection.execute(update(people).where(people.c.id == person.id).values(columns_of(person)))


def remove(connection: Connection, person_id: str) -> None:
    """Remove a person, and with them what belongs to them alone."""
    for table in (saved_views, unfinished_policies):  # what they kept for themselves alone
        connection.execute(delete(table).where(table.c.person_id == person_id))
    connection.execute(delete(people).where(people.c.id == person_id))


def signed_in(connection: Connection, person_id: str, at: datetime) -> None:
    """Note when a person signed in."""
    connection.execute(update(people).where(people.c.id == person_id).values(last_sign_in_at=at))


def groups_of(connection: Connection, person_id: str) -> frozenset[GroupId]:
    """Return the groups that a person belongs to."""
    return frozenset(GroupId(group) for (group,) in _GROUPS.rows(connection, {"id": person_id}))


def members_of(connection: Connection, group_id: GroupId, page: Page) -> tuple[Person, ...]:
    """Return one page of the people who belong to a group, ordered by id."""
    query = (
        select(people)
        .join(group_people, group_people.c.person_id == people.c.id)
        .where(group_people.c.group_id == group_id)
        .order_by(people.c.id)
        .limit(page.size)
    )
    if page.after is not None:
        query = query.where(people.c.id > page.after)
    return tuple(Person(**row._asdict()) for row in connection.execute(query))


def count_members(connection: Connection, group_id: GroupId) -> int:
    """Return how many people belong to a group."""
    query = select(func.count()).select_from(group_people).where(group_people.c.group_id == group_id)
    return connection.execute(query).scalar_one()


def join(connection: Connection, group_id: GroupId, person: Person) -> bool:
    """Let a person belong to a group of their tenant; say whether they did not before."""
    theirs = (group_people.c.group_id == group_id, group_people.c.person_id == person.id)
    if connection.execute(select(group_people.c.group_id).where(*theirs)).first() is not None:
        return False
    columns = ["group_id", "person_id", "tenant_id"]
    of_one_tenant = select(groups.c.id, literal(person.id), groups.c.tenant_id).where(
        groups.c.id == group_id, groups.c.tenant_id == person.tenant_id
    )
    connection.execute(insert_ignoring(connection, group_people).from_select(columns, of_one_tenant))
    return True


def leave(connection: Connection, group_id: GroupId, person: Person) -> bool:
    """Let a person belong to a group no more; say whether they did."""
    theirs = (group_people.c.group_id == group_id, group_people.c.person_id == person.id)
    return connection.execute(delete(group_people).where(*theirs)).rowcount == 1
