"""The document and its page as they are served: made once, kept by whoever asks (RFC 9110 section 13.1.2).

Both are public. They say what every copy of the program does and nothing of a tenant, and the programs of those who may
not read anything still have to be written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.types import ControllerRouterHandler

from shieldwall.contract import strict_json
from shieldwall.server.access.authorization import PUBLIC
from shieldwall.server.admin.parts import part_of
from shieldwall.server.openapi.description import JSON, PAGES, Answer
from shieldwall.server.openapi.own import DOCUMENT, IF_NONE_MATCH, tells
from shieldwall.server.openapi.page import Page, create_page

PATH: Final = "/openapi.json"
PAGE: Final = "/docs/api"
_KEPT: Final = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
_HEADERS: Final = ("ETag", "Cache-Control")
_PAGE_HEADERS: Final = {
    **_KEPT,
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
}

AnyRequest = Request[Any, Any, State]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The document, its bytes and their name, and the page made of it."""

    document: dict[str, Any]
    body: bytes
    etag: str
    page: Page


class Publishing:
    """What is published of one server: made when it is first asked for, and once."""

    def __init__(self, document: Callable[[], dict[str, Any]]) -> None:
        self._document: Final = document

    @cached_property
    def published(self) -> Published:
        """The document and its page."""
        return publish(self._document())

    def prepare(self) -> None:
        """Make document and page now, not when somebody first asks."""
        self.published.page.showing("")


def publish(document: dict[str, Any]) -> Published:
    """Write a document as it will be sent. Pure."""
    body = strict_json.encode(document)
    return Published(
        document=document, body=body, etag=f'"{strict_json.digest_of_bytes(body)[:32]}"', page=create_page(document)
    )


@get(
    PATH,
    opt={
        **PUBLIC,
        **tells(
            Answer(status=200, meaning="The document.", content={JSON: DOCUMENT}, headers=_HEADERS),
            Answer(status=304, meaning="It is the one that the caller has.", headers=_HEADERS),
            asks=[IF_NONE_MATCH],
        ),
    },
    sync_to_thread=False,
)
def get_description(request: AnyRequest) -> Response[bytes]:
    """Return this document."""
    found = part_of(request.scope, Publishing).published
    return _unless_kept(request, found.etag, lambda: found.body, JSON, _KEPT)


@get(PAGE, opt={**PUBLIC, **PAGES}, sync_to_thread=True)
def show_description(request: AnyRequest) -> Response[bytes]:
    """Show the document to people, all of it or what holds the words in `q`."""
    found = part_of(request.scope, Publishing).published
    words = request.query_params.get("q", "")
    etag = f'{found.etag[:-1]}-{strict_json.digest_of(words)[:16]}"'
    return _unless_kept(request, etag, lambda: found.page.showing(words), "text/html", _PAGE_HEADERS)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (get_description, show_description)


def _unless_kept(
    request: AnyRequest, etag: str, content: Callable[[], bytes], media_type: str, headers: dict[str, str]
) -> Response[bytes]:
    """Answer 304 to somebody who has this state already."""
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in known or "*" in known:
        return Response(b"", status_code=304, headers={**headers, "ETag": etag})
    return Response(content(), media_type=media_type, headers={**headers, "ETag": etag})
