"""The public keys that verify tokens, remembered for each tenant: keys turn over, and tokens of new ones must be known.

A key that is not among those remembered is asked for, unless one was in vain a moment ago: so invented names cause no
work, and a key that signs from now on is known with its first token, however short ago all were asked for. That is done
again every half minute, so that a key that was taken out of use is forgotten.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc.jwk import KeySet

from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import TenantId
from shieldwall.server.signer.ports import Signers

MOST_TENANTS: Final = 1_000
FRESH: Final = timedelta(seconds=30)
"""How long keys are believed without asking again."""
PATIENCE: Final = timedelta(seconds=1)
"""How long nobody asks for another key after one that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    keys: KeySet
    names: frozenset[str]
    asked_at: datetime
    in_vain_at: datetime | None
    """When somebody last asked for a key that there is not."""

    def suffices(self, key_id: str, now: datetime) -> bool:
        """Tell whether nothing needs to be asked for the sake of this key; a clock may have been set back since."""
        if key_id in self.names:
            return abs(now - self.asked_at) <= FRESH
        return self.in_vain_at is not None and abs(now - self.in_vain_at) <= PATIENCE


class VerificationKeys:
    """Knows the keys of tenants."""

    def __init__(self, signers: Signers, clock: Clock) -> None:
        self._signers = signers
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[TenantId, _Known] = {}

    def of(self, tenant_id: TenantId, key_id: str) -> KeySet:
        """Return a tenant's keys, the one with this name among them if there is one. Raises: SignerError."""
        now = self._clock.now()
        with self._lock:
            known = self._known.get(tenant_id)
        if known is None or not known.suffices(key_id, now):
            known = self._ask(tenant_id, key_id, now)
        return known.keys

    def _ask(self, tenant_id: TenantId, key_id: str, now: datetime) -> _Known:
        found: list[dict[str, Any]] = self._signers.for_tenant(tenant_id).jwks()["keys"]
        names = frozenset(str(key["kid"]) for key in found)
        known = _Known(
            keys=KeySet.import_key_set({"keys": found}),
            names=names,
            asked_at=now,
            in_vain_at=None if key_id in names else now,
        )
        with self._lock:
            if len(self._known) >= MOST_TENANTS and tenant_id not in self._known:
                self._known.pop(next(iter(self._known)))
            self._known[tenant_id] = known
        return known
