"""Finding by what somebody typed: people by their user names or ids, groups by their names or ids."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import UUID_PATTERN, GroupId, TenantId
from shieldwall.server.directory import people
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.identity import people as stored_people
from shieldwall.server.storage.records import Tenant

_SHOWN: Final = 64


class UnknownNameError(ShieldwallError):
    """Nobody and nothing is called what was typed, or more than one is."""

    code = "unknownName"
    remedy = "Write it as its page shows it, or give the id that stands there."


def named_members(connection: Connection, tenant: Tenant, names: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of people and groups; a user name counts before a group's name. Raises: UnknownNameError."""
    return tuple(dict.fromkeys(_member(connection, tenant, name) for name in names))


def named_groups(connection: Connection, tenant_id: TenantId, names: Iterable[str]) -> tuple[GroupId, ...]:
    """Return the ids of groups. Raises: UnknownNameError."""
    return tuple(dict.fromkeys(named_group(connection, tenant_id, name) for name in names))


def named_group(connection: Connection, tenant_id: TenantId, name: str) -> GroupId:
    """Return the id of one group. Raises: UnknownNameError."""
    if re.match(UUID_PATTERN, name.lower()):
        found = groups.find(connection, GroupId(name.lower()))
        alike = [] if found is None or found.tenant_id != tenant_id else [found]
    else:
        alike = list(groups.called(connection, tenant_id, name))
    if len(alike) != 1:
        count = "No group is" if not alike else "More than one group is"
        raise UnknownNameError(f"{count} called {name[:_SHOWN]!r}.")
    return alike[0].id


def _member(connection: Connection, tenant: Tenant, name: str) -> str:
    if re.match(UUID_PATTERN, name.lower()):
        person = stored_people.find(connection, name.lower())
        person = None if person is None or person.tenant_id != tenant.id else person
    else:
        person = people.named(connection, tenant, name)
    if person is not None:
        return person.id
    try:
        return named_group(connection, tenant.id, name)
    except UnknownNameError as error:
        raise UnknownNameError(error.cause.replace("group", "person or group", 1)) from None
