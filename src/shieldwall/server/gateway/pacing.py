"""A pace for each device: what leaves a trace for good may be done so often, or one device could fill the disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.gateway.problems import TooManyRequestsError
from shieldwall.server.gateway.rate_limit import TokenBuckets
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.check_ins.group_commit import GroupCommit

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PacedWriter:
    """Writes for one device only so often. What is refused was not done, and costs nothing: nor does a replay."""

    writer: GroupCommit
    buckets: TokenBuckets

    async def submit(self, device: CallingDevice, work: Callable[[Connection], T], *, aims: bool = False) -> T:
        """Do as ``GroupCommit.submit``. Raises: TooManyRequestsError, and what that raises."""
        return await self.paced(device, lambda writer: writer.submit(work, aims=aims))

    async def paced(self, device: CallingDevice, write: Callable[[GroupCommit], Awaitable[T]]) -> T:
        """Let something write, in as many transactions as it takes. Raises: TooManyRequestsError, what that raises."""
        if not self.buckets.take(device.id):
            raise TooManyRequestsError("This device asks for that too often.")
        try:
            return await write(self.writer)
        except ShieldwallError:
            self.buckets.give_back(device.id)
            raise
