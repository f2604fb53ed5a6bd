"""The first look at a request: is it for us, is it plain JSON, is it small and quick enough to be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final, Protocol

from shieldwall.server.gateway.problems import (
    ContentTooLargeError,
    MisdirectedError,
    RefusedError,
    RequestTimeoutError,
    UnsupportedMediaTypeError,
)

BODY_SECONDS: Final = 10.0
_CONTENT_TYPE: Final = "application/json"
_LONGEST_LENGTH: Final = 12


class Headers(Protocol):
    """Header fields as Granian hands them over; names are lower-case."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the first value of a field."""
        ...

    def get_all(self, key: str) -> list[str]:
        """Return every value of a field."""
        ...


class Scope(Protocol):
    """A request line and header, as Granian parsed them. ``path`` is percent-decoded, ``query_string`` is raw."""

    method: str
    path: str
    query_string: str
    authority: str | None
    client: str
    http_version: str

    @property
    def headers(self) -> Headers:
        """The header fields."""
        ...


class Protocol_(Protocol):  # noqa: N801 - `Protocol` itself is typing's
    """The rest of a request and the way back, as Granian offers them."""

    def __call__(self) -> Awaitable[bytes]:
        """Read the whole body."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the body as it comes."""
        ...

    def client_disconnect(self) -> Awaitable[None]:
        """Return when the caller has gone."""
        ...

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Answer without a body."""
        ...

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""
        ...


def check_authority(scope: Scope, authority: str) -> None:
    """Refuse a request that does not name exactly our public host.

    What a proxy says about another host (``X-Forwarded-*``, ``Forwarded``) is never looked at.

    Raises:
        RefusedError: The request target is in absolute form, or the Host header is missing or doubled.
        MisdirectedError: Another host is named.
    """
    if scope.authority is not None:
        raise RefusedError("The request target is not a path.")
    hosts = scope.headers.get_all("host")
    if len(hosts) != 1:
        raise RefusedError("The request does not carry exactly one Host header.")
    if normal_authority(hosts[0]) != authority:
        raise MisdirectedError("This server does not answer for the host the request names.")


def normal_authority(text: str) -> str:
    """Write host and port the one way we compare them: lower-case, the default port left out."""
    return text.lower().removesuffix(":443")


def check_framing(headers: Headers, limit: int) -> int | None:
    """Decide from the header alone whether the body may be read at all; return how long it says it is.

    ``None``: it comes in chunks and says nothing.

    Raises:
        UnsupportedMediaTypeError: There is a body, and it is compressed or not called JSON.
        ContentTooLargeError: The body says it is longer than ``limit``.
    """
    if headers.get("content-encoding") is not None:
        raise UnsupportedMediaTypeError("Compressed bodies are not read here.")
    length = _length(headers)
    if length != 0 and [text.lower() for text in headers.get_all("content-type")] != [_CONTENT_TYPE]:
        raise UnsupportedMediaTypeError(f"The body is not called {_CONTENT_TYPE}.")
    if length is not None and length > limit:
        raise ContentTooLargeError(f"A body here has at most {limit} bytes.")
    return length


class BodyWatch:
    """Ends the reading of bodies that do not arrive in time: one timer for all, for each has as long as the others.

    A timer for each would cost more than reading a body does.
    """

    def __init__(self) -> None:
        self._reading: dict[asyncio.Task[Any], float] = {}
        """Who reads, and when its time is up: the first one first, as all get as long."""
        self._overdue: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, reading: Awaitable[bytes]) -> bytes:
        """Wait for a body. Raises: RequestTimeoutError."""
        task = asyncio.current_task()
        assert task is not None, "requests are served by tasks"
        loop = asyncio.get_running_loop()
        self._reading[task] = loop.time() + BODY_SECONDS
        if self._timer is None:
            self._timer = loop.call_later(BODY_SECONDS, self._look)
        try:
            return await reading
        except asyncio.CancelledError:
            if task not in self._overdue:
                raise
            self._overdue.discard(task)
            task.uncancel()
            raise RequestTimeoutError(f"The body did not arrive within {BODY_SECONDS:.0f} seconds.") from None
        finally:
            self._reading.pop(task, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task, until in list(self._reading.items()):
            if until > now:
                break
            del self._reading[task]
            self._overdue.add(task)
            task.cancel()
        following = next(iter(self._reading.values()), None)
        self._timer = None if following is None else loop.call_at(following, self._look)


class ArrivingBody:
    """The body of a request, on its way from the moment this is made: while nobody waits for it, it wakes nobody."""

    __slots__ = ("_arriving", "_length", "_limit", "_transport")

    def __init__(self, transport: Protocol_, length: int | None, limit: int) -> None:
        """Let it come; ``length`` is what ``check_framing`` returned, ``limit`` the most bytes it may have."""
        self._transport = transport
        self._length = length
        self._limit = limit
        self._arriving = transport() if length else None

    async def read(self, watch: BodyWatch) -> bytes:
        """Wait until it is there.

        Raises:
            RequestTimeoutError: It did not arrive within ``BODY_SECONDS``.
            ContentTooLargeError: It turned out longer than its limit.
            RefusedError: It came in chunks. Every body we ask for has a length known before it is sent; with chunks a
                proxy and we could disagree where it ends, and Granian does not tell a broken chunk from the last one.
        """
        if self._length is None:
            return await watch.read(_refuse_chunks(self._transport, self._limit))
        if self._arriving is None:
            return b""
        body = await watch.read(self._arriving)
        if len(body) != self._length:
            raise RefusedError("The body is not as long as its Content-Length says.")
        return body


async def _refuse_chunks(transport: Protocol_, limit: int) -> bytes:
    received = 0
    async for chunk in transport:
        received += len(chunk)
        if received > limit:
            raise ContentTooLargeError(f"A body here has at most {limit} bytes.")
    raise RefusedError("The body came in chunks.", remedy="Send the body with a Content-Length.")


def _length(headers: Headers) -> int | None:
    if headers.get("transfer-encoding") is not None:
        return None
    match headers.get_all("content-length"):
        case []:
            return 0
        case [text] if text.isascii() and text.isdigit() and len(text) <= _LONGEST_LENGTH:
            return int(text)
        case _:
            raise RefusedError("The Content-Length is not one number.")
