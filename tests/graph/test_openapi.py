"""The API's description: it is valid, it holds every route and nothing else, and everybody may have it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.routes import HTTPRoute
from openapi_spec_validator import validate
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.described import DescribedApi, UndescribedAnswerError, described
from tests.support.graph_bodies import POLICIES, a_policy
from tests.support.graph_routes import SOMETHING

from shieldwall.server.access.authorization import authorization_of
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.openapi.answers import HEADERS, MEANINGS
from shieldwall.server.openapi.components import AmbiguousComponentError, Components
from shieldwall.server.openapi.description import described_routes
from shieldwall.server.openapi.document import SCHEME
from shieldwall.server.openapi.permission_words import in_words
from shieldwall.server.openapi.shapes import TEXT, Component, record

Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def document(embedded: AdminWorld) -> dict[str, Any]:
    return described(embedded.framework).document


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_every_route_of_the_framework_is_described_and_nothing_else(
    embedded: AdminWorld, document: dict[str, Any]
) -> None:
    served = {
        (str(method), route.path_format)
        for route in embedded.framework.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS" and handler.opt.get("description") != "none"
    }

    assert {(method, path) for method, path, _ in operations(document)} == served
    assert not any(path.startswith(("/static", "/sign-in", "/devices", "/policies")) for _, path in served)


def test_every_operation_says_what_it_does_and_who_may(embedded: AdminWorld, document: dict[str, Any]) -> None:
    routes = {(each.method, each.path): each for each in described_routes(embedded.framework.routes)}
    for method, path, operation in operations(document):
        permissions = authorization_of(routes[method, path].handler.opt).permissions
        assert operation["summary"].endswith("."), path
        assert [{SCHEME: [each]} for each in sorted(permissions)] == operation["security"], path
        assert ("401" in operation["responses"]) or not permissions, path
    assert all(tag["description"] for tag in document["tags"])


def test_both_versions_of_graph_are_described_alike(document: dict[str, Any]) -> None:
    versions = [
        {
            (method, path.removeprefix(prefix)): {**operation, "operationId": ""}
            for method, path, operation in operations(document)
            if path.startswith(f"{prefix}/")
        }
        for prefix in ("/v1.0", "/beta")
    ]

    assert versions[0] == versions[1]


def test_methods_that_are_not_described_are_refused_with_those_that_are(
    embedded: AdminWorld, document: dict[str, Any]
) -> None:
    with embedded.client() as client:
        for path, methods in document["paths"].items():
            if not path.startswith("/beta/"):
                continue
            method = next(each for each in ("PATCH", "DELETE", "PUT", "POST") if each.lower() not in methods)
            answer = client.request(method, re.sub(r"\{\w+\}", SOMETHING, path))
            allowed = set(re.split(r",\s*", answer.headers.get("allow", "")))
            assert answer.status_code == 405, (method, path)
            assert allowed - {"OPTIONS"} == {each.upper() for each in methods}, (method, path)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = str(document)
    for kind, name in re.findall(r"'#/components/(\w+)/([^']+)'", text):
        assert name in document["components"][kind], (kind, name)
    for kind in ("schemas", "responses", "parameters"):
        for name in document["components"][kind]:
            assert f"'#/components/{kind}/{name}'" in text, f"{kind} {name} is there for nothing"


def test_what_we_send_has_no_members_that_are_not_described(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        if "x-shieldwall-always" in schema:
            assert schema["additionalProperties"] is False, name


def test_every_status_and_header_that_is_described_has_words(document: dict[str, Any]) -> None:
    for name, response in document["components"]["responses"].items():
        assert response["description"] == MEANINGS[int(name[-3:])], name
    assert set(document["components"]["headers"]) == set(HEADERS)


def test_the_document_is_public_and_kept_by_those_who_have_it(embedded: AdminWorld) -> None:
    with embedded.client() as client:
        answer = client.get("/openapi.json")
        kept = client.get("/openapi.json", headers={"If-None-Match": answer.headers["etag"]})
        other = client.get("/openapi.json", headers={"If-None-Match": '"other"'})

    assert answer.json()["openapi"] == "3.1.0"
    assert answer.json()["servers"] == [{"url": PUBLIC_URL}]
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert (kept.status_code, kept.content, other.status_code) == (304, b"", 200)
    assert "fab00000" not in answer.text, "nothing of a tenant is in it"


def test_people_find_routes_by_words(embedded: AdminWorld) -> None:
    with embedded.client() as client:
        whole = client.get("/docs/api")
        found = client.get("/docs/api", params={"q": "createcopy DeviceManagementConfiguration"})
        nothing = client.get("/docs/api", params={"q": '"><script>alert(1)</script>'})

    assert whole.headers["content-type"].startswith("text/html")
    assert "script-src" not in whole.headers["content-security-policy"]
    assert "default-src 'none'" in whole.headers["content-security-policy"]
    assert "<script" not in whole.text
    assert "/deviceManagement/configurationPolicies/{policy_id}/createCopy" in found.text
    assert "1 route " in found.text
    assert "Nothing has all of these words." in nothing.text
    assert "<script" not in nothing.text


def test_permissions_are_told_in_words() -> None:
    words = in_words(PERMISSIONS)

    assert words["Group.ReadWrite.All"] == "Read and change groups."
    assert all(text.endswith(".") and "{" not in text for text in words.values())


def test_two_schemas_of_one_name_are_a_mistake() -> None:
    components = Components()
    components.placed(Component("Same", record({"a": TEXT})))
    components.placed(Component("Same", record({"a": TEXT})))

    with pytest.raises(AmbiguousComponentError, match="Same"):
        components.placed(Component("Same", record({"b": TEXT})))


def test_an_answer_that_the_document_does_not_know_is_found(embedded: AdminWorld, embedded_graph: Client) -> None:
    """The guard of all other tests is one that bites."""
    api = described(embedded.framework)
    less = copy.deepcopy(api.document)
    del less["components"]["schemas"]["Policy"]["properties"]["name"]
    answer = embedded_graph.post(POLICIES, json=a_policy("Described"))

    api.check(answer.request, answer)
    with pytest.raises(UndescribedAnswerError, match="'name' was unexpected"):
        DescribedApi(less).check(answer.request, answer)
    answer.status_code = 202
    with pytest.raises(UndescribedAnswerError, match="this status is not described"):
        api.check(answer.request, answer)
