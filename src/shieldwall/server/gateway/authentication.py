"""Who signed a request: from key id to device, and whether the signature is its own; many requests at once.

Requests of devices that come within some milliseconds are looked at together. Keys that are not known yet are looked up
with one query, and what is the same work for each is done in one go: a processor is quicker at it then, and what
follows, down to the commit, stays together as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shieldwall.contract.ids import KeyThumbprint
from shieldwall.server.gateway.calls import SignedRequest
from shieldwall.server.gateway.gathering import Gathering
from shieldwall.server.gateway.guard import Headers
from shieldwall.server.gateway.workers import Workers
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.devices import identities
from shieldwall.server.storage.devices.identities import Identity
from shieldwall.server.storage.engine.database import Database
from shieldwall.trust.device_key import BadDeviceKeyError, PublicKey, public_key_from_bytes
from shieldwall.trust.request_signature import BadSignatureError, RequestSignature, SignedHeaders, parse_signature

MOST_REMEMBERED: Final = 20_000
"""A loaded key takes three kilobytes. Of a larger fleet each comes back when it is long forgotten, and is looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A registered key, loaded and ready to verify with."""

    caller: CallingDevice
    public_key: PublicKey


class Authentication:
    """Finds out whose signature it is. Only what never changes is remembered of keys, so nothing goes stale."""

    def __init__(self, database: Database, workers: Workers) -> None:
        self._database = database
        self._workers = workers
        self._known: dict[KeyThumbprint, KnownKey] = {}
        self._gathering: Gathering[SignedRequest, CallingDevice | BadSignatureError] = Gathering(self.callers_of)

    async def caller_of(self, signed: SignedRequest) -> CallingDevice:
        """Return the device that signed a request, which may be looked at together with those of others.

        Raises:
            BadSignatureError: It was no registered device.
            StorageUnavailableError: Nobody can tell now.
        """
        found = await self._gathering.submit(signed)
        if isinstance(found, BadSignatureError):
            raise found
        return found

    async def callers_of(self, requests: Sequence[SignedRequest]) -> Sequence[CallingDevice | BadSignatureError]:
        """Return for each request the device that signed it, or what is wrong with it.

        Raises:
            StorageUnavailableError: Nobody can tell now.
        """
        keys = {keyid: self._known.get(keyid) for keyid in (each.signature.keyid for each in requests)}
        if unknown := [keyid for keyid, key in keys.items() if key is None]:
            found = await self._workers.run(self._look_up, unknown)
            keys |= {keyid: self._load(identity) for keyid, identity in found.items()}
        return [_caller(each, keys[each.signature.keyid]) for each in requests]

    def _look_up(self, thumbprints: Sequence[KeyThumbprint]) -> dict[KeyThumbprint, Identity]:
        with self._database.read() as connection:
            return identities.find_by_keys(connection, thumbprints)

    def _load(self, identity: Identity) -> KnownKey | None:
        caller = CallingDevice(id=identity.id, tenant_id=identity.tenant_id, key=identity.key_thumbprint)
        try:
            known = KnownKey(caller=caller, public_key=public_key_from_bytes(identity.public_key))
        except BadDeviceKeyError:
            return None  # no key that was ever let in; were it so, it would be to nobody else's harm
        if len(self._known) >= MOST_REMEMBERED:
            del self._known[next(iter(self._known))]  # the one seen first; any would do
        self._known[identity.key_thumbprint] = known
        return known


def _caller(signed: SignedRequest, key: KnownKey | None) -> CallingDevice | BadSignatureError:
    if key is None:
        return BadSignatureError("The key is not registered.")
    try:
        signed.verify(key.public_key)
    except BadSignatureError as refused:
        return refused
    return key.caller


def read_signature(headers: Headers) -> RequestSignature:
    """Read the four headers of a signed request. Raises: BadSignatureError."""
    return parse_signature(
        SignedHeaders(
            content_type=_joined(headers, "content-type"),
            content_digest=_joined(headers, "content-digest"),
            signature_input=_joined(headers, "signature-input"),
            signature=_joined(headers, "signature"),
        )
    )


def _joined(headers: Headers, name: str) -> str | None:
    values = headers.get_all(name)
    return ", ".join(values) if values else None
