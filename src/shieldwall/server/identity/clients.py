"""Finding out which application asks: by its secret, by what it signed, or by its word where it is a public one."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import app_credentials, client_assertions
from shieldwall.server.directory.access_tokens import TokenIssuer
from shieldwall.server.directory.app_credentials import InvalidClientError
from shieldwall.server.directory.apps import find_app
from shieldwall.server.identity.requests import Shown
from shieldwall.server.storage.identity_records import App
from shieldwall.server.storage.onboarding import nonces

_USED: Final = "client assertion\x00"


def authenticated(services: AdminServices, issuer: TokenIssuer, shown: Shown) -> App:
    """Return the application that shows who it is. Raises: InvalidClientError."""
    if shown.assertion is not None:
        return _by_assertion(services, issuer, shown.client_id, shown.assertion)
    if shown.secret is not None:
        return _by_secret(services, shown.client_id, shown.secret)
    with services.database.read() as connection:
        app = find_app(connection, services.tenant.id, shown.client_id)
    if app is None or not app.enabled or not app.is_public:
        raise InvalidClientError("The client has to show who it is.")
    return app


def _by_secret(services: AdminServices, client_id: str, secret: str) -> App:
    with services.database.read() as connection:
        found = app_credentials.authenticate_by_secret(
            connection, services.tenant.id, client_id, secret, now=services.clock.now()
        )
    if found.outdated is not None:
        with services.database.write() as connection:
            app_credentials.hash_anew(connection, found.outdated, secret)
    return found.app


def _by_assertion(services: AdminServices, issuer: TokenIssuer, client_id: str, assertion: str) -> App:
    now = services.clock.now()
    with services.database.read() as connection:
        app = find_app(connection, services.tenant.id, client_id)
        certificates = () if app is None else app_credentials.certificates_of(connection, app, now)
    if app is None or not app.enabled:
        raise InvalidClientError("The client id or its certificate is not right.")
    verified = client_assertions.verify(
        assertion,
        client_id=app.client_id,
        certificates=certificates,
        issuers=issuer.issuers,
        endpoints=issuer.endpoints,
        now=now,
    )
    with services.database.write() as connection:
        if not _use_up(connection, app, verified):
            raise InvalidClientError("The assertion was used before.")
    return app


def _use_up(connection: Connection, app: App, verified: client_assertions.Assertion) -> bool:
    digest = digest_of_bytes(f"{_USED}{app.client_id}\x00{verified.jti}".encode("utf-8", "replace"))
    return nonces.use(connection, app.tenant_id, digest, verified.keep_until)
