"""States of resources, and requests that hold for one of them alone (RFC 9110, sections 8.8 and 13; decision 0032).

``If-Match`` is heeded where it stands. Unmodified SDKs send none, so it may be left out, unless the server's settings
ask for it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from litestar import Response

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.requests import JSON, GraphRequest, answer
from shieldwall.server.graph.resources import Json
from shieldwall.server.manager.policies import PreconditionFailedError

_CHANGING: Final = frozenset({"PATCH", "PUT", "DELETE"})
_ANY: Final = "*"
_LENGTH: Final = 24


class PreconditionRequiredError(ShieldwallError):
    """A change does not say which state it is about, and this server wants to know."""

    code = "preconditionRequired"
    remedy = "Read the resource, and send the change with its ETag in the header If-Match."


def state_of(resource: Json, *, but: Collection[str] = ()) -> str:
    """Name the state of a resource by what it shows; ``but`` are members that change by themselves."""
    shown = {name: value for name, value in resource.items() if name not in but}
    return strict_json.digest_of(shown)[-_LENGTH:]


def require_match(services: AdminServices, request: GraphRequest, state: str) -> None:
    """Let a change pass that is about this state. It has to be read in the transaction of the change.

    Raises:
        PreconditionFailedError: ``If-Match`` names another.
        PreconditionRequiredError: It is missing, and the settings ask for it.
    """
    named = _named(request, "if-match")
    if not named and services.settings.require_if_match and request.method in _CHANGING:
        raise PreconditionRequiredError("The change does not say which state of the resource it is about.")
    if named and not {state, _ANY} & named:
        raise PreconditionFailedError("The resource is not in the state that If-Match names.")


def shown(request: GraphRequest, resource: Json, state: str) -> Response[Any]:
    """Answer with a resource in a state, or with 304 where the client has it already."""
    if {state, _ANY} & _named(request, "if-none-match"):
        return Response(b"", status_code=304, media_type=JSON, headers={"ETag": f'W/"{state}"'})
    return answer(resource, etag=state)


def _named(request: GraphRequest, header: str) -> set[str]:
    """Return the states that a header names; weak and strong ones are the same to us."""
    given: list[str] = request.headers.getall(header, [])
    return {tag.strip().removeprefix("W/").strip('"') for value in given for tag in value.split(",") if tag.strip()}
