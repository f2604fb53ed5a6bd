"""Time as the agent believes it: the local clock plus a signed offset, never before what signed documents have shown.

The device's own clock is never set. When the server says that the clock is off, signed time is asked for twice; an
offset is taken when the two answers agree and do not lie before the floor, which gives way only where the device's own
clock says the same (``trust.time_floors``).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from shieldwall.agent.service.errors import UnusableAnswerError
from shieldwall.agent.service.gateway import Gateway
from shieldwall.agent.service.ports import Randomness
from shieldwall.agent.service.records import Server, TimeRecord
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.messages import Envelope, TimeRequest
from shieldwall.trust import moments, time_floors
from shieldwall.trust.verification import open_time

AGREEMENT: Final = timedelta(seconds=60)


class TrustedClock(Struct, frozen=True, kw_only=True):
    """A clock for signatures and expiry dates."""

    local: Clock
    state: AgentState

    def now(self) -> datetime:
        """Return ``max(local + offset, floor)``; a damaged record counts as none, for this must always answer."""
        try:
            record = self.state.time()
        except ShieldwallError:
            record = TimeRecord()
        moment = self.local.now() + timedelta(seconds=record.offset_seconds)
        return max(moment, _moment(record.floor)) if record.floor else moment

    def saw(self, issued: str) -> None:
        """Raise the floor to a moment that a verified document names."""
        record = self.state.time()
        if not record.floor or _moment(issued) > _moment(record.floor):
            self.state.put_time(msgspec.structs.replace(record, floor=issued))


class AskSignedTime(Struct, frozen=True, kw_only=True):
    """Learn how far the local clock is off, from the server's time key."""

    gateway: Gateway
    server: Server
    state: AgentState
    local: Clock
    randomness: Randomness

    def __call__(self) -> timedelta:
        """Ask twice, keep the offset, return it.

        Raises:
            UnusableAnswerError: The answers do not agree, or lie before the floor and are not the device's own time.
            RefusedTimeError: A statement is not signed by the tenant's time key, or answers another question.
        """
        offset = self.measure()
        record = self.state.time()
        self.state.put_time(
            TimeRecord(offset_seconds=round(offset.total_seconds()), floor=self._floor(record.floor, offset))
        )
        return offset

    def measure(self) -> timedelta:
        """Ask twice and return the offset without keeping it. Raises: UnusableAnswerError, RefusedTimeError."""
        first, second = self._offset(), self._offset()
        if abs(first - second) > AGREEMENT:
            raise UnusableAnswerError("Two answers about the time do not agree with each other.")
        return second

    def _floor(self, floor: str, offset: timedelta) -> str:
        local = self.local.now()
        stated = local + offset
        if not floor or stated >= _moment(floor):
            return floor
        if (lower := time_floors.lowered(_moment(floor), stated, local)) is None:
            raise UnusableAnswerError(time_floors.CAUSE, remedy=time_floors.REMEDY)
        return moments.write(lower)

    def _offset(self) -> timedelta:
        nonce = self.randomness(16).hex()
        asked = self.local.now()
        server = self.server
        request = TimeRequest(nonce=nonce, tenant_id=server.tenant_id)
        envelope = self.gateway.ask_unsigned("/device/v1/time", request, Envelope)
        answered = self.local.now()
        stated = open_time(envelope, server.trust_root, tenant_id=server.tenant_id, nonce=nonce)
        return stated - (asked + (answered - asked) / 2)


def _moment(text: str) -> datetime:
    try:
        return moments.parse(text)
    except ValueError as error:
        raise UnusableAnswerError(f"A signed document names no moment: {error}") from error
