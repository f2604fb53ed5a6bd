"""The same signer without a process: for tests, simulators and benchmarks."""

from __future__ import annotations

from pathlib import Path

from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import TenantId
from shieldwall.server.signer.keys import create_keys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.service import SignerService


class InProcessSigner(SignerService):
    """Signs with fresh keys in this very process; never what a server in use should hold."""

    __slots__ = ()

    @classmethod
    def create(cls, data: Path, tenant_id: TenantId, clock: Clock) -> InProcessSigner:
        """Make keys and memory in an empty data directory."""
        return cls(keys=create_keys(data / "keys", tenant_id, clock), ledger=Ledger(data / "signer"), clock=clock)
