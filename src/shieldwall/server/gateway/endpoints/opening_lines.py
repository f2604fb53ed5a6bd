"""``/device/v1/line``: a device asks for a line to the message broker, where the server has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from shieldwall.contract.clock import Clock
from shieldwall.contract.messages import MAX_SMALL_BODY_BYTES, LineAnswer, LineRequest
from shieldwall.server.gateway.calls import Answer, Call, answer_json
from shieldwall.server.gateway.routes import Access, Route
from shieldwall.server.manager import turns
from shieldwall.server.manager.sequence import Numbered
from shieldwall.server.push.tokens import DEVICE_LIFETIME, device_token, subject_of
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.trust.nkeys import KeyUse, check_name

_NO_BROKER: Final = Answer(status=204)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is, and the key that says who may listen."""

    url: str
    account: Ed25519PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningLines:
    """Lets a device listen to its own subject."""

    broker: Broker | None
    writer: GroupCommit
    clock: Clock

    def routes(self) -> tuple[Route, ...]:
        """List the one thing there is."""
        return (
            Route(
                method="POST",
                path="/device/v1/line",
                access=Access.DEVICE,
                body_limit=MAX_SMALL_BODY_BYTES,
                handler=self.post_line,
            ),
        )

    async def post_line(self, call: Call) -> Answer:
        """Offer a line to a device that may speak; 204 where there is no broker. Raises: BadKeyNameError."""
        request = call.decoded(LineRequest)
        check_name(KeyUse.USER, request.key)
        device, now = call.device, self.clock.now()
        numbered = Numbered(request.epoch, request.seq, call.body_digest)

        def take(connection: Connection) -> None:
            turns.take(connection, device, numbered, now)

        await self.writer.submit(take)
        if self.broker is None:
            return _NO_BROKER
        subject = subject_of(device.tenant_id, device.id)
        token = device_token(self.broker.account, request.key, subject, now)
        seconds = int(DEVICE_LIFETIME.total_seconds())
        return answer_json(LineAnswer(url=self.broker.url, subject=subject, token=token, seconds=seconds))
