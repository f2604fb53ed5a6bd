"""The answers of a route as the document writes them: what it promises, and every way in which it can refuse. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from shieldwall.contract.messages import Problem
from shieldwall.server.openapi.components import Components
from shieldwall.server.openapi.description import PROBLEM, Answer, AnySchema, Description, FrontDoor
from shieldwall.server.openapi.shapes import Schema

EVERYWHERE: Final = ("request-id", "client-request-id")
"""Headers of every answer."""

HEADERS: Final[dict[str, tuple[str, Schema]]] = {
    "request-id": ("The server's name for the request; its log has it too.", {"type": "string"}),
    "client-request-id": (
        "The client's own name for the request, the server's where it gave none.",
        {"type": "string"},
    ),
    "ETag": ("The state of what is shown, for If-Match and If-None-Match.", {"type": "string"}),
    "Location": ("Where what was made, or what follows, is found.", {"type": "string"}),
    "Retry-After": ("Seconds to wait before asking again.", {"type": "integer", "minimum": 0}),
    "WWW-Authenticate": ("Which kind of credential is expected.", {"type": "string"}),
    "DPoP-Nonce": ("What the next proof of possession has to hold; where one is wanted.", {"type": "string"}),
    "Cache-Control": ("Whether and how long the answer may be kept.", {"type": "string"}),
    "Content-Disposition": ("The name under which a browser keeps the file.", {"type": "string"}),
}
_BESIDE: Final = {401: ("WWW-Authenticate", "DPoP-Nonce"), 429: ("Retry-After",), 503: ("Retry-After",)}
_FROM_THE_FRONT: Final = frozenset({400, 408, 413, 421})
"""Refusals that come before the request is looked at: a problem document, whatever it was for."""
_ONLY_FROM_THE_FRONT: Final = frozenset({408, 421})

MEANINGS: Final = {
    400: "The request cannot be meant: a part is missing, unknown or of another form.",
    401: "There is no access token, or none that is good.",
    403: "The caller lacks the permission.",
    404: "There is no such thing.",
    405: "The path is there for other methods.",
    408: "The body did not arrive in time.",
    409: "The present state does not allow it.",
    410: "What was asked for is kept no more; begin anew.",
    412: "It is not the state that If-Match names.",
    413: "The body is larger than is read.",
    415: "The body is of another media type.",
    421: "The request names another host.",
    428: "The request must say, by If-Match, which state it changes.",
    429: "Too many requests; wait as long as Retry-After says.",
    500: "Something went wrong inside the server.",
    501: "This is not possible here.",
    503: "The server cannot answer just now; wait as long as Retry-After says.",
}


def responses(
    description: Description, components: Components, shared: dict[str, Any], *, path: str, public: bool
) -> dict[str, Any]:
    """Write all answers of a route by status; refusals go into ``shared`` and are pointed at."""
    written = {str(each.status): _written(each, components) for each in description.answers}
    for status in sorted(statuses(description, path=path, public=public)):
        if str(status) not in written:
            written[str(status)] = _refusal(description.door, status, components, shared)
    return dict(sorted(written.items()))


def statuses(description: Description, *, path: str, public: bool) -> frozenset[int]:
    """Return every status of refusal that a route can answer."""
    door, found = description.door, set(description.door.always | description.fails)
    if not public:
        found |= door.guarded
    if description.takes is not None:
        found |= door.with_body
    if "{" in path:
        found |= door.with_path
    for parameter in description.asks:
        found |= set(parameter.statuses)
    return frozenset(found)


def header_components() -> dict[str, Any]:
    """Write every header that answers have."""
    return {
        name: {"description": meaning, "schema": schema, "required": name in EVERYWHERE}
        for name, (meaning, schema) in HEADERS.items()
    }


def _written(answer: Answer, components: Components) -> dict[str, Any]:
    written: dict[str, Any] = {
        "description": answer.meaning or HTTPStatus(answer.status).phrase,
        "headers": _headers(answer.headers),
    }
    if answer.content:
        written["content"] = {
            media_type: {"schema": components.placed(schema)} for media_type, schema in answer.content.items()
        }
    return written


def _refusal(door: FrontDoor, status: int, components: Components, shared: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, AnySchema] = {} if status in _ONLY_FROM_THE_FRONT else {door.error_type: door.error}
    if status in _FROM_THE_FRONT:
        content |= {PROBLEM: Problem}
    name = f"{door.name}{status}"
    if name not in shared:
        meaning = MEANINGS.get(status, HTTPStatus(status).phrase)
        shared[name] = _written(
            Answer(status=status, meaning=meaning, content=content, headers=_BESIDE.get(status, ())), components
        )
    return {"$ref": f"#/components/responses/{name}"}


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*EVERYWHERE, *names)}
