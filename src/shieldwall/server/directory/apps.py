"""Applications: programs that ask for tokens with a client id and a secret."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.names import is_name
from shieldwall.server.storage import app_credentials, apps
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.identity_records import App, AppCredential, CredentialKind
from shieldwall.server.storage.records import Page

LONGEST_LIFETIME: Final = timedelta(days=730)
SECRET_LIFETIME: Final = timedelta(days=180)
MAX_SECRET_LENGTH: Final = 256
_PERMISSION: Final = re.compile(r"[A-Za-z]+(\.[A-Za-z]+){1,4}\Z")
# Secrets are 256 random bits, so the hash need not be slow for people's sake; these are OWASP's smallest parameters.
_MEMORY_KIB: Final = 19_456
_PASSES: Final = 2
_LANES: Final = 1
_NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$5/tINdvt35LvM6nkqGXNCQ$VVbU/OQI79rRT8K2UBHbFaX0pKOjUPaur/kJXETQHLg"
"""The hash of a secret that was thrown away: what an unknown client is checked against."""


class InvalidClientError(ShieldwallError):
    """The client id or its secret is not right; which of them, and why, is not said."""

    code = "invalidClient"
    remedy = "Check the client id and the secret, or create a new application."


class InvalidAppError(ShieldwallError):
    """An application cannot be like that; ``member`` names the part that is wrong."""

    code = "invalidApp"
    remedy = "Correct the part named and try again."

    def __init__(self, cause: str, *, member: str) -> None:
        super().__init__(cause)
        self.member = member


def new_secret() -> str:
    """Make a secret of 256 random bits."""
    return secrets.token_urlsafe(32)


def create_app(
    connection: Connection,
    acting: Acting,
    *,
    display_name: str,
    permissions: tuple[str, ...],
    lifetime: timedelta = SECRET_LIFETIME,
    make_secret: Callable[[], str] = new_secret,
) -> tuple[App, str]:
    """Make an application. The secret is in the answer and nowhere else; we keep its hash.

    Raises:
        InvalidAppError: A name, permission or lifetime that cannot be.
    """
    if not is_name(display_name):
        raise InvalidAppError("An application's name has 1 to 256 plain characters.", member="displayName")
    if not permissions or not all(_PERMISSION.match(permission) for permission in permissions):
        raise InvalidAppError("An application needs permissions such as Device.Read.All.", member="permissions")
    if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
        raise InvalidAppError(f"A secret lives at most {LONGEST_LIFETIME.days} days.", member="lifetime")
    secret = make_secret()
    now = acting.clock.now()
    app = App(
        client_id=acting.new_id(),
        tenant_id=acting.tenant_id,
        object_id=acting.new_id(),
        display_name=display_name,
        permissions=tuple(sorted(set(permissions))),
        created_at=now,
        valid_from=now,
    )
    apps.add(connection, app)
    app_credentials.add(
        connection,
        AppCredential(
            id=acting.new_id(),
            tenant_id=acting.tenant_id,
            client_id=app.client_id,
            kind=CredentialKind.SECRET,
            display_name="First secret",
            secret_hash=_hasher().hash(secret),
            hint=secret[:3],
            starts_at=now,
            expires_at=now + lifetime,
        ),
    )
    acting.record(connection, "app.created", "app", app.client_id, name=display_name, permissions=app.permissions)
    return app, secret


def authenticate_app(connection: Connection, tenant_id: TenantId, client_id: str, secret: str, *, now: datetime) -> App:
    """Return the application of this tenant that holds this secret.

    An unknown client costs the same work as a wrong secret, and every failure looks the same.

    Raises:
        InvalidClientError: Unknown here, wrong, or expired.
    """
    app = apps.find(connection, client_id)
    if app is not None and app.tenant_id != tenant_id:
        app = None  # unknown here
    hashes = [] if app is None or not app.enabled else _secret_hashes(connection, app, now)
    matches = [_verified(each, secret[:MAX_SECRET_LENGTH]) for each in hashes or [_NOBODY]]
    if app is None or not hashes or not any(matches) or len(secret) > MAX_SECRET_LENGTH:
        raise InvalidClientError("The client id or its secret is not right.")
    return app


def _secret_hashes(connection: Connection, app: App, now: datetime) -> list[str]:
    return [
        credential.secret_hash
        for credential in app_credentials.of_app(connection, app.client_id)
        if credential.secret_hash is not None and credential.starts_at <= now < credential.expires_at
    ]


def list_apps(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[App, ...]:
    """Return one page of a tenant's applications, ordered by client id."""
    return apps.list_apps(connection, tenant_id, page)


def is_known(connection: Connection, tenant_id: TenantId, client_id: str) -> bool:
    """Tell whether an application is still there: once it is deleted, the tokens it holds are worth nothing."""
    app = apps.find(connection, client_id)
    return app is not None and app.tenant_id == tenant_id


def delete_app(connection: Connection, acting: Acting, client_id: str) -> None:
    """Let an application ask for tokens no more. Raises: NotFoundError."""
    app = apps.find(connection, client_id)
    if app is None or app.tenant_id != acting.tenant_id:
        raise NotFoundError(f"There is no application {client_id}.")
    apps.remove(connection, client_id)
    acting.record(connection, "app.deleted", "app", client_id, name=app.display_name)


def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)


def _verified(secret_hash: str, secret: str) -> bool:
    try:
        return _hasher().verify(secret_hash, secret)
    except (VerificationError, InvalidHashError):
        return False
