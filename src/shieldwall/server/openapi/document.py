"""The OpenAPI 3.1 document (spec.openapis.org/oas/v3.1.1), made of the routes as they are served. Pure."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar.routes import BaseRoute

from shieldwall.server.access.authorization import Authorization, authorization_of
from shieldwall.server.openapi.answers import header_components, responses
from shieldwall.server.openapi.components import Components
from shieldwall.server.openapi.description import Body, Described, Parameter, described_routes

SCHEME: Final = "oauth2"
_OURS: Final = " (ours)"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_VERSION: Final = re.compile(r"^/(v1\.0|beta|api)/")


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the document says of the server: its addresses, and what its permissions are called."""

    version: str
    public_urls: tuple[str, ...]
    token_url: str
    permissions: Mapping[str, str]


def create_document(routes: Iterable[BaseRoute], about: About) -> dict[str, Any]:
    """Describe every route of the APIs.

    Raises:
        UndescribedRouteError: A route says nothing of itself.
        AmbiguousComponentError: Two schemas have one name.
    """
    found = described_routes(routes)
    writing = _Writing(found)
    paths: dict[str, dict[str, Any]] = {}
    for each in found:
        paths.setdefault(each.path, {})[each.method.lower()] = writing.operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Shieldwall",
            "summary": "Security settings of devices, in the shapes of Microsoft Graph where Graph has them.",
            "description": _INTRODUCTION,
            "version": about.version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url} for url in about.public_urls],
        "tags": writing.tags(),
        "paths": paths,
        "components": {
            "schemas": dict(sorted(writing.components.schemas.items())),
            "parameters": dict(sorted(writing.parameters.items())),
            "headers": header_components(),
            "responses": dict(sorted(writing.refusals.items())),
            "securitySchemes": {SCHEME: _scheme(about)},
        },
    }


class _Writing:
    """Writes operations, and gathers what they share."""

    def __init__(self, routes: Sequence[Described]) -> None:
        self.components = Components()
        self.parameters: dict[str, Any] = {}
        self.refusals: dict[str, Any] = {}
        self._tags: dict[str, str] = {}
        self._paths_of: dict[Any, int] = {}
        for each in routes:
            key = (each.function.__name__, _version(each.path))
            self._paths_of[key] = self._paths_of.get(key, 0) + 1

    def operation(self, route: Described) -> dict[str, Any]:
        """Write one method of one path."""
        description, authorization = route.description, authorization_of(route.handler.opt)
        summary, _, more = inspect.cleandoc(route.function.__doc__ or "").replace("``", "`").partition("\n")
        group = description.door.group_of(route.path)
        self._note_tag(group, route)
        written: dict[str, Any] = {
            "operationId": self._id(route),
            "tags": [group],
            "summary": summary.replace(_OURS, ""),
        }
        if more.strip():
            written["description"] = more.strip()
        if _OURS in summary:
            written["x-shieldwall-ours"] = True
        if permissions := sorted(authorization.permissions):
            written["x-shieldwall-permissions"] = permissions
        if not authorization.public:
            written |= _of_roles(authorization)
        written["security"] = [{SCHEME: [permission]} for permission in permissions]
        if parameters := [*self._in_path(route), *map(self._asked, description.asks)]:
            written["parameters"] = parameters
        if description.takes is not None:
            written["requestBody"] = self._body(description.takes, description.door.passed_over)
        written["responses"] = responses(
            description, self.components, self.refusals, path=route.path, public=authorization.public
        )
        return written

    def tags(self) -> list[dict[str, str]]:
        """Write the groups of routes, each with what it is about."""
        return [{"name": name, "description": meaning} for name, meaning in sorted(self._tags.items())]

    def _note_tag(self, group: str, route: Described) -> None:
        """Take the words of the module that is about the resource; the first sentence of its docstring."""
        text = (sys.modules[route.function.__module__].__doc__ or "").partition("\n")[0]
        if group not in self._tags or (f"/{group}``" in text and f"/{group}`" not in self._tags[group]):
            self._tags[group] = text.replace("``", "`")

    def _id(self, route: Described) -> str:
        """Name a route for programs: by its version and handler, and by its path where the handler has several."""
        version = _version(route.path)
        first, *rest = route.function.__name__.split("_")
        name = f"{version}." * bool(version) + first + "".join(part.title() for part in rest)
        if len(route.handler.http_methods) > 1:
            name = f"{name}.{route.method.lower()}"
        if self._paths_of[route.function.__name__, version] == 1:
            return name
        path = _PARAMETER.sub(r"\1", route.path.removeprefix(f"/{version}"))
        return f"{name}.{'.'.join(part for part in path.split('/') if part)}"

    def _in_path(self, route: Described) -> list[dict[str, Any]]:
        known = route.description.door.parameters
        written = []
        for name in _PARAMETER.findall(route.path):
            schema = dict(known.get(name, {"type": "string"}))
            meaning = schema.pop("description", f"The {name.replace('_', ' ')}.")
            written.append(
                self._shared(
                    {"name": name, "in": "path", "required": True, "description": meaning, "schema": schema}, name
                )
            )
        return written

    def _asked(self, parameter: Parameter) -> dict[str, Any]:
        written: dict[str, Any] = {
            "name": parameter.name,
            "in": parameter.place,
            "description": parameter.meaning,
            "schema": self.components.placed(parameter.schema),
        }
        if parameter.required:
            written["required"] = True
        return self._shared(written, parameter.name.strip("$"))

    def _shared(self, written: dict[str, Any], name: str) -> dict[str, Any]:
        """Write a parameter once where several routes have the same; one that differs stands with its route."""
        if self.parameters.setdefault(name, written) != written:
            return written
        return {"$ref": f"#/components/parameters/{name}"}

    def _body(self, body: Body, passed_over: str | None) -> dict[str, Any]:
        schema = self.components.placed(body.schema)
        if isinstance(body.schema, type) and passed_over is not None:
            self.components.schemas[body.schema.__name__]["patternProperties"] = {passed_over: {}}
        return {"required": body.required, "content": {body.media_type: {"schema": schema}}}


def _of_roles(authorization: Authorization) -> dict[str, Any]:
    """Say what a person's roles must grant beside the permission; applications need the permission alone."""
    demand = authorization.demand
    written: dict[str, Any] = {"x-shieldwall-reach": demand.reach.value}
    if demand.action is not None:
        written["x-shieldwall-action"] = demand.action.value
    if demand.sensitive:
        written["x-shieldwall-sensitive"] = True
    return written


def _version(path: str) -> str:
    found = _VERSION.match(path)
    return found[1] if found else ""


def _scheme(about: About) -> dict[str, Any]:
    return {
        "type": "oauth2",
        "description": (
            "An access token of the identity platform. One of the permissions named with a route is enough; a program "
            "asks for all that it has with the scope `.default`. The token endpoint shown is that of one tenant."
        ),
        "flows": {"clientCredentials": {"tokenUrl": about.token_url, "scopes": dict(about.permissions)}},
    }


_INTRODUCTION: Final = """\
Everything under `/v1.0` is served under `/beta` too: the same routes.

* Paths may be written in the ways of OData: `/groups('ID')` is `/groups/ID`, `microsoft.graph.` before the name of an \
action is passed over, and so is a slash at the end.
* Members of a body that OData calls annotations (`@odata.type`, `name@odata.bind`, `#action`) are passed over where \
they say nothing new. Any other member that is not described is refused.
* JSON is I-JSON (RFC 7493): UTF-8, no member twice, no number outside ±(2^53-1), at most 32 levels deep. Whole \
numbers have no fraction, not even `.0`.
* `$select` leaves out members of a resource, `id` stays. Those that `x-shieldwall-always` names are there otherwise.
* An error is `{"error": {…}}` with a code that stays the same in `innerError.code`; what is refused before it is \
read is a problem document (RFC 9457).
* Every answer has a `request-id`, and the `client-request-id` that the client gave.
* Operations marked `x-shieldwall-ours` are not in Microsoft Graph.
"""
