"""Who calls: an application, or a person through one, known by the access token, in the tenant that issued it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

from litestar.connection import ASGIConnection
from sqlalchemy import Connection as Transaction

from shieldwall.server.access.authorization import PERSON, Principal, UnauthenticatedError
from shieldwall.server.admin.claims_challenges import RevokedTokenError
from shieldwall.server.admin.possession_of_requests import SCHEME, prove_possession
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.access_of_people import access_of
from shieldwall.server.directory.access_tokens import TokenIssuer, VerifiedToken
from shieldwall.server.directory.apps import find_app
from shieldwall.server.directory.first_party import delegated_of
from shieldwall.server.directory.known_tokens import Claimed, KnownTokens
from shieldwall.server.directory.resource_names import OF_EVERYBODY, OPENID, Api
from shieldwall.server.directory.verification_keys import VerificationKeys
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity_records import App, Person
from shieldwall.server.storage.records import Tenant

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
_DEFENDER: Final = "/api/"
_SCHEMES: Final = frozenset({"bearer", SCHEME})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever a token speaks for, as they are now: the application, and the person it acts for."""

    app: App
    person: Person | None
    token: VerifiedToken


def issuer_of(services: AdminServices) -> TokenIssuer:
    """Say what this server puts into the tokens of the tenant at work."""
    return TokenIssuer.of(services.tenant, services.settings.public_url, services.settings.public_urls)


@dataclass(frozen=True, slots=True)
class Callers:
    """Finds out who calls. One for a process: it remembers the keys that verify tokens, and what they verified."""

    services: AdminServices
    keys: VerificationKeys
    tokens: KnownTokens = field(default_factory=KnownTokens)

    def caller_of(self, connection: Connection, transaction: Transaction, tenant: Tenant, token: str) -> Caller:
        """Find out whose a token is.

        Raises:
            UnauthenticatedError: The token, or the proof beside it, is not good.
            RevokedTokenError: It was good until somebody took it back.
        """
        verified = self._verified(connection, tenant, token, self.tokens.claimed(token))
        return self._caller_of(connection, transaction, tenant, verified, token)

    def principal_of(self, connection: Connection) -> Principal:
        """Find out who sends a request. Raises: as ``caller_of``."""
        token = token_of(connection)
        claimed = self.tokens.claimed(token)
        tenant = self.services.tenancy.find(claimed.tenant_id)
        if tenant is None:
            raise UnauthenticatedError("The access token is not valid.")
        verified = self._verified(connection, tenant, token, claimed)
        # Of an application one row is read; what a person may is put together from several, in one view.
        looking = self.services.database.glance if verified.person_id is None else self.services.database.read
        with looking() as transaction:
            caller = self._caller_of(connection, transaction, tenant, verified, token)
            return _principal(transaction, caller, tenant)

    def _verified(self, connection: Connection, tenant: Tenant, token: str, claimed: Claimed) -> VerifiedToken:
        settings = self.services.settings
        issuer = TokenIssuer.of(tenant, settings.public_url, settings.public_urls)
        keys = self.keys.of(tenant.id, claimed.key_id)
        claims = self.tokens.signed_claims(token, keys)
        return issuer.verified(claims, self.services.clock.now(), _api_of(connection))

    def _caller_of(
        self, connection: Connection, transaction: Transaction, tenant: Tenant, verified: VerifiedToken, token: str
    ) -> Caller:
        now = self.services.clock.now()
        app = find_app(transaction, tenant.id, verified.client_id)
        if app is None or not app.enabled:
            raise RevokedTokenError("The application is not there any more.", now)
        person = None
        if verified.person_id is not None:
            person = people.find(transaction, verified.person_id)
            if person is None or person.tenant_id != tenant.id or not person.enabled:
                raise RevokedTokenError("The person is not there any more.", now)
        _refuse_older(verified, app.valid_from)
        if person is not None:
            _refuse_older(verified, person.valid_from)
        prove_possession(self.services, connection, token, verified.key)
        return Caller(app=app, person=person, token=verified)


def token_of(connection: Connection) -> str:
    """Return the token that a request carries (RFC 6750 section 2.1, RFC 9449 section 7.1).

    Raises:
        UnauthenticatedError: It carries none.
    """
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in _SCHEMES or not token:
        raise UnauthenticatedError("The request carries no access token.")
    return token


def _principal(transaction: Transaction, caller: Caller, tenant: Tenant) -> Principal:
    app, person, token = caller.app, caller.person, caller.token
    if person is None:
        return Principal(
            kind="app",
            id=app.client_id,
            display_name=app.display_name,
            tenant_id=app.tenant_id,
            permissions=token.permissions & {*app.permissions},
        )
    return Principal(
        kind=PERSON,
        id=person.id,
        display_name=person.display_name,
        tenant_id=person.tenant_id,
        permissions=token.permissions & {*delegated_of(app), *OF_EVERYBODY, *OPENID} - _withheld(person),
        access=access_of(transaction, person),
        proved_at=token.proved_at,
        user_name=person.principal_name(tenant.domain),
    )


def _withheld(person: Person) -> frozenset[str]:
    """Say what somebody may not use whatever their roles grant: other tenants are seen by who was invited to that."""
    return frozenset() if person.sees_tenants else frozenset({"ManagedTenants.Read.All"})


def _refuse_older(token: VerifiedToken, valid_from: datetime) -> None:
    if token.issued_at < valid_from:
        raise RevokedTokenError("The access token was taken back.", valid_from)


def _api_of(connection: Connection) -> Api:
    return Api.DEFENDER if connection.scope["path"].startswith(_DEFENDER) else Api.GRAPH
