"""The public keys that verify tokens, remembered for each tenant: keys turn over, and tokens of new ones must be known.

A key that is not among those remembered is asked for, at most once in a while, so that invented names cause no work;
and all are asked for again every half minute, so that a key that was taken out of use is forgotten.
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
"""How long a key that is not among them is not asked for again."""


@dataclass(frozen=True, slots=True)
class _Known:
    keys: KeySet
    names: frozenset[str]
    asked_at: datetime


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
        if known is None or now - known.asked_at > (FRESH if key_id in known.names else PATIENCE):
            known = self._ask(tenant_id, now)
        return known.keys

    def _ask(self, tenant_id: TenantId, now: datetime) -> _Known:
        found: list[dict[str, Any]] = self._signers.for_tenant(tenant_id).jwks()["keys"]
        known = _Known(KeySet.import_key_set({"keys": found}), frozenset(str(key["kid"]) for key in found), now)
        with self._lock:
            if len(self._known) >= MOST_TENANTS and tenant_id not in self._known:
                self._known.pop(next(iter(self._known)))
            self._known[tenant_id] = known
        return known
