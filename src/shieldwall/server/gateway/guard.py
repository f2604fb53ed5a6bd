"""The first look at a request: is it for us, is it plain JSON, is it small and quick enough to be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How long the body says it is. ``None``: it comes in chunks and says nothing."""

    length: int | None


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


def check_framing(headers: Headers, limit: int) -> Framing:
    """Decide from the header alone whether the body may be read at all.

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
    return Framing(length=length)


async def read_body(transport: Protocol_, framing: Framing, limit: int) -> bytes:
    """Read the body.

    Raises:
        RequestTimeoutError: It did not arrive within ``BODY_SECONDS``.
        ContentTooLargeError: It turned out longer than ``limit``.
        RefusedError: It came in chunks. Every body we ask for has a length known before it is sent; with chunks a proxy
            and we could disagree where it ends, and Granian does not tell a broken chunk from the last one.
    """
    if framing.length == 0:
        return b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            if framing.length is None:
                await _refuse_chunks(transport, limit)
            body = await transport()
    except TimeoutError:
        raise RequestTimeoutError(f"The body did not arrive within {BODY_SECONDS:.0f} seconds.") from None
    if len(body) != framing.length:
        raise RefusedError("The body is not as long as its Content-Length says.")
    return body


async def _refuse_chunks(transport: Protocol_, limit: int) -> None:
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
