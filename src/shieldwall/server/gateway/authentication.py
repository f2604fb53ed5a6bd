"""Who signed a request: from key id to device, with a bounded memory of keys seen before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shieldwall.contract.ids import KeyThumbprint
from shieldwall.server.gateway.guard import Headers
from shieldwall.server.gateway.workers import Workers
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage import identities
from shieldwall.server.storage.database import Database
from shieldwall.server.storage.identities import Identity
from shieldwall.trust.device_key import PublicKey, public_key_from_bytes
from shieldwall.trust.request_signature import RequestSignature, SignedHeaders, parse_signature

MOST_REMEMBERED: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A registered key, loaded and ready to verify with."""

    caller: CallingDevice
    public_key: PublicKey


class KeyRing:
    """Finds the registered key by its thumbprint. Only what never changes is remembered, so nothing goes stale."""

    def __init__(self, database: Database, workers: Workers) -> None:
        self._database = database
        self._workers = workers
        self._known: dict[KeyThumbprint, KnownKey] = {}

    async def find(self, thumbprint: KeyThumbprint) -> KnownKey | None:
        """Return the key with this thumbprint, or ``None``. Raises: StorageUnavailableError."""
        if (known := self._known.get(thumbprint)) is not None:
            return known
        identity = await self._workers.run(self._look_up, thumbprint)
        if identity is None:
            return None
        caller = CallingDevice(id=identity.id, tenant_id=identity.tenant_id, key=thumbprint)
        known = KnownKey(caller=caller, public_key=public_key_from_bytes(identity.public_key))
        if len(self._known) >= MOST_REMEMBERED:
            del self._known[next(iter(self._known))]  # the one seen first; any would do
        self._known[thumbprint] = known
        return known

    def _look_up(self, thumbprint: KeyThumbprint) -> Identity | None:
        with self._database.read() as connection:
            return identities.find_by_key(connection, thumbprint)


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
