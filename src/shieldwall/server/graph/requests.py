"""What every handler needs of a request: the caller, the strict body, the query; and how its answers are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

from litestar import Request, Response
from litestar.datastructures import State
from litestar.di import NamedDependency

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.strict_json import convert, decode_any, encode
from shieldwall.server.admin.parts import part_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import rows_of
from shieldwall.server.graph.catalog_resources import CatalogResources
from shieldwall.server.graph.errors import InvalidQueryError, UnsupportedMediaTypeError
from shieldwall.server.graph.fields.described import fields_of_route
from shieldwall.server.graph.odata.fields import FieldMap
from shieldwall.server.graph.odata.selection import Expandable
from shieldwall.server.graph.query import MOST_DIGITS, Query, parse_query
from shieldwall.server.graph.resources import Json, collection

T = TypeVar("T")

GraphRequest: TypeAlias = Request[Any, Any, State]
Services: TypeAlias = NamedDependency[AdminServices]
JSON: Final = "application/json"
_PLACES: Final = frozenset({"$skip", "$skiptoken"})
"""Options that say where a page begins, and not what is asked for."""


def body_of(request: GraphRequest, body: bytes, kind: type[T]) -> T:
    """Read the body as strict JSON of one shape.

    Raises:
        UnsupportedMediaTypeError: It is not labelled as JSON.
        InvalidJsonError: It is not strict JSON or not of that shape.
    """
    return convert(members_of(request, body), kind)


def members_of(request: GraphRequest, body: bytes, *, annotations: bool = False) -> dict[str, Any]:
    """Read the body as a strict JSON object, without annotations unless they are asked for. Raises: as ``body_of``."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != JSON or request.headers.get("content-encoding"):
        raise UnsupportedMediaTypeError("The body must be plain application/json.")
    value = decode_any(body)
    if not isinstance(value, dict):
        raise InvalidJsonError("The body must be an object.")
    return {name: member for name, member in value.items() if annotations or not is_annotation(name)}


def is_annotation(name: str) -> bool:
    """Tell whether a member is an OData annotation, which says nothing that is not known."""
    return "@odata." in name or name.startswith("#")


def resources_of(request: GraphRequest) -> CatalogResources:
    """Return the catalog as resources."""
    return part_of(request.scope, CatalogResources)


def query_of(
    request: GraphRequest,
    *,
    expandable: Expandable | frozenset[str] = frozenset(),
    parameters: frozenset[str] = frozenset(),
) -> Query:
    """Read the query options; ``parameters`` are those of the route itself. Raises: InvalidQueryError."""
    given = {name: request.query_params.getall(name) for name in request.query_params if name not in parameters}
    return replace(parse_query(given, expandable=expandable, path=request.url.path), only=rows_of(request))


def number_of(request: GraphRequest, parameter: str) -> int | None:
    """Read a whole number that a route takes in its address. Raises: InvalidQueryError."""
    given: list[str] = request.query_params.getall(parameter, [])
    if not given:
        return None
    if len(given) > 1 or not given[0].isascii() or not given[0].isdigit() or len(given[0]) > MOST_DIGITS:
        raise InvalidQueryError(f"{parameter} must be a number, and stand once.")
    return int(given[0])


def answer(value: Any, *, status: int = 200, etag: str | None = None) -> Response[bytes]:
    """Write an answer as JSON."""
    return Response(encode(value), status_code=status, media_type=JSON, headers=_etag(etag))


def empty(*, etag: str | None = None) -> Response[None]:
    """Write an answer without a body: 204."""
    return Response(None, status_code=204, headers=_etag(etag))


def page_answer(
    services: AdminServices,
    request: GraphRequest,
    query: Query,
    rows: Sequence[tuple[str, Json]],
    fields: FieldMap,
) -> Response[bytes]:
    """Write one page of a listing, read as ``query.page_of(fields)`` says: resources, each after its row's name."""
    return _page(services, request, query, rows, fields)


def list_answer(
    services: AdminServices,
    request: GraphRequest,
    query: Query,
    resources: Sequence[Json],
    fields: FieldMap | None = None,
) -> Response[bytes]:
    """Write a listing that is held as a whole, filtered and ordered as asked; it comes in pages for those who ask.

    Without ``fields`` it can be asked about what the route's description says that its resources have.

    Raises:
        InvalidQueryError: The query asks for something that the fields do not know.
    """
    fields = fields_of_route(request.route_handler.opt) if fields is None else fields
    fitting = query.fitting(fields, resources)
    size = query.top or len(fitting) or 1
    return _page(services, request, replace(query, top=size), query.cut(fitting, size), fields)


def _page(
    services: AdminServices, request: GraphRequest, query: Query, rows: Sequence[tuple[str, Json]], fields: FieldMap
) -> Response[bytes]:
    public_url, path = services.settings.public_url, quote(request.url.path)
    _, version, name = path.split("/", 2)
    shown = rows[: query.size]
    following = None
    if len(rows) > len(shown):
        token = query.token_after(*shown[-1], fields)
        following = f"{public_url}{path}?{_options(request)}$skiptoken={token}"
    context = f"{public_url}/{version}/$metadata#{name}"
    count = None if query.tally is None else query.tally.total
    values = [query.selection.shape(resource) for _, resource in shown]
    return answer(collection(context, values, following, count=count))


def _etag(state: str | None) -> dict[str, str]:
    return {"ETag": f'W/"{state}"'} if state else {}


def _options(request: GraphRequest) -> str:
    """Write the options down in the order in which they were asked: ``multi_items`` has another in each process."""
    kept = [(name, value) for name, value in request.query_params.items() if name.lower() not in _PLACES]
    return "".join(f"{urlencode([option], safe='$,')}&" for option in kept)
