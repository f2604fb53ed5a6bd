"""Asking the signer from the loop: in threads of its own, for so long and no longer, and with no transaction open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar, TypeVarTuple

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.gateway.workers import Workers
from shieldwall.server.inventory.certifying import MOST_RUNS, AtHand, Wanted, Work, attempt, changed_too_often
from shieldwall.server.signer.errors import SignerUnavailableError
from shieldwall.server.signer.ports import Signers

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

PATIENCE_SECONDS: Final = 10.0
"""For so long a request waits for the signer; an agent hangs up after thirty seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """The signers, for whoever must not wait for them."""

    signers: Signers
    workers: Workers
    patience: float = PATIENCE_SECONDS

    async def ask(self, question: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Call what asks a signer. Raises: SignerUnavailableError, and what that raises."""
        try:
            async with asyncio.timeout(self.patience):
                return await self.workers.run(question, *arguments)
        except TimeoutError:
            raise SignerUnavailableError(f"The signer has not answered for {self.patience:g} seconds.") from None

    async def certified(
        self,
        tenant_id: TenantId,
        submit: Callable[[Callable[[Connection], T | Wanted]], Awaitable[T | Wanted]],
        work: Work[T],
    ) -> T:
        """Let ``submit`` run some work in transactions, the signer being asked between them (``inventory.certifying``).

        Raises:
            SignerError: No certificate came in time, and nothing has changed.
            Exception: Whatever ``submit`` or ``work`` raised.
        """
        at_hand = AtHand()
        for _ in range(MOST_RUNS):
            outcome = await submit(lambda connection: attempt(connection, work, at_hand))
            if not isinstance(outcome, Wanted):
                return outcome
            signer = self.signers.for_tenant(tenant_id)
            at_hand.certificates[outcome] = await self.ask(outcome.issued_by, signer)
        raise changed_too_often()
