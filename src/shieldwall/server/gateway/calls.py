"""What a handler is given and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.ids import Digest
from shieldwall.server.listening.connections import block_of
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.trust.device_key import PublicKey
from shieldwall.trust.request_signature import RequestSignature

T = TypeVar("T")

JSON: Final = (("content-type", "application/json"),)
_encoder: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back: a status, headers and bytes."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class SignedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A signature in our profile, inside its window, with what it speaks about. Not verified until ``verify``."""

    signature: RequestSignature
    method: str
    authority: str
    path: str
    query: str
    body: bytes

    def verify(self, public_key: PublicKey) -> None:
        """Check body and signature. Raises: BadSignatureError."""
        self.signature.verify(
            public_key,
            method=self.method,
            authority=self.authority,
            path=self.path,
            query=self.query,
            body=self.body,
        )


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request that passed every check its route declares."""

    request_id: str
    client: str
    """Address and port that it came from; behind a proxy the proxy's."""
    parameters: Mapping[str, str]
    body: bytes
    disconnected: Callable[[], Awaitable[None]]
    """Returns when the caller has gone."""
    caller: CallingDevice | None = None
    signed: SignedRequest | None = None

    @property
    def network(self) -> str:
        """The block of addresses that it came from: all of one block share what is given to one asker."""
        return block_of(self.client)

    @property
    def device(self) -> CallingDevice:
        """The calling device. Only a route with ``Access.DEVICE`` may ask. Raises: LookupError."""
        if self.caller is None:
            raise LookupError("the route of this handler does not declare Access.DEVICE")
        return self.caller

    @property
    def unverified(self) -> SignedRequest:
        """The signature that the handler has to verify by itself, as the ``Access`` of its route says.

        Raises:
            LookupError: The route is not for signed requests.
        """
        if self.signed is None:
            raise LookupError("the route of this handler does not declare that requests are signed")
        return self.signed

    @property
    def body_digest(self) -> Digest:
        """The name of the body, by which a repeated request is known."""
        return strict_json.digest_of_bytes(self.body)

    def decoded(self, kind: type[T]) -> T:
        """Read the body as a message. Raises: InvalidJsonError."""
        return strict_json.decode(self.body, kind)


def answer_json(value: Any, status: int = 200) -> Answer:
    """Answer with a message."""
    return Answer(status=status, body=_encoder.encode(value), headers=JSON)
