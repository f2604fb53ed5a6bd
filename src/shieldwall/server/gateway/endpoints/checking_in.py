"""``/device/v1/checkin``, ``fetch`` and ``wait``: the daily life of a device."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar, assert_never

from sqlalchemy import Connection

from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.messages import (
    MAX_CHECK_IN_BYTES,
    MAX_SMALL_BODY_BYTES,
    CheckInRequest,
    FetchAnswer,
    FetchRequest,
    WaitAnswer,
    WaitRequest,
)
from shieldwall.server.gateway.calls import JSON, Answer, Call, answer_json
from shieldwall.server.gateway.catching_up import CatchingUp
from shieldwall.server.gateway.lanes import Lane
from shieldwall.server.gateway.pacing import PacedWriter
from shieldwall.server.gateway.quiet_check_ins import QuietCheckIns
from shieldwall.server.gateway.reading import Reading
from shieldwall.server.gateway.routes import Access, Route
from shieldwall.server.gateway.signing import Signing
from shieldwall.server.gateway.wait_channels import WaitChannels
from shieldwall.server.manager import fetch, sync
from shieldwall.server.manager.check_in import (
    AnsweredBefore,
    Behind,
    CheckIn,
    Outcome,
    ToAnswer,
    Unchanged,
)
from shieldwall.server.manager.turns import CallingDevice, OvertakenError
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.engine.database import StorageUnavailableError

Answered = TypeVar("Answered")

_UNCHANGED: Final = Answer(status=204)
_MOST_TRIES: Final = 5
"""A device that has just caught up can be behind again; that often in a row nobody changes anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckingIn:
    """Requests signed by a registered device."""

    check_in: CheckIn
    clock: Clock
    writer: GroupCommit
    signing: Signing
    channels: WaitChannels
    catching_up: CatchingUp
    quiet: QuietCheckIns
    reading: Reading
    facts_writer: PacedWriter
    """Facts may move a device between groups each time, and the history of that is kept."""

    def routes(self) -> tuple[Route, ...]:
        """List what a device may ask again and again."""
        return (
            Route(
                method="POST",
                path="/device/v1/checkin",
                access=Access.DEVICE_AMONG_OTHERS,
                lane=Lane.NEWS,
                body_limit=MAX_CHECK_IN_BYTES,
                handler=self.post_check_in,
            ),
            Route(
                method="POST",
                path="/device/v1/fetch",
                access=Access.DEVICE,
                lane=Lane.QUIET,
                body_limit=MAX_SMALL_BODY_BYTES,
                handler=self.post_fetch,
            ),
            Route(
                method="POST",
                path="/device/v1/wait",
                access=Access.DEVICE,
                body_limit=MAX_SMALL_BODY_BYTES,
                handler=self.post_wait,
            ),
        )

    async def post_check_in(self, call: Call) -> Answer:
        """Report and ask: 204 when nothing differs, else what to do next."""
        device = await self.quiet.left_by(call)
        if device is None:
            return _UNCHANGED
        self.reading.of_device(device.id, call.body)
        request, digest = call.decoded(CheckInRequest), call.body_digest

        def record(connection: Connection) -> Outcome:
            return self.check_in.record(connection, device, request, digest)

        brings_facts = request.facts is not None
        match await self._up_to_date(device, lambda: self._recorded(device, record, brings_facts=brings_facts)):
            case Unchanged():
                return _UNCHANGED
            case AnsweredBefore(body=body):
                return Answer(status=200, body=body, headers=JSON)
            case ToAnswer() as outcome:
                body = await self.signing.ask(self.check_in.answer, outcome)
                await self.writer.submit(lambda connection: self.check_in.keep(connection, outcome, body))
                return Answer(status=200, body=body, headers=JSON)
            case other:
                assert_never(other)

    async def _recorded(
        self, device: CallingDevice, record: Callable[[Connection], Outcome], *, brings_facts: bool
    ) -> Unchanged | AnsweredBefore | ToAnswer:
        """Record a check-in. Raises: OvertakenError."""
        if not brings_facts:
            return _not_behind(await self.writer.submit(record))
        try:
            return _not_behind(await self.facts_writer.submit(device, record, aims=True))
        except OvertakenError:
            self.facts_writer.buckets.give_back(device.id)  # nothing was done
            raise

    async def _up_to_date(self, device: CallingDevice, attempt: Callable[[], Awaitable[Answered]]) -> Answered:
        """Try to answer; a device that is behind catches up before, so that what it hears is true now."""
        for _ in range(_MOST_TRIES):
            try:
                return await attempt()
            except OvertakenError:
                await self.catching_up.bring(device.id)
        raise StorageUnavailableError(f"The device {device.id} could not be brought up to date, so often it was tried.")

    async def post_fetch(self, call: Call) -> Answer:
        """Hand over policy revisions of the device's own target."""
        request = call.decoded(FetchRequest)
        if len(set(request.digests)) < len(request.digests):  # of a small question no answer of megabytes
            raise InvalidJsonError("A revision is asked for twice.")
        device, digest, now = call.device, call.body_digest, self.clock.now()

        def handed_over(connection: Connection) -> FetchAnswer:
            return fetch.fetch(connection, device, request, digest, now)

        return answer_json(await self._up_to_date(device, lambda: self.writer.submit(handed_over)))

    async def post_wait(self, call: Call) -> Answer:
        """Hold the line until an administrator asks for a sync: 200 then, 204 when the time is up."""
        request = call.decoded(WaitRequest)
        device, digest, now = call.device, call.body_digest, self.clock.now()
        await self.writer.submit(lambda connection: sync.start_waiting(connection, device, request, digest, now))
        if await self.channels.wait(device.id, request.seconds, call.disconnected):
            return answer_json(WaitAnswer(sync=True))
        return _UNCHANGED


def _not_behind(outcome: Outcome) -> Unchanged | AnsweredBefore | ToAnswer:
    if isinstance(outcome, Behind):
        raise OvertakenError
    return outcome
