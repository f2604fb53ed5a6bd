"""Which application a path means, and whether its caller may make it what they want it to be."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import UUID_PATTERN
from shieldwall.server.access.authorization import Principal
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.apps import get_app, get_by_object_id, giving_of_person
from shieldwall.server.graph.requests import GraphRequest
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.identity_records import App

ASSIGNING: Final = "AppRoleAssignment.ReadWrite.All"
"""Who holds this may give applications more than they hold themselves: it is worth every permission."""
_BY_CLIENT_ID: Final = "appid="


def named_app(connection: Connection, services: AdminServices, text: str) -> App:
    """Find an application by its object id, or by ``appId='…'``. Raises: NotFoundError."""
    wanted = text.lower()
    if not re.match(UUID_PATTERN, wanted.removeprefix(_BY_CLIENT_ID)):
        raise NotFoundError("There is no such application.")
    if wanted.startswith(_BY_CLIENT_ID):
        return get_app(connection, services.tenant.id, wanted.removeprefix(_BY_CLIENT_ID))
    return get_by_object_id(connection, services.tenant.id, wanted)


def may_give(request: GraphRequest) -> Collection[str] | None:
    """Say which permissions the caller may give to applications; ``None`` is all. Applications give what they hold."""
    caller: Principal = request.scope["user"]
    if caller.is_person and giving_of_person(caller.access) is not None:
        return frozenset()
    return None if ASSIGNING in caller.permissions else caller.permissions
