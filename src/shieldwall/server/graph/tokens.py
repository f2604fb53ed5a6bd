"""Access tokens: RS256 JWTs as the identity platform issues them, for applications with a client secret.

The key lives in the signer; here are the claims, and their verification (RFC 9068, RFC 8725: one algorithm, exact
issuer, an audience from the alias table).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from shieldwall.contract.errors import InvalidIdError, InvalidJsonError, ShieldwallError
from shieldwall.contract.ids import TenantId, parse_tenant_id
from shieldwall.contract.strict_json import decode_any
from shieldwall.server.authorization import Principal, UnauthenticatedError
from shieldwall.server.storage.identity_records import App

LIFETIME: Final = timedelta(hours=1)
_LEEWAY_SECONDS: Final = 60
_DEFAULT: Final = "/.default"
_GRAPH: Final = ("https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000")
"""How clients of Microsoft Graph name it: by its address, or by its well-known application id."""


class TokenRequestError(ShieldwallError):
    """The token endpoint refuses; ``error`` is the OAuth code (RFC 6749 section 5.2)."""

    code = "tokenRefused"
    remedy = "Check client id, secret, scope and grant type."

    def __init__(self, error: str, cause: str, *, number: int, status: int = 400) -> None:
        super().__init__(cause)
        self.error = error
        self.number = number
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    """What stands in every token of a tenant: issuer and the audiences that mean us."""

    tenant_id: TenantId
    tenant_domain: str
    public_url: str

    @property
    def issuer(self) -> str:
        """The exact value of ``iss``."""
        return f"{self.public_url}/{self.tenant_id}/v2.0"

    @property
    def audiences(self) -> frozenset[str]:
        """Every resource name under which a client may know us."""
        return frozenset((*_GRAPH, self.public_url, f"https://{urlsplit(self.public_url).hostname}"))

    def names_tenant(self, name: str) -> bool:
        """Tell whether a path segment names the tenant, by id or by domain."""
        return name.lower() in {self.tenant_id, self.tenant_domain.lower()}

    def audience_of(self, *, scope: str = "", resource: str = "") -> str:
        """Find the resource that a ``<resource>/.default`` scope names, or an older client's ``resource``.

        Raises:
            TokenRequestError: Neither names us.
        """
        if resource and not scope:
            scope = resource.rstrip("/") + _DEFAULT
        named = scope.removesuffix(_DEFAULT).rstrip("/")
        if not scope.endswith(_DEFAULT) or named not in self.audiences:
            raise TokenRequestError("invalid_scope", f"The scope {scope[:128]!r} is not valid here.", number=70011)
        return named

    def claims(self, app: App, *, audience: str, now: datetime, token_id: str) -> dict[str, Any]:
        """Write the claims of an application's token."""
        issued = int(now.timestamp())
        return {
            "aud": audience,
            "iss": self.issuer,
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
            "tid": self.tenant_id,
            "oid": app.client_id,
            "sub": app.client_id,
            "appid": app.client_id,
            "azp": app.client_id,
            "app_displayname": app.display_name,
            "idtyp": "app",
            "roles": list(app.permissions),
            "ver": "2.0",
            "uti": token_id,
        }

    def principal_of(self, token: str, keys: KeySet, now: datetime) -> Principal:
        """Verify an access token and say whom it speaks for.

        Raises:
            UnauthenticatedError: It is not ours, not for us, or out of its time. The answer never says which.
        """
        try:
            verified = jwt.decode(token, keys, algorithms=["RS256"])
        except (JoseError, ValueError):
            raise UnauthenticatedError("The access token is not valid.") from None
        claims: Mapping[str, Any] = verified.claims
        moment = now.timestamp()
        ours = (
            claims.get("iss") == self.issuer
            and claims.get("tid") == self.tenant_id
            and claims.get("aud") in self.audiences
            and claims.get("idtyp") == "app"
            and _number(claims.get("nbf")) - _LEEWAY_SECONDS <= moment < _number(claims.get("exp"))
        )
        if not ours:
            raise UnauthenticatedError("The access token is not valid.")
        return Principal(
            kind="app",
            id=str(claims["appid"]),
            display_name=str(claims["app_displayname"]),
            tenant_id=self.tenant_id,
            permissions=frozenset(str(role) for role in claims["roles"]),
        )


def claimed_tenant(token: str) -> TenantId:
    """Read which tenant a token says it is of: it chooses the keys to verify with, and is not believed before.

    Raises:
        UnauthenticatedError: It is no token of ours.
    """
    try:
        claims = decode_any(jws.extract_compact(token.encode()).payload)
        return parse_tenant_id(claims["tid"] if isinstance(claims, dict) and isinstance(claims.get("tid"), str) else "")
    except (JoseError, ValueError, InvalidJsonError, InvalidIdError):
        raise UnauthenticatedError("The access token is not valid.") from None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")
