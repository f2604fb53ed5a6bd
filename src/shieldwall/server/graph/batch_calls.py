"""One item of a batch as a request to the application itself, and its answer as the batch tells it.

The request takes the way of every other: paths are brought to one form, the token is looked at, limits are counted, the
audit trail is written, and the log has a line of it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.strict_json import decode_any, encode
from shieldwall.server.admin.possession_of_requests import PROVEN
from shieldwall.server.graph.batch_plan import METHODS, BatchItem
from shieldwall.server.graph.errors import ContentTooLargeError, InvalidRequestError
from shieldwall.server.graph.paths import normal_path
from shieldwall.server.listening.admin_front import ADDRESS

BATCH: Final = "$batch"
LARGEST_ANSWER: Final = 4 * 1024 * 1024
"""Bytes of what one request reads that a batch carries; what is larger has to be asked for by itself."""
_JSON: Final = re.compile(r"application/(?:[a-z.-]+\+)?json\s*(?:;|\Z)", re.IGNORECASE)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}\Z")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,4096}\Z")
_OF_THE_BATCH: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "cookie",
        "dpop",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that an item does not bring: who calls, and where, is what it is for the batch."""
_INHERITED: Final = frozenset({b"authorization", b"host"})
_FRAME: Final = frozenset({"asgi", "http_version", "scheme", "server", "client", "root_path", ADDRESS, PROVEN})
"""What every request of a batch has in common with it."""
_SHOWN: Final = {
    "content-type": "Content-Type",
    "etag": "ETag",
    "location": "Location",
    "retry-after": "Retry-After",
    "allow": "Allow",
    "www-authenticate": "WWW-Authenticate",
    "dpop-nonce": "DPoP-Nonce",
    "preference-applied": "Preference-Applied",
    "request-id": "request-id",
    "client-request-id": "client-request-id",
}
"""Headers of an answer that a batch passes on, as they are written there."""


@dataclass(slots=True)
class Answered:
    """What the application answered to an item."""

    reads: bool
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    is_too_large: bool = False
    is_complete: asyncio.Event = field(default_factory=asyncio.Event)
    """Nothing more comes, or nothing more is wanted: an answer in parts ends then."""

    async def take(self, message: Any) -> None:
        """Take a part of the answer; what is too large is not kept."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            for name, value in message.get("headers", ()):
                if shown := _SHOWN.get(name.decode("latin-1").lower()):
                    self.headers[shown] = value.decode("latin-1")
        elif message["type"] == "http.response.body" and not self.is_too_large:
            self.body += message.get("body", b"")
            if self.reads and len(self.body) > LARGEST_ANSWER:
                self.is_too_large = True
                self.body.clear()
            if self.is_too_large or not message.get("more_body", False):
                self.is_complete.set()

    def told(self, name: str) -> dict[str, Any]:
        """Write it as an item of the batch's answer.

        Raises:
            ContentTooLargeError: It is more than a batch carries.
        """
        if self.is_too_large:
            raise ContentTooLargeError("The answer is too large for a batch.", remedy="Ask for it by itself.")
        told: dict[str, Any] = {"id": name, "status": self.status, "headers": self.headers}
        if self.body:
            told["body"] = _told_body(bytes(self.body), self.headers.get("Content-Type", ""))
        return told


def scope_of(item: BatchItem, batch: Any, content: bytes, version: str) -> dict[str, Any]:
    """Make the scope of a request out of an item and the batch's own scope; ``version`` is the first part of its path.

    Raises:
        InvalidRequestError: Method, address or headers cannot be those of a request of ours.
    """
    if item.method not in METHODS:
        raise InvalidRequestError(f"A request in a batch has one of the methods {', '.join(sorted(METHODS))}.")
    path, query = _address(item.url, version)
    headers = [(name, value) for name, value in batch["headers"] if name in _INHERITED]
    headers += _headers(item)
    if content:
        headers.append((b"content-length", str(len(content)).encode()))
    return {
        **{name: value for name, value in batch.items() if name in _FRAME},
        "type": "http",
        "method": item.method,
        "path": path,
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": query,
        "headers": headers,
        "state": {},
    }


def content_of(item: BatchItem) -> bytes:
    """Return the bytes of an item's body.

    Raises:
        InvalidRequestError: It has a body and no Content-Type, or one that it cannot have.
    """
    if item.body is msgspec.UNSET or item.body is None:
        return b""
    types = [value for name, value in (item.headers or {}).items() if name.lower() == "content-type"]
    if item.reads or len(types) != 1:
        raise InvalidRequestError("A body needs one Content-Type in the headers beside it, and GET has no body.")
    if _JSON.match(types[0]):
        return encode(item.body)
    try:
        return base64.b64decode(item.body if isinstance(item.body, str) else "*", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequestError("A body that is not JSON is written in base64.") from None


def _address(url: str, version: str) -> tuple[str, bytes]:
    """Read an address that is relative to the version; it may also name that same version."""
    parts = urlsplit(url) if url.isascii() and url.isprintable() and " " not in url else None
    if parts is None or parts.scheme or parts.netloc or parts.fragment:
        raise InvalidRequestError("The url of a request in a batch is relative to the version, such as /groups.")
    relative = parts.path.removeprefix("/").removeprefix(f"{version}/")
    path = unquote_to_bytes(f"/{version}/{relative}").decode("utf-8", "replace")
    if normal_path(path).lower().endswith(f"/{BATCH}"):  # in the form in which it is served, however it is written
        raise InvalidRequestError("A batch holds no other batch.")
    return path, parts.query.encode("ascii")


def _headers(item: BatchItem) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    for name, value in (item.headers or {}).items():
        if not _TOKEN.match(name) or not _VALUE.match(value):
            raise InvalidRequestError(f"The header {name[:64]!r} cannot stand in a request.")
        if name.lower() not in _OF_THE_BATCH:
            found.append((name.lower().encode("ascii"), value.encode("latin-1")))
    if len({name for name, _ in found}) != len(found):
        raise InvalidRequestError("A header stands twice.")
    return found


def _told_body(body: bytes, media_type: str) -> Any:
    if _JSON.match(media_type):
        try:
            return decode_any(body)
        except InvalidJsonError:
            pass  # then it is told as it is, like everything else that is not JSON
    return base64.b64encode(body).decode("ascii")
