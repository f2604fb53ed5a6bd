"""The first look at a request of an administrator: is it for us, is it small and quick enough to be read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from shieldwall.contract import strict_json
from shieldwall.contract.messages import Problem
from shieldwall.server.listening.connections import ConnectionGuard

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
BODY_SECONDS: Final = 10.0
ADDRESS: Final = "shieldwall.address"
"""Where the scope of a request says which of our addresses it was sent to."""

PATH: Final = "shieldwall.path"
"""Where it says which path was asked for, decoded, as the client wrote it."""
_LENGTH: Final = b"content-length"
_CODING: Final = b"transfer-encoding"
_FRAMING: Final = frozenset({_LENGTH, _CODING})
_WITHOUT_BODY_UNLESS_DECLARED: Final = frozenset({"1.0", "1.1"})
"""Versions of HTTP in which a request has a body only where one of these headers says so."""


def address_of(scope: Any, otherwise: str) -> str:
    """Return which of our addresses a request was sent to; ``otherwise`` where nobody looked."""
    found = scope.get(ADDRESS, otherwise)
    assert isinstance(found, str)
    return found


def path_of(scope: Any) -> str:
    """Return which path was asked for, before it was brought to one form."""
    found = scope.get(PATH, scope["path"])
    assert isinstance(found, str)
    return found


class _RefusedError(Exception):
    """The request goes no further."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.problem = Problem(
            type=f"shieldwall:{code}", title=status.phrase, status=status, code=code, detail=detail, remedy=remedy
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminFront:
    """Stands before the application.

    ``addresses`` are ours, by the host and port in them: every request must name one, and is known by it from then on.
    """

    application: ASGIApp
    addresses: Mapping[str, str]
    connections: ConnectionGuard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one lifespan."""
        if scope["type"] != ScopeType.HTTP:
            await self.application(scope, receive, send)
            return
        client = scope["client"]
        if client is not None:
            self.connections.asked(f"{client[0]}:{client[1]}")
        try:
            self._check_host(scope)
            body = await _read(scope, receive)
        except _RefusedError as refused:
            await _answer(refused.problem, send)
            return
        await self.application(scope, _Replayed(body, receive), send)

    def _check_host(self, scope: Any) -> None:
        """Refuse requests that name another host, so that no link of ours can point elsewhere."""
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        named = hosts[0].lower().removesuffix(":443") if len(hosts) == 1 else ""
        if named not in self.addresses:
            raise _RefusedError(
                HTTPStatus.MISDIRECTED_REQUEST,
                "misdirected",
                "This server does not answer for the host the request names.",
                "Use the public URL of the server; a proxy in front must keep the Host header.",
            )
        scope[ADDRESS], scope[PATH] = self.addresses[named], scope["path"]


class _Replayed:
    """Hands a body that was read before to the application, then whatever else comes."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Any:
        if self._body is None:
            return await self._behind_the_body()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _behind_the_body(self) -> Any:
        message: Any = await self._receive()
        while message["type"] == "http.request":  # the end of the body, which nobody waited for
            message = await self._receive()
        return message


async def _read(scope: Any, receive: Receive) -> bytes:
    declared = _declared_length(scope)
    if declared == 0:
        return b""
    if declared is not None and declared > MAX_BODY_BYTES:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _whole(receive, declared)
    except TimeoutError:
        raise _RefusedError(
            HTTPStatus.REQUEST_TIMEOUT,
            "requestTimeout",
            f"The body did not arrive within {BODY_SECONDS:.0f} seconds.",
            "Send the whole request at once.",
        ) from None
    if declared is not None and declared != len(body):
        raise _RefusedError(
            HTTPStatus.BAD_REQUEST,
            "badRequest",
            "The body is not as long as its Content-Length says.",
            "Send the whole request.",
        )
    return body


def _declared_length(scope: Any) -> int | None:
    """Return how long a body is; ``None``: its end says so, when it comes (RFC 9112 section 6.3)."""
    framing = {name: value for name, value in scope["headers"] if name in _FRAMING}
    if _CODING in framing:
        return None
    if _LENGTH not in framing:
        return 0 if scope.get("http_version") in _WITHOUT_BODY_UNLESS_DECLARED else None
    return int(framing[_LENGTH]) if framing[_LENGTH].isdigit() else None


async def _whole(receive: Receive, declared: int | None) -> bytes:
    """Read a body, and no further than it is long: word that it has ended comes from another thread."""
    body = bytearray()
    more = True
    while more and (declared is None or len(body) < declared):
        message: Any = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
    return bytes(body)


def _too_large() -> _RefusedError:
    return _RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "contentTooLarge",
        f"A body here has at most {MAX_BODY_BYTES} bytes.",
        "Send less at a time.",
    )


async def _answer(problem: Problem, send: Send) -> None:
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": strict_json.encode(problem), "more_body": False})
