"""A conversation with the gateway: typed messages in, typed answers out, every request signed by the device key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar
from urllib.parse import SplitResult

import msgspec
from msgspec import Struct

from shieldwall.agent.service.errors import (
    GatewayUnreachableError,
    ProblemAnswerError,
    RegistrationPendingError,
    UnusableAnswerError,
)
from shieldwall.agent.service.ports import Randomness
from shieldwall.agent.service.records import Server
from shieldwall.agent.service.transport import HttpAnswer, Transport
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.messages import Problem
from shieldwall.contract.registration import PendingAnswer
from shieldwall.contract.strict_json import decode, encode
from shieldwall.trust.device_key import SigningKey
from shieldwall.trust.request_signature import sign_request

T = TypeVar("T")


class Empty(msgspec.Struct, frozen=True, kw_only=True):
    """A body without members."""


class Gateway(Struct, kw_only=True):
    """The server's device side. Its URLs are tried in their order.

    ``key`` is the device key in use: a key change replaces it here, for everybody who asks through this.
    """

    transport: Transport
    urls: tuple[SplitResult, ...]
    key: SigningKey
    clock: Clock
    randomness: Randomness
    timeout_seconds: float = 30.0

    def ask(self, path: str, message: msgspec.Struct, answer: type[T], *, more_seconds: float = 0.0) -> T | None:
        """Send a signed message; ``None`` stands for "nothing to say" (204).

        Raises:
            GatewayUnreachableError: No server answered.
            ProblemAnswerError: The server said no.
            RegistrationPendingError: The server has registered this device and does not let it in yet.
            UnusableAnswerError: The server's answer is none of ours.
        """
        return self._ask(path, message, answer, signed=True, more_seconds=more_seconds)

    def ask_unsigned(self, path: str, message: msgspec.Struct, answer: type[T]) -> T:
        """Send a message that needs no identity. Raises: as ``ask``."""
        value = self._ask(path, message, answer, signed=False, more_seconds=0.0)
        if value is None:
            raise UnusableAnswerError(f"The server had nothing to say at {path}.")
        return value

    def _ask(
        self, path: str, message: msgspec.Struct, answer: type[T], *, signed: bool, more_seconds: float
    ) -> T | None:
        body = encode(message)
        unreachable: GatewayUnreachableError | None = None
        for url in self.urls:
            # The same body again is the same request: the server's sequence rule gives a lost answer a second time.
            place = url.path.rstrip("/") + path
            headers = self._signed(url, place, body) if signed else {"Content-Type": "application/json"}
            try:
                received = self.transport.post(
                    url, place, headers=headers, body=body, timeout_seconds=self.timeout_seconds + more_seconds
                )
            except GatewayUnreachableError as error:
                unreachable = error
                continue
            return _read(received, path, answer)
        raise unreachable or GatewayUnreachableError("No server is configured.")

    def _signed(self, url: SplitResult, path: str, body: bytes) -> dict[str, str]:
        return sign_request(
            self.key,
            method="POST",
            authority=url.netloc.lower(),
            path=path,
            body=body,
            created=int(self.clock.now().timestamp()),
            nonce=self.randomness(16).hex(),
        )


Connect: TypeAlias = Callable[[Server, SigningKey], Gateway]
"""Opens a conversation with a server in the name of a key."""


def _read(received: HttpAnswer, path: str, answer: type[T]) -> T | None:
    if received.status == 204:
        return None
    try:
        if received.status in {200, 201}:
            return decode(received.body, answer)
        if received.status == 202:
            raise RegistrationPendingError(decode(received.body, PendingAnswer))
        if received.content_type == "application/problem+json":
            problem = decode(received.body, Problem)
            raise ProblemAnswerError(problem, retry_after_seconds=received.retry_after_seconds)
    except InvalidJsonError as error:
        raise UnusableAnswerError(f"The answer to {path} is not one of this protocol: {error.cause}") from error
    raise GatewayUnreachableError(
        f"Something between this device and the server answered {received.status} to {path}.",
        retry_after_seconds=received.retry_after_seconds,
    )
