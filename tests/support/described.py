"""The API's description held against what is really answered: to every test that talks to the administrators' API.

An answer has to have a status, a media type and a body that the document names for its route; a request that was taken
has to be one that the document allows. So whatever the tests do proves the document, and nothing is answered that it
does not say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import Any, Final
from urllib.parse import parse_qsl

import httpx
import jsonschema_rs
from litestar import Litestar

from shieldwall.server.graph.app import is_graph_path
from shieldwall.server.graph.paths import normal_path
from shieldwall.server.openapi.document import About, create_document
from shieldwall.server.openapi.shapes import ALWAYS

ABOUT: Final = About(
    version="0",
    public_urls=("https://localhost:8443",),
    token_url="https://localhost:8443/TENANT/oauth2/v2.0/token",
    permissions={},
)
_MISTAKE_OF_OURS: Final = 500
"""No route says that it fails; tests that let it fail find Graph's body all the same."""


class UndescribedAnswerError(AssertionError):
    """The server answered, or took, what the document does not say."""


class DescribedApi:
    """The document of an application, ready to be compared with."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._relaxed = _Validators("urn:relaxed", self.document)
        self._exact = _Validators("urn:exact", _with_all_members(self.document))

    @cached_property
    def _paths(self) -> Mapping[int, list[tuple[re.Pattern[str], str]]]:
        """The paths by their number of segments; those without parameters come first."""
        found: dict[int, list[tuple[re.Pattern[str], str]]] = {}
        for path in sorted(self.document["paths"], key=lambda path: path.count("{")):
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))
            found.setdefault(path.count("/"), []).append((re.compile(pattern), path))
        return found

    def path_of(self, path: str) -> str | None:
        """Return the path of the document that a request is for."""
        normal = normal_path(path)
        return next((known for form, known in self._paths.get(normal.count("/"), ()) if form.fullmatch(normal)), None)

    def check(self, request: httpx.Request, answer: httpx.Response) -> None:
        """Compare a request and its answer with the document. Raises: UndescribedAnswerError."""
        if request.method == "OPTIONS":
            return
        path = self.path_of(request.url.path)
        operation = self.document["paths"].get(path, {}).get(request.method.lower())
        for fault in self._faults(request, answer, operation):
            said = f"{request.method} {request.url} answered {answer.status_code}: {fault}\n{answer.text[:2_000]}"
            raise UndescribedAnswerError(said)

    def _faults(
        self, request: httpx.Request, answer: httpx.Response, operation: dict[str, Any] | None
    ) -> Iterator[str]:
        status = str(answer.status_code)
        if operation is None or answer.status_code == _MISTAKE_OF_OURS:
            of_graph = is_graph_path(request.url.path) and request.method != "HEAD"
            if of_graph and "problem" not in answer.headers.get("content-type", ""):
                yield from self._exact.faults("#/components/schemas/ODataError", answer.content)
            return
        if status not in operation["responses"]:
            yield "this status is not described"
            return
        yield from self._faults_of_answer(
            answer, operation["responses"][status], exact=b"select" not in request.url.query
        )
        if answer.is_success:
            yield from self._faults_of_request(request, operation)

    def _faults_of_answer(self, answer: httpx.Response, response: dict[str, Any], *, exact: bool) -> Iterator[str]:
        described = self._followed(response)
        yield from (
            f"the header {name} is missing"
            for name, header in described["headers"].items()
            if self._followed(header).get("required") and name not in answer.headers
        )
        content = described.get("content", {})
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        if not content:
            if answer.content:
                yield "a body is not described"
        elif media_type not in content:
            yield f"the media type {media_type!r} is not described"
        elif media_type.endswith("json"):
            schema = content[media_type]["schema"]
            validators = self._exact if exact else self._relaxed
            yield from validators.faults(schema.get("$ref", schema), answer.content)

    def _faults_of_request(self, request: httpx.Request, operation: dict[str, Any]) -> Iterator[str]:
        asked = {self._followed(each)["name"].lower() for each in operation.get("parameters", ())}
        for name, _ in parse_qsl(request.url.query.decode(), keep_blank_values=True):
            if name.lower() not in asked:
                yield f"the parameter {name} was taken and is not described"
        body = operation.get("requestBody")
        if body is not None and request.content and "application/json" in body["content"]:
            schema = body["content"]["application/json"]["schema"]
            for fault in self._relaxed.faults(schema.get("$ref", schema), request.content):
                yield f"the body was taken and is not described: {fault}"

    def _followed(self, value: dict[str, Any]) -> dict[str, Any]:
        place = value.get("$ref", "")
        found: Any = value if not place else self.document
        for part in place.removeprefix("#/").split("/") if place else ():
            found = found[part]
        assert isinstance(found, dict)
        return found


class _Validators:
    """Compiled schemas of one document, each made when it is first needed."""

    def __init__(self, name: str, document: dict[str, Any]) -> None:
        self._name = name
        self._registry = jsonschema_rs.Registry(
            [(name, {"components": {"schemas": document["components"]["schemas"]}})]
        )
        self._made: dict[str, Any] = {}

    def faults(self, schema: str | dict[str, Any], body: bytes) -> Iterator[str]:
        """Say what of a body is not as the schema says."""
        key = schema if isinstance(schema, str) else json.dumps(schema)
        if key not in self._made:
            whole = {"$ref": f"{self._name}{schema}"} if isinstance(schema, str) else self._absolute(schema)
            self._made[key] = jsonschema_rs.Draft202012Validator(whole, registry=self._registry, validate_formats=True)
        value = json.loads(body)
        if not self._made[key].is_valid(value):
            for error in self._made[key].iter_errors(value):
                yield f"{'/'.join(map(str, error.instance_path))}: {error.message[:1_000]}"

    def _absolute(self, value: Any) -> Any:
        match value:
            case dict():
                return {
                    name: f"{self._name}{each}" if name == "$ref" else self._absolute(each)
                    for name, each in value.items()
                }
            case list():
                return [self._absolute(each) for each in value]
            case _:
                return value


def _with_all_members(document: dict[str, Any]) -> dict[str, Any]:
    """The document as it is where nobody selects: what is always there is required."""

    def exact(schema: dict[str, Any]) -> dict[str, Any]:
        return {**schema, "required": sorted({*schema["required"], *schema[ALWAYS]})} if ALWAYS in schema else schema

    schemas = {name: exact(schema) for name, schema in document["components"]["schemas"].items()}
    return {"components": {"schemas": schemas}}


@cache
def described(routes: Litestar) -> DescribedApi:
    """The description of these routes, made once."""
    return DescribedApi(create_document(routes.routes, ABOUT))
