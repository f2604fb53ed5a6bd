"""What applications exchange for tokens: their own word, a code, a refresh token, a device code.

The tokens are signed after the transaction, so that a slow signer holds up nobody who writes. Where it does not answer,
a code is spent, and the person signs in again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection

from shieldwall.contract.strict_json import encode
from shieldwall.server.access.authorization import PROOF_LIFETIME
from shieldwall.server.admin.claims_challenges import fresh_proof
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import authorization_codes, device_codes, refresh_tokens
from shieldwall.server.directory.access_tokens import LIFETIME, TokenIssuer, bound_to, client_info
from shieldwall.server.directory.acting import Acting, Origin
from shieldwall.server.directory.device_codes import Asked
from shieldwall.server.directory.first_party import delegated_of
from shieldwall.server.directory.possession import Proof
from shieldwall.server.directory.refresh_tokens import PersonGrant
from shieldwall.server.directory.resource_names import (
    DEFAULT,
    OF_EVERYBODY,
    OPENID,
    InvalidScopeError,
    WantedScopes,
    wanted_scopes,
)
from shieldwall.server.identity.errors import TokenRequestError, invalid_grant, invalid_request
from shieldwall.server.identity.possession import use_up
from shieldwall.server.identity.requests import wants_fresh_proof
from shieldwall.server.storage.identity_records import App

Body: TypeAlias = dict[str, Any]
_NOT_FOR_DEVICES: Final = "The sign-in by a code that is typed elsewhere is switched off on this server."


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An application that showed who it is, and what it sent."""

    services: AdminServices
    issuer: TokenIssuer
    app: App
    form: Mapping[str, str]
    address: str | None = None
    """Where the request came from, for the audit trail."""
    proof: Proof | None = None
    """That it holds a key, to which its tokens are bound then."""

    @property
    def key(self) -> str | None:
        """Thumbprint of the key that its tokens are bound to."""
        return None if self.proof is None else self.proof.key

    @property
    def acting(self) -> Acting:
        """The application at work."""
        origin = Origin(actor_id=self.app.client_id, ip_address=self.address)
        return replace(self.services.acting(f"app:{self.app.display_name}"), origin=origin)

    @property
    def wanted(self) -> WantedScopes:
        """What is asked for, by ``scope`` or by an older client's ``resource``. Raises: InvalidScopeError."""
        scope, resource = self.form.get("scope", ""), self.form.get("resource", "")
        if resource:  # the endpoint of version 1; a scope there is about OpenID Connect alone
            openid = " ".join(each for each in scope.split() if each in OPENID)
            scope = f"{resource.rstrip('/')}/{DEFAULT} {openid}"
        return wanted_scopes(scope, self.issuer.resources)


def for_itself(exchange: Exchange) -> Body:
    """Issue a token to an application that speaks for itself (RFC 6749 section 4.4)."""
    app, wanted = exchange.app, exchange.wanted
    if wanted.names != {DEFAULT} or wanted.openid:
        raise InvalidScopeError("An application asks for <resource>/.default, and for nothing else.")
    if app.is_public:
        cause = "A public application speaks for people, never for itself."
        raise TokenRequestError("unauthorized_client", cause, number=700025)
    services = exchange.services
    if exchange.proof is not None:
        with services.database.write() as connection:
            use_up(connection, app, exchange.proof)
    claims = exchange.issuer.claims_of_app(
        app, audience=wanted.audience, now=services.clock.now(), token_id=services.new_id()
    )
    return _body(exchange, claims)


def for_code(exchange: Exchange) -> Body:
    """Exchange an authorization code (RFC 6749 section 4.1.3)."""
    code, verifier = _field(exchange, "code"), _field(exchange, "code_verifier")
    redirect_uri = _field(exchange, "redirect_uri")

    def redeem(connection: Connection) -> PersonGrant | None:
        found = authorization_codes.redeem(
            connection, exchange.acting, exchange.app, code=code, redirect_uri=redirect_uri, verifier=verifier
        )
        if found is None:
            return None
        issued_at = found.expires_at - authorization_codes.LIFETIME
        return refresh_tokens.grant_of_code(connection, exchange.app, found, issued_at)

    return _for_person(exchange, redeem, "The code is not good: unknown, used, ended, or meant for somebody else.")


def for_refresh_token(exchange: Exchange) -> Body:
    """Exchange a refresh token for new ones (RFC 6749 section 6)."""
    token = _field(exchange, "refresh_token")

    def redeem(connection: Connection) -> PersonGrant | None:
        return refresh_tokens.redeem(connection, exchange.acting, exchange.app, token, exchange.key)

    return _for_person(exchange, redeem, "The refresh token is not good: used, ended or taken back.", number=700082)


def for_device_code(exchange: Exchange) -> Body:
    """Answer a program that asks whether somebody typed its code (RFC 8628 section 3.4)."""
    if not exchange.services.settings.identity.device_code:
        raise TokenRequestError("unsupported_grant_type", _NOT_FOR_DEVICES, number=70003)
    code = exchange.form.get("device_code") or _field(exchange, "code")
    with exchange.services.database.write() as connection:
        found = device_codes.ask(connection, exchange.acting, exchange.app, code)
        token = None
        if not isinstance(found, Asked):
            use_up(connection, exchange.app, exchange.proof)
            token = _refresh_token(connection, exchange, found)
    if isinstance(found, Asked):
        raise TokenRequestError(found.value, _ASKED[found], number=_NUMBERS[found])
    return _person_body(exchange, found, token)


_ASKED: Final = {
    Asked.PENDING: "Nobody has typed the code yet.",
    Asked.TOO_SOON: "That was too soon; wait as long as you were told between two questions.",
    Asked.DENIED: "The person said no.",
    Asked.EXPIRED: "The code has ended.",
    Asked.UNKNOWN: "There is no such code.",
}
_NUMBERS: Final = {
    Asked.PENDING: 70016,
    Asked.TOO_SOON: 70018,
    Asked.DENIED: 70017,
    Asked.EXPIRED: 70020,
    Asked.UNKNOWN: 70019,
}


def _for_person(
    exchange: Exchange, redeem: Callable[[Connection], PersonGrant | None], cause: str, *, number: int = 70000
) -> Body:
    with exchange.services.database.write() as connection:
        grant = redeem(connection)
        # What follows may raise: then nothing was used up. What only comes to nothing stays, and is refused below.
        if grant is not None:
            use_up(connection, exchange.app, exchange.proof)
            _require_fresh_proof(exchange, grant)
            grant = _as_wanted(exchange, grant)
        token = None if grant is None else _refresh_token(connection, exchange, grant)
    if grant is None:
        raise invalid_grant(cause, number)
    return _person_body(exchange, grant, token)


def _as_wanted(exchange: Exchange, grant: PersonGrant) -> PersonGrant:
    """Narrow a leave to what is asked for now, where anything is; it is never widened (RFC 6749 section 6)."""
    if not exchange.form.get("scope") and not exchange.form.get("resource"):
        return grant
    wanted = exchange.wanted
    if not wanted.names:
        return grant
    if not wanted.is_default:
        wanted.granted(grant.scopes)  # refuses what was not granted
    return replace(grant, audience=wanted.audience)


def _refresh_token(connection: Connection, exchange: Exchange, grant: PersonGrant) -> str | None:
    if "offline_access" not in grant.scopes:
        return None
    return refresh_tokens.issue(connection, exchange.app, grant, now=exchange.services.clock.now(), key=exchange.key)


def _require_fresh_proof(exchange: Exchange, grant: PersonGrant) -> None:
    """Answer a step-up: only the person can bring a newer proof, not a refresh token."""
    if not wants_fresh_proof(exchange.form.get("claims")):
        return
    if exchange.services.clock.now() - grant.signed_in.proved_at > PROOF_LIFETIME:
        more = {"suberror": "basic_action", "claims": encode(fresh_proof()).decode()}
        cause = "The person has to prove again who they are."
        raise TokenRequestError("interaction_required", cause, number=50076, more=more)


def _person_body(exchange: Exchange, grant: PersonGrant, refresh_token: str | None) -> Body:
    services, issuer, app = exchange.services, exchange.issuer, exchange.app
    now, openid = services.clock.now(), frozenset(grant.scopes) & OPENID
    allowed = {*delegated_of(app), *OF_EVERYBODY, *OPENID} - {"offline_access"}
    scopes = tuple(each for each in grant.scopes if each in allowed)
    claims = issuer.claims_of_person(
        app, grant.signed_in, audience=grant.audience, scopes=scopes, now=now, token_id=services.new_id()
    )
    body = _body(exchange, claims)
    told = [each if each in OPENID else f"{grant.audience}/{each}" for each in grant.scopes]
    if DEFAULT in exchange.form.get("scope", ""):
        told.append(f"{grant.audience}/{DEFAULT}")
    body["scope"] = " ".join(told)
    if refresh_token is not None:
        body["refresh_token"] = refresh_token
    if "openid" in openid:
        claims = issuer.id_claims(
            app, grant.signed_in, openid=openid, nonce=grant.nonce, now=now, token_id=services.new_id()
        )
        body["id_token"] = services.signer.sign_token(claims)
    if exchange.form.get("client_info") == "1":
        body["client_info"] = client_info(grant.signed_in.person)
    return body


def _body(exchange: Exchange, claims: Body) -> Body:
    lifetime = int(LIFETIME.total_seconds())
    return {
        "token_type": "Bearer" if exchange.proof is None else "DPoP",
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": exchange.services.signer.sign_token(bound_to(claims, exchange.key)),
    }


def _field(exchange: Exchange, name: str) -> str:
    if not (value := exchange.form.get(name, "")):
        raise invalid_request(f"The field {name} is missing.")
    return value
