"""What an OpenID provider says, and whether to believe it (OpenID Connect Core and Discovery, RFC 9207). Pure.

What comes from a provider is a stranger's text until its ID token is verified here: by a key of the issuer that an
administrator has named, for us, for this sign-in, now.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError

ALGORITHMS: Final = frozenset({"RS256", "PS256", "ES256", "EdDSA", "Ed25519"})
LEEWAY: Final = timedelta(seconds=60)
LONGEST_AGE: Final = timedelta(minutes=10)
"""How old an ID token may be: it was made for us a moment ago."""
_LONGEST_SUBJECT: Final = 255
_LONGEST_TOKEN: Final = 64 * 1024
_KEY_TYPES: Final = frozenset({"RSA", "EC", "OKP"})
_MOST_KEYS: Final = 32


class _Allowed(JWSRegistry):
    """The algorithms that may sign, and no others.

    Providers write ``EdDSA`` still (RFC 8037), where RFC 9864 has narrower names; the library warns of it each time.
    """

    def get_alg(self, name: str) -> Any:
        """Return an algorithm that is allowed. Raises: UnsupportedAlgorithmError."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name[:16]}' is not allowed")
        return self.algorithms[name]


_REGISTRY: Final = _Allowed(algorithms=sorted(ALGORITHMS))


class FederationRefusedError(ShieldwallError):
    """An identity provider's answer does not show who somebody is here."""

    code = "federationRefused"
    remedy = "Begin again at the sign-in page; if it stays so, an administrator looks at the identity provider."


class ProviderMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of a provider's description of itself; it says much more."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    pushed_authorization_request_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What binds one sign-in to one browser: made of its cookie and the state, so that nothing of it is kept."""

    state: str
    browser: str

    @property
    def nonce(self) -> str:
        """What has to stand in the ID token."""
        return self._derived(b"nonce")

    @property
    def verifier(self) -> str:
        """What proves at the token endpoint that the code was asked for here (RFC 7636)."""
        return self._derived(b"verifier")

    @property
    def challenge(self) -> str:
        """What is told of the verifier beforehand."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    def _derived(self, purpose: bytes) -> str:
        return _text(hmac.new(self.browser.encode(), purpose + b" " + self.state.encode(), hashlib.sha256).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a provider's answers have to fit."""

    issuer: str
    client_id: str
    acr: Collection[str] = ()
    amr: Collection[str] = ()
    max_age: timedelta | None = None


def parse_metadata(text: bytes, issuer: str) -> ProviderMetadata:
    """Read a provider's description. Raises: FederationRefusedError."""
    try:
        found = strict_json.decode(text, ProviderMetadata)
    except InvalidJsonError as error:
        raise FederationRefusedError(f"The identity provider's description cannot be read: {error.cause}") from None
    if found.issuer != issuer:
        raise FederationRefusedError("The identity provider calls itself by another issuer than the one configured.")
    return found


def parse_keys(text: bytes) -> KeySet:
    """Read a provider's keys, as far as they could sign for us. Raises: FederationRefusedError."""
    try:
        value = strict_json.decode_any(text)
        listed = value["keys"]
        usable = [key for key in listed if key.get("kty") in _KEY_TYPES and key.get("use", "sig") == "sig"]
        return KeySet.import_key_set({"keys": usable[:_MOST_KEYS]})
    except (InvalidJsonError, JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise FederationRefusedError("The identity provider's keys cannot be read.") from None


def authorization_parameters(
    expected: Expected, secrets: Secrets, *, redirect_uri: str, scope: str, is_proof: bool
) -> dict[str, str]:
    """Write what the provider is asked; where a fresh proof is wanted, that somebody shows themselves anew."""
    asked = {
        "response_type": "code",
        "client_id": expected.client_id,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "state": secrets.state,
        "nonce": secrets.nonce,
        "code_challenge": secrets.challenge,
        "code_challenge_method": "S256",
    }
    if expected.acr:
        asked["acr_values"] = " ".join(expected.acr)
    if is_proof:
        asked |= {"prompt": "login", "max_age": "0"}
    elif expected.max_age is not None:
        asked["max_age"] = str(int(expected.max_age.total_seconds()))
    return asked


def with_query(endpoint: str, parameters: Mapping[str, str]) -> str:
    """Add parameters to an address."""
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"


def check_issuer_parameter(metadata: ProviderMetadata, given: str | None) -> None:
    """Look at who says that the answer is theirs (RFC 9207). Raises: FederationRefusedError."""
    is_missing = given is None and metadata.authorization_response_iss_parameter_supported
    if is_missing or (given is not None and given != metadata.issuer):
        raise FederationRefusedError("The answer does not come from the identity provider that was asked.")


def verified_claims(token: str, keys: KeySet, expected: Expected, *, nonce: str, now: datetime) -> dict[str, Any]:
    """Verify an ID token and return what it says.

    Raises:
        FederationRefusedError: It is not the issuer's, not for us, not for this sign-in, or out of its time.
    """
    try:
        verified = jwt.decode(
            token if len(token) <= _LONGEST_TOKEN else "", keys, registry=_Allowed(algorithms=sorted(ALGORITHMS))
        )
        strict_json.decode_any(strict_json.encode(verified.claims))
    except (JoseError, InvalidJsonError, ValueError, TypeError, KeyError):
        raise FederationRefusedError("The identity provider's token is not signed as it should be.") from None
    claims: dict[str, Any] = dict(verified.claims)
    for wrong, what in _faults(claims, expected, nonce, now):
        if wrong:
            raise FederationRefusedError(f"The identity provider's token does not fit: {what}.")
    return claims


def _faults(claims: Mapping[str, Any], expected: Expected, nonce: str, now: datetime) -> list[tuple[bool, str]]:
    moment, leeway = now.timestamp(), LEEWAY.total_seconds()
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
    azp, subject, said = claims.get("azp"), claims.get("sub"), claims.get("nonce")
    issued, expires, not_before = (_number(claims.get(name)) for name in ("iat", "exp", "nbf"))
    authenticated = _number(claims.get("auth_time"))
    named = claims.get("amr")
    methods = named if isinstance(named, list) else []
    oldest = 0.0 if expected.max_age is None else moment - expected.max_age.total_seconds() - leeway
    is_recent = authenticated is not None and oldest <= authenticated <= moment + leeway
    return [
        (claims.get("iss") != expected.issuer, "iss"),
        (expected.client_id not in audiences, "aud"),
        (len(audiences) > 1 and azp is None, "azp"),
        (azp is not None and azp != expected.client_id, "azp"),
        (not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()), "nonce"),
        (not isinstance(subject, str) or not 1 <= len(subject) <= _LONGEST_SUBJECT or not subject.isprintable(), "sub"),
        (expires is None or moment >= expires + leeway, "exp"),
        (issued is None or not moment - LONGEST_AGE.total_seconds() <= issued <= moment + leeway, "iat"),
        ("nbf" in claims and (not_before is None or moment < not_before - leeway), "nbf"),
        (expected.max_age is not None and not is_recent, "auth_time"),
        (bool(expected.acr) and claims.get("acr") not in expected.acr, "acr"),
        (bool(expected.amr) and not any(each in methods for each in expected.amr), "amr"),
    ]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
