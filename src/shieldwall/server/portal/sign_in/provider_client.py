"""Asking an OpenID provider: its description, its keys, a place for a request, and what a code is worth.

Descriptions and keys are remembered for an hour. Keys are asked for again when a token names one that is not there, at
most once a minute, so that nobody makes this server ask without end.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from joserfc.jwk import KeySet

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.strict_json import decode_any
from shieldwall.server.directory.openid import (
    Expected,
    FederationRefusedError,
    ProviderMetadata,
    parse_keys,
    parse_metadata,
    verified_claims,
)
from shieldwall.server.outgoing.client import Answer, Outgoing
from shieldwall.server.outgoing.errors import ReceiverUnreachableError
from shieldwall.server.storage.identity.identity_providers import IdentityProvider

REMEMBERED: Final = timedelta(hours=1)
ASKED_AGAIN: Final = timedelta(minutes=1)
MOST_BYTES: Final = 256 * 1024
MOST_REMEMBERED: Final = 500
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class _Known:
    """What is remembered of one provider."""

    metadata: ProviderMetadata
    keys: KeySet
    asked_at: datetime
    keys_asked_at: datetime


@dataclass(frozen=True, slots=True)
class ProviderClient:
    """Asks providers. One for a process."""

    outgoing: Outgoing
    _known: dict[tuple[str, str], _Known] = field(default_factory=dict)

    async def metadata(self, provider: IdentityProvider, now: datetime) -> ProviderMetadata:
        """Return how a provider describes itself. Raises: FederationRefusedError, ReceiverUnreachableError."""
        return (await self._of(provider, now)).metadata

    async def pushed(self, provider: IdentityProvider, endpoint: str, asked: Mapping[str, str], now: datetime) -> str:
        """Leave a request with the provider (RFC 9126); return the name it is known by there."""
        answer = await self._posted(provider, endpoint, asked, now)
        request_uri = _object(answer, 201).get("request_uri")
        if not isinstance(request_uri, str) or len(request_uri) > 2_048:
            raise FederationRefusedError("The identity provider did not take the request.")
        return request_uri

    async def claims(
        self, provider: IdentityProvider, expected: Expected, asked: Mapping[str, str], *, nonce: str, now: datetime
    ) -> dict[str, Any]:
        """Exchange a code and verify the ID token that comes for it.

        Raises:
            FederationRefusedError: It does not show who somebody is.
            ReceiverUnreachableError: The provider did not answer.
        """
        known = await self._of(provider, now)
        token = _object(await self._posted(provider, known.metadata.token_endpoint, asked, now), 200).get("id_token")
        if not isinstance(token, str):
            raise FederationRefusedError("The identity provider gave no ID token.")
        try:
            return verified_claims(token, known.keys, expected, nonce=nonce, now=now)
        except FederationRefusedError:
            if now - known.keys_asked_at < ASKED_AGAIN:
                raise
        known.keys, known.keys_asked_at = await self._keys(known.metadata), now
        return verified_claims(token, known.keys, expected, nonce=nonce, now=now)

    async def _of(self, provider: IdentityProvider, now: datetime) -> _Known:
        name = (provider.id, provider.issuer)
        known = self._known.get(name)
        if known is None or now - known.asked_at >= REMEMBERED:
            where = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
            described = await self.outgoing.fetch("GET", where, max_bytes=MOST_BYTES)
            metadata = parse_metadata(_body(described, 200), provider.issuer)
            known = _Known(metadata, await self._keys(metadata), now, now)
            self._known.pop(name, None)
            self._known[name] = known
            if len(self._known) > MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
        return known

    async def _keys(self, metadata: ProviderMetadata) -> KeySet:
        return parse_keys(_body(await self.outgoing.fetch("GET", metadata.jwks_uri, max_bytes=MOST_BYTES), 200))

    async def _posted(
        self, provider: IdentityProvider, endpoint: str, asked: Mapping[str, str], now: datetime
    ) -> Answer:
        """Post a form as the client that we are there (RFC 6749 section 2.3.1)."""
        headers, form = {"Content-Type": _FORM, "Accept": "application/json"}, dict(asked)
        methods = (await self._of(provider, now)).metadata.token_endpoint_auth_methods_supported
        if provider.client_secret and "client_secret_basic" in methods:
            pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        elif provider.client_secret:
            form["client_secret"] = provider.client_secret
        form["client_id"] = provider.client_id
        body = urlencode(form).encode()
        return await self.outgoing.fetch("POST", endpoint, headers=headers, body=body, max_bytes=MOST_BYTES)


def _body(answer: Answer, status: int) -> bytes:
    if answer.status != status or answer.is_cut:
        raise ReceiverUnreachableError(f"The identity provider answered with the status {answer.status}.")
    return answer.body


def _object(answer: Answer, status: int) -> dict[str, Any]:
    if answer.status != status or answer.is_cut:
        raise FederationRefusedError(f"The identity provider refused, with the status {answer.status}.")
    try:
        value = decode_any(answer.body)
    except InvalidJsonError:
        value = None
    if not isinstance(value, dict):
        raise FederationRefusedError("The identity provider's answer cannot be read.")
    return value
