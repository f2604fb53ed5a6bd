"""Access tokens and id tokens: RS256 JWTs as the identity platform issues them, for applications and for people.

The key lives in the signer; here are the claims, and their verification (RFC 9068, RFC 8725: one algorithm, exact
issuer, an audience of the API that is called). Pure; whether a token was revoked since is looked up by whoever calls.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from shieldwall.contract.errors import InvalidIdError, InvalidJsonError
from shieldwall.contract.ids import TenantId, parse_tenant_id
from shieldwall.contract.strict_json import decode_any, encode
from shieldwall.server.access.authorization import UnauthenticatedError
from shieldwall.server.directory.resource_names import Api, ResourceNames
from shieldwall.server.storage.identity_records import App, Person, ProofMethod
from shieldwall.server.storage.records import Tenant

LIFETIME: Final = timedelta(hours=1)
_LEEWAY_SECONDS: Final = 60
_METHODS: Final = {ProofMethod.PASSKEY: ["fido", "mfa"], ProofMethod.FEDERATED: ["fed"], ProofMethod.CODE: ["otp"]}
"""What ``amr`` says of how a person showed who they are (RFC 8176, and Microsoft's words where it has them)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A person who showed who they are to use an application: when, and how."""

    person: Person
    proved_at: datetime
    method: ProofMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedToken:
    """What a token says that we issued and that is in its time."""

    client_id: str
    person_id: str | None
    display_name: str
    permissions: frozenset[str]
    issued_at: datetime
    proved_at: datetime | None
    token_id: str
    key: str | None = None
    """Thumbprint of the key that it is bound to; a token that is bound to none is good for whoever holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    """What stands in every token of a tenant: issuer, and the audiences that mean us.

    ``public_url`` is the address that the client used, one of ``public_urls``; tokens issued at any of them are good.
    """

    tenant_id: TenantId
    tenant_domain: str
    public_url: str
    public_urls: tuple[str, ...]

    @classmethod
    def of(cls, tenant: Tenant, public_url: str, public_urls: tuple[str, ...]) -> TokenIssuer:
        """Return the issuer of a tenant, as it is seen at one of the server's addresses."""
        return cls(tenant_id=tenant.id, tenant_domain=tenant.domain, public_url=public_url, public_urls=public_urls)

    @property
    def issuer(self) -> str:
        """The exact value of ``iss``."""
        return _issuer(self.public_url, self.tenant_id)

    @property
    def issuers(self) -> frozenset[str]:
        """The issuers that this one is at all addresses of the server."""
        return frozenset(_issuer(url, self.tenant_id) for url in self.public_urls)

    @property
    def resources(self) -> ResourceNames:
        """The names that mean our APIs."""
        return ResourceNames(self.public_urls)

    @property
    def endpoints(self) -> frozenset[str]:
        """The addresses of the token endpoint, as clients that sign statements for it may name it."""
        names = (self.tenant_id, self.tenant_domain.lower())
        return frozenset(
            f"{url}/{name}/{path}"
            for url in self.public_urls
            for name in names
            for path in ("oauth2/v2.0/token", "oauth2/token")
        )

    def claims_of_app(self, app: App, *, audience: str, now: datetime, token_id: str) -> dict[str, Any]:
        """Write the claims of an application's own token."""
        return self._claims(app, audience, issued_at(now, app.valid_from), token_id) | {
            "oid": app.client_id,
            "sub": app.client_id,
            "idtyp": "app",
            "roles": list(app.permissions),
        }

    def claims_of_person(
        self, app: App, signed_in: SignIn, *, audience: str, scopes: tuple[str, ...], now: datetime, token_id: str
    ) -> dict[str, Any]:
        """Write the claims of the token with which an application acts for a person."""
        person = signed_in.person
        issued = issued_at(now, max(app.valid_from, person.valid_from))
        return self._claims(app, audience, issued, token_id) | {
            "oid": person.id,
            "sub": _pairwise(app.client_id, person),
            "idtyp": "user",
            "scp": " ".join(scopes),
            "preferred_username": person.principal_name(self.tenant_domain),
            "name": person.display_name,
            "auth_time": int(signed_in.proved_at.timestamp()),
            "amr": _METHODS[signed_in.method],
        }

    def id_claims(
        self, app: App, signed_in: SignIn, *, openid: frozenset[str], nonce: str, now: datetime, token_id: str
    ) -> dict[str, Any]:
        """Write the claims of an id token (OpenID Connect Core 1.0 section 2): who signed in, when and how."""
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": app.client_id,
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
            "tid": self.tenant_id,
            "auth_time": int(signed_in.proved_at.timestamp()),
            "amr": _METHODS[signed_in.method],
            "ver": "2.0",
            "uti": token_id,
        } | person_claims(app.client_id, signed_in.person, openid, self.tenant_domain)
        return claims | ({"nonce": nonce} if nonce else {})

    def verified(self, claims: Mapping[str, Any], now: datetime, api: Api) -> VerifiedToken:
        """Read the claims of an access token for one of our APIs, as ``signed_claims`` returns them.

        Raises:
            UnauthenticatedError: It is not ours, not for this API, or out of its time. The answer never says which.
        """
        moment = now.timestamp()
        ours = (
            claims.get("iss") in self.issuers
            and claims.get("tid") == self.tenant_id
            and claims.get("aud") in self.resources.audiences(api)
            and claims.get("idtyp") in {"app", "user"}
            and _number(claims.get("nbf")) - _LEEWAY_SECONDS <= moment < _number(claims.get("exp"))
        )
        if not ours:
            raise _invalid()
        try:
            return _read(claims)
        except (KeyError, TypeError):  # signed by us, and still no access token
            raise _invalid() from None

    def _claims(self, app: App, audience: str, issued: int, token_id: str) -> dict[str, Any]:
        return {
            "aud": audience,
            "iss": self.issuer,
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
            "tid": self.tenant_id,
            "appid": app.client_id,
            "azp": app.client_id,
            "app_displayname": app.display_name,
            "ver": "2.0",
            "uti": token_id,
        }


def _read(claims: Mapping[str, Any]) -> VerifiedToken:
    is_app = claims["idtyp"] == "app"
    return VerifiedToken(
        client_id=str(claims["appid"]),
        person_id=None if is_app else str(claims["oid"]),
        display_name=str(claims["app_displayname" if is_app else "name"]),
        permissions=frozenset(map(str, claims["roles"] if is_app else str(claims["scp"]).split())),
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
        proved_at=None if is_app else datetime.fromtimestamp(claims["auth_time"], UTC),
        token_id=str(claims["uti"]),
        key=str(claims["cnf"]["jkt"]) if "cnf" in claims else None,
    )


def bound_to(claims: dict[str, Any], key: str | None) -> dict[str, Any]:
    """Bind a token to the key with this thumbprint (RFC 9449 section 6.1), where there is one."""
    return claims if key is None else claims | {"cnf": {"jkt": key}}


def issued_at(now: datetime, valid_from: datetime) -> int:
    """Return ``iat`` of a token made now: whole seconds, and never before what makes older tokens worthless."""
    return max(int(now.timestamp()), ceil(valid_from.timestamp()))


def person_claims(client_id: str, person: Person, openid: frozenset[str], domain: str) -> dict[str, Any]:
    """Say who a person is to an application, as far as the scopes of OpenID Connect ask for it."""
    claims: dict[str, Any] = {"sub": _pairwise(client_id, person), "oid": person.id}
    if "profile" in openid:
        claims |= {"name": person.display_name, "preferred_username": person.principal_name(domain)}
    if "email" in openid and "@" in person.user_name:
        claims["email"] = person.user_name
    return claims


def client_info(person: Person) -> str:
    """Write what the libraries of Microsoft's identity platform know an account by."""
    return urlsafe_b64encode(encode({"uid": person.id, "utid": person.tenant_id})).decode().rstrip("=")


def signed_claims(token: str, keys: KeySet) -> Mapping[str, Any]:
    """Return what a token says that one of these keys signed.

    Raises:
        UnauthenticatedError: None of them did, or it is no token.
    """
    try:
        claims: Mapping[str, Any] = jwt.decode(token, keys, algorithms=["RS256"]).claims
    except (JoseError, ValueError):
        raise _invalid() from None
    return claims


def claimed_tenant(token: str) -> TenantId:
    """Read which tenant a token says it is of: it chooses the keys to verify with, and is not believed before.

    Raises:
        UnauthenticatedError: It is no token of ours.
    """
    try:
        claims = decode_any(jws.extract_compact(token.encode()).payload)
        return parse_tenant_id(claims["tid"] if isinstance(claims, dict) and isinstance(claims.get("tid"), str) else "")
    except (JoseError, ValueError, InvalidJsonError, InvalidIdError):
        raise _invalid() from None


def claimed_key(token: str) -> str:
    """Read which key a token says it was signed with. Raises: UnauthenticatedError."""
    try:
        kid = jws.extract_compact(token.encode()).headers().get("kid")
    except (JoseError, ValueError, TypeError, AttributeError):
        raise _invalid() from None
    if not isinstance(kid, str):
        raise _invalid()
    return kid


def _issuer(url: str, tenant_id: TenantId) -> str:
    return f"{url}/{tenant_id}/v2.0"


def _pairwise(client_id: str, person: Person) -> str:
    """Name a person to one application alone (OpenID Connect Core 1.0 section 8.1)."""
    text = f"{person.tenant_id}\x00{client_id}\x00{person.id}"
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def _invalid() -> UnauthenticatedError:
    return UnauthenticatedError("The access token is not valid.")
