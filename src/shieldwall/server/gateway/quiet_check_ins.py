"""Check-ins as they come: looked at together, and taken together where they bring nothing, which nearly all do.

They have waited for each other (``Access.DEVICE_AMONG_OTHERS``), and go all the way side by side: keys and signatures,
strict JSON, one statement, one commit. Each turn of a loop or thread that is spared is a part of what a check-in costs.
Each passes every check in its order all the same, and has a verdict of its own. What turns out to bring something, or
to need an answer, is handed back to be decided alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import structlog

from shieldwall.contract import strict_json
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.messages import PlainCheckIn
from shieldwall.server.gateway.calls import Call, SignedRequest
from shieldwall.server.gateway.gathering import Gathering
from shieldwall.server.manager.check_in import bringing_nothing
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.check_ins import unchanged
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.check_ins.unchanged import Asked
from shieldwall.server.storage.engine.database import StorageUnavailableError
from shieldwall.trust.request_signature import BadSignatureError

_log: Final = structlog.get_logger("shieldwall.gateway")
_PLAIN: Final = strict_json.Canonical(PlainCheckIn)

CallersOf: TypeAlias = Callable[[Sequence[SignedRequest]], Awaitable[Sequence[CallingDevice | BadSignatureError]]]
"""Finds out who signed, as ``Authentication.callers_of`` does."""
Verdict: TypeAlias = CallingDevice | BadSignatureError | StorageUnavailableError | None
"""Who is to be answered, or why nobody is; ``None``: there is nothing to say, and that is on disk."""


class QuietCheckIns:
    """Takes check-ins that bring nothing and to which there is nothing to say, many with one commit."""

    def __init__(self, callers_of: CallersOf, writer: GroupCommit, clock: Clock) -> None:
        self._callers_of = callers_of
        self._writer = writer
        self._clock = clock
        self._gathering: Gathering[Call, Verdict] = Gathering(self._look_at, longest=0.0)

    async def left_by(self, call: Call) -> CallingDevice | None:
        """Return the device that sent a check-in, if it is still to be decided; ``None``: it was taken, answer 204.

        Raises:
            BadSignatureError: It is not signed by the key of a registered device.
            StorageUnavailableError: The database cannot take it.
        """
        verdict = await self._gathering.submit(call)
        if isinstance(verdict, ShieldwallError):
            raise verdict
        return verdict

    async def _look_at(self, calls: Sequence[Call]) -> Sequence[Verdict]:
        verdicts: list[Verdict] = [*await self._callers_of([call.unverified for call in calls])]
        quiet: dict[int, Asked] = {}
        for place, (call, caller) in enumerate(zip(calls, verdicts, strict=True)):
            if isinstance(caller, CallingDevice) and (plain := _PLAIN.read(call.body)) is not None:
                quiet[place] = bringing_nothing(caller, plain, call.body_digest)
        try:
            taken = await self._take(list(quiet.values())) if quiet else ()
        except StorageUnavailableError as unavailable:
            return [unavailable if place in quiet else verdict for place, verdict in enumerate(verdicts)]
        for place, is_taken in zip(quiet, taken, strict=True):
            if is_taken:
                verdicts[place] = None
        return verdicts

    async def _take(self, asked: Sequence[Asked]) -> Sequence[bool]:
        """Take them with one commit. Where that fails for a reason nobody thought of, each is left to be decided alone.

        So nothing that one device sends can be to the harm of another.
        """
        try:
            return await self._writer.submit(
                lambda connection: unchanged.take(connection, asked, self._clock.now()), acknowledges=len(asked)
            )
        except StorageUnavailableError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is logged, and found again by whoever it comes from
            _log.exception("check_ins_not_taken_together", count=len(asked))
            return [False] * len(asked)
