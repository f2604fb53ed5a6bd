"""The way to the applier's process: one Unix socket, or one pipe on Windows; one request, one answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.protocol import HEADER, Answer, BadFrameError, Request, body_length, frame, read_answer
from shieldwall.agent.applier.refusals import ApplierRefusal
from shieldwall.agent.applier.store import BusyError
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.wires import Dial, Wire, dial
from shieldwall.agent.service.errors import ApplierAnswerError, ApplierSilentError
from shieldwall.contract.errors import ShieldwallError
from shieldwall.trust.onboarding import InvalidPackageError
from shieldwall.trust.refusals import RefusedDocumentError

PATIENCE_SECONDS: Final = 900.0
"""Products are restarted one after the other, and each may take minutes; the applier's own limits end sooner."""
CONNECT_SECONDS: Final = 10.0
_FAMILIES: Final[tuple[type[ShieldwallError], ...]] = (
    BusyError,
    HostError,
    ApplierRefusal,
    RefusedDocumentError,
    InvalidPackageError,
)
"""Kinds of refusals that the agent tells apart; every other one keeps its code and its words."""


@dataclass(slots=True)
class SocketApplier:
    """Asks over one connection, opened when it is needed and again when it was closed meanwhile.

    Whoever opens it while being root goes on speaking as root after giving that up: the kernel notes who connects.
    """

    path: Path
    patience_seconds: float = PATIENCE_SECONDS
    may_reopen: bool = True
    dial: Dial = dial
    _connection: Wire | None = field(default=None, repr=False)
    _found: tuple[bytes, Answer] | None = field(default=None, repr=False)
    """The answer to the last look for drift, which is the same every minute: understood once."""

    def connect(self) -> None:
        """Open the connection now. Raises: ApplierSilentError."""
        if self._connection is not None:
            return
        try:
            self._connection = self.dial(self.path, CONNECT_SECONDS)
        except OSError as error:
            raise ApplierSilentError(f"{self.path} cannot be reached: {error.strerror or error}.") from error

    def close(self) -> None:
        """Close the connection, if one is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __call__(self, request: Request) -> Answer:
        """Ask. Raises: ApplierSilentError: nothing answers; ShieldwallError: it was refused, with its own code."""
        message = frame(request)
        was_open = self._connection is not None
        try:
            body = self._exchange(message)
        except OSError as error:
            self.close()
            if not (was_open and self.may_reopen):
                raise ApplierSilentError(f"The applier does not answer: {error.strerror or error}.") from error
            # It was closed because nobody spoke for long, or the applier was restarted; asking twice does no harm.
            try:
                body = self._exchange(message)
            except OSError as again:
                self.close()
                raise ApplierSilentError(f"The applier does not answer: {again.strerror or again}.") from again
        if self._found is not None and self._found[0] == body:
            return self._found[1]
        try:
            answer = read_answer(body)
        except BadFrameError as error:
            self.close()
            raise ApplierAnswerError(error.cause) from error
        if isinstance(request, protocol.Refresh) and not isinstance(answer, protocol.Refused):
            self._found = body, answer
        if isinstance(answer, protocol.Refused):
            raise _refusal(answer)
        return answer

    def _exchange(self, message: bytes) -> bytes:
        self.connect()
        connection = self._connection
        assert connection is not None
        connection.settimeout(self.patience_seconds)
        connection.sendall(message)
        try:
            length = body_length(_read(connection, HEADER.size))
        except BadFrameError as error:
            self.close()
            raise ApplierAnswerError(error.cause) from error
        return _read(connection, length)


def _read(connection: Wire, length: int) -> bytes:
    content = bytearray()
    while len(content) < length:
        part = connection.recv(min(length - len(content), 1 << 16))
        if not part:
            raise ConnectionResetError(0, "the connection was closed")
        content += part
    return bytes(content)


def _refusal(answer: protocol.Refused) -> ShieldwallError:
    kind = next((kind for family in _FAMILIES for kind in _kinds(family) if kind.code == answer.code), None)
    if kind is not None:
        return kind(answer.cause, remedy=answer.remedy or None)
    # Codes are class attributes, and the applier's are many: a class for this one carries it.
    unknown = type("ApplierRefusedError", (ApplierRefusal,), {"code": answer.code, "remedy": answer.remedy})
    refusal: ShieldwallError = unknown(answer.cause)
    return refusal


def _kinds(family: type[ShieldwallError]) -> Iterator[type[ShieldwallError]]:
    yield family
    for kind in family.__subclasses__():
        yield from _kinds(kind)
