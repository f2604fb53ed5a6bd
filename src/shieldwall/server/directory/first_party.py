"""The one application that every tenant has without anybody making it: our command line, for people who sign in.

It is public, runs where no secret can be kept, and listens on loopback. Clients name it by one well-known id in every
tenant; its row is made when it is first used.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.apps import find_app, register_app
from shieldwall.server.directory.invalid_app import InvalidAppError
from shieldwall.server.storage.identity_records import App

CLI_CLIENT_ID: Final = "5d1e1da1-0000-4000-8000-000000000001"
"""By what id the command line asks for tokens, in every tenant."""
CLI_NAME: Final = "Shieldwall CLI"
CLI_REDIRECT_URI: Final = "http://localhost"


def cli_client_id(tenant_id: TenantId) -> str:
    """Return the id under which a tenant's own row of the command line is kept."""
    return str(uuid5(UUID(CLI_CLIENT_ID), tenant_id))


def known_client_id(tenant_id: TenantId, client_id: str) -> str:
    """Return the id under which an application is kept that a client names."""
    return cli_client_id(tenant_id) if client_id == CLI_CLIENT_ID else client_id


def is_first_party(app: App) -> bool:
    """Tell whether an application is our own."""
    return app.client_id == cli_client_id(app.tenant_id)


def require_not_ours(app: App) -> None:
    """Keep the command line what it is: whoever could change it could send people's answers elsewhere.

    Raises:
        InvalidAppError: The application is our own.
    """
    if is_first_party(app):
        raise InvalidAppError(f"{app.display_name} is our own; it can be switched off, and nothing else.", member="id")


def delegated_of(app: App) -> tuple[str, ...]:
    """Return what an application may use for people: our own, whatever there is; roles decide then."""
    return PERMISSIONS if is_first_party(app) else app.delegated


def ensure_cli(connection: Connection, acting: Acting) -> App:
    """Return the tenant's row of the command line, made now where it is not there."""
    client_id = cli_client_id(acting.tenant_id)
    found = find_app(connection, acting.tenant_id, client_id)
    if found is not None:
        return found
    return register_app(
        connection,
        acting,
        display_name=CLI_NAME,
        redirect_uris=(CLI_REDIRECT_URI,),
        is_public=True,
        client_id=client_id,
    )
