"""The signers of all tenants of a server, each with keys of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import TenantId
from shieldwall.server.signer.keys import SigningKeys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.service import SignerService


class TenantSigners:
    """Reads the keys of a tenant when they are first needed, so that one added meanwhile is there at once."""

    def __init__(self, load: Callable[[TenantId], SigningKeys], *, ledger: Ledger, clock: Clock) -> None:
        self._load = load
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[TenantId, SignerService] = {}

    def for_tenant(self, tenant_id: TenantId) -> SignerService:
        """Return the signer of a tenant. Raises: OtherTenantError, KeyFilesError."""
        with self._lock:
            if (known := self._known.get(tenant_id)) is None:
                known = SignerService(keys=self._load(tenant_id), ledger=self._ledger, clock=self._clock)
                self._known[tenant_id] = known
        return known
