"""Reading what comes to the identity platform: forms, and what a client shows who it is by."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, unquote_plus

from litestar import Response
from litestar.di import NamedDependency

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import UUID_PATTERN
from shieldwall.contract.strict_json import decode_any, encode
from shieldwall.server.access.throttling import Attempts
from shieldwall.server.admin.callers import issuer_of
from shieldwall.server.admin.claims_challenges import asks_for_fresh_proof
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.access_tokens import TokenIssuer
from shieldwall.server.directory.client_assertions import ASSERTION_TYPE, claimed_client
from shieldwall.server.directory.first_party import known_client_id
from shieldwall.server.identity.errors import JSON, NO_STORE, IdentityRequest, invalid_request, unknown_tenant

Services: TypeAlias = NamedDependency[AdminServices]
Guarding: TypeAlias = NamedDependency[Attempts]
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 50
_ID: Final = re.compile(UUID_PATTERN)
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Whom a client says it is, and what it shows for it: a secret, a signed statement, or nothing."""

    client_id: str
    secret: str | None = field(default=None, repr=False)
    assertion: str | None = field(default=None, repr=False)


def issuer_for(services: AdminServices, tenant: str) -> TokenIssuer:
    """Return the issuer of the tenant that a path names. Raises: TokenRequestError."""
    named = services.tenancy.named(tenant)
    if named is None or named.id != services.tenant.id:
        raise unknown_tenant(tenant)
    return issuer_of(services)


def answer(value: object, *, stored: bool = True) -> Response[bytes]:
    """Write an answer as JSON; what holds a token is not ``stored`` by anything on its way."""
    return Response(encode(value), status_code=200, media_type=JSON, headers={} if stored else dict(NO_STORE))


def form_of(request: IdentityRequest, body: bytes) -> dict[str, str]:
    """Read a form; what we do not know in it is left to whoever does. Raises: TokenRequestError."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != _FORM:
        raise invalid_request(f"The body must be {_FORM}.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), strict_parsing=True, keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise invalid_request("The body is not a well-formed form.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise invalid_request("A field stands twice.")
    if any("\0" in value for value in form.values()):  # one engine does not even store it
        raise invalid_request("A field holds a character that stands in no text.")
    return form


def shown_by(request: IdentityRequest, form: dict[str, str], services: AdminServices) -> Shown:
    """Find what a client shows, in the form or in the header, never in both (RFC 6749 section 2.3).

    Raises:
        TokenRequestError: It shows several things, or none of them can be read.
        InvalidClientError: What it signed is no statement.
    """
    header, assertion = request.headers.get("authorization"), form.get("client_assertion")
    given = [each for each in (header, assertion, form.get("client_secret")) if each is not None]
    if len(given) > 1:
        raise invalid_request("A client shows who it is in one way at a time.")
    if assertion is not None:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise invalid_request(f"The client_assertion_type must be {ASSERTION_TYPE}.")
        said = claimed_client(assertion)
        if form.get("client_id", said).lower() != said.lower():
            raise invalid_request("The client_id is not the one that the assertion is about.")
        return Shown(client_id=_known(said, services), assertion=assertion)
    if header is not None:
        client_id, secret = _basic(header)
        return Shown(client_id=_known(client_id, services), secret=secret)
    return Shown(client_id=_known(form.get("client_id", ""), services), secret=form.get("client_secret"))


def wants_fresh_proof(claims: str | None) -> bool:
    """Read from a ``claims`` parameter whether it asks for a fresh proof; one that cannot be read asks for nothing."""
    if not claims:
        return False
    try:
        return asks_for_fresh_proof(decode_any(claims.encode()))
    except (InvalidJsonError, UnicodeEncodeError):
        return False


def _known(client_id: str, services: AdminServices) -> str:
    lowered = client_id.lower()
    if not _ID.match(lowered):
        return _NOBODY  # goes on, so that no shape of an id is answered in another way
    return known_client_id(services.tenant.id, lowered)


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        pair = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        pair = ""
    client_id, colon, secret = pair.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise invalid_request("The header Authorization cannot be read.")
    return unquote_plus(client_id), unquote_plus(secret)
