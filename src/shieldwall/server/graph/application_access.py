"""Which application a path means, and whether its caller may make it what they want it to be."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import UUID_PATTERN
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import Principal
from shieldwall.server.directory.apps import get_app, get_by_object_id
from shieldwall.server.directory.first_party import is_first_party
from shieldwall.server.directory.invalid_app import InvalidAppError
from shieldwall.server.graph.requests import GraphRequest
from shieldwall.server.services import AdminServices
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
    """Say which permissions the caller may give to applications; ``None`` is all.

    Applications may give what they hold. An application's permission holds everywhere, whatever roles say, so people
    may give it only where their roles let them do everything.
    """
    caller: Principal = request.scope["user"]
    if caller.is_person and not all(caller.access.may_everywhere(action) for action in ResourceAction):
        return frozenset()
    return None if ASSIGNING in caller.permissions else caller.permissions


def require_not_ours(app: App) -> None:
    """Keep the command line what it is: whoever could change it could send people's answers elsewhere.

    Raises:
        InvalidAppError: The application is our own.
    """
    if is_first_party(app):
        raise InvalidAppError(f"{app.display_name} is our own; it can be switched off, and nothing else.", member="id")
