"""What no client may get through with (bad inputs of transport and JSON), and that nothing makes the server stumble."""

from __future__ import annotations

import json
import string
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import (
    FILTERS,
    GROUPS,
    MANAGED_DEVICES,
    PACKAGES,
    POLICIES,
    a_policy,
)
from tests.support.graph_requests import BAD_JSON, REUSABLE, SOMETHING, VALID, WRITES

from shieldwall.server.listening.admin_front import MAX_BODY_BYTES

JSON = {"Content-Type": "application/json"}


def check_refusal(answer: Any, status: int, code: str | None = None) -> None:
    """Look at a refusal as a whole: its shape, its names, its words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert error["message"]
    inner = error["innerError"]
    assert inner["request-id"] == answer.headers["request-id"]
    assert inner["client-request-id"] == answer.headers["client-request-id"]
    assert inner["date"].startswith("2026-11-23T")
    assert code is None or inner["code"] == code


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_json_that_two_parsers_could_read_differently_is_refused(embedded_graph: Client, body: bytes) -> None:
    for method, path in WRITES:
        started = time.process_time()
        answer = embedded_graph.request(method, path, content=body, headers=JSON)
        absent = method == "PATCH" and answer.status_code == 404
        check_refusal(answer, 404 if absent else 400)
        assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/json-patch+json"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=str,
)
def test_only_plain_json_is_read(embedded_graph: Client, headers: dict[str, str]) -> None:
    for method, path in WRITES:
        answer = embedded_graph.request(method, path, content=b"{}", headers=headers)
        check_refusal(answer, 415, "unsupportedMediaType")


def test_json_with_parameters_is_json(embedded_graph: Client) -> None:
    content = json.dumps(a_policy()).encode()
    media_type = "Application/JSON; charset=utf-8; odata.metadata=minimal"

    assert embedded_graph.post(POLICIES, content=content, headers={"Content-Type": media_type}).status_code == 201


def test_a_body_over_the_limit_is_refused(embedded_graph: Client) -> None:
    assert embedded_graph.post(POLICIES, content=b" " * (MAX_BODY_BYTES + 1), headers=JSON).status_code == 413
    check_refusal(embedded_graph.post(POLICIES, content=b" " * MAX_BODY_BYTES, headers=JSON), 400)


@pytest.mark.parametrize(
    "path",
    [
        "/v1.0",
        "/v1.0/",
        "/beta/nothing",
        "/v1.0/nobody",
        "/beta/deviceManagement/nothing",
        "/beta/deviceManagement/configurationPolicies/%00",
        "/v1.0/groups/';--",
        "/beta/deviceManagement/configurationPolicies/x/y/z",
        "/v1.0/%00",
        "/v1.0/groups/%00/members/x/y",
        "/v1.0/..%2f..%2fetc/passwd",
        "/beta/" + "x" * 4000,
    ],
    ids=lambda path: path[:40],
)
def test_an_unknown_path_is_not_found_in_graphs_shape(embedded_graph: Client, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        check_refusal(embedded_graph.request(method, path), 404, "notFound")


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "HEAD", "TRACE", "PROPFIND", "X"])
def test_another_method_is_refused_and_told_which_there_are(embedded_graph: Client, method: str) -> None:
    answer = embedded_graph.request(method, POLICIES)

    if method == "HEAD":
        assert answer.status_code == 405
    else:
        check_refusal(answer, 405, "methodNotAllowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


def test_anybody_may_ask_which_methods_there_are(embedded: AdminWorld) -> None:
    for path in (POLICIES, f"{POLICIES}/{SOMETHING}", GROUPS):
        answer = embedded.client().options(path)

        assert (answer.status_code, answer.content) == (204, b"")
        assert {"GET", "OPTIONS"} <= set(answer.headers["allow"].split(", "))


def test_elsewhere_an_unknown_path_is_a_problem_document(embedded: AdminWorld) -> None:
    for path in ("/nothing/here", f"/{SOMETHING}/oauth2/nothing"):
        answer = embedded.client().get(path, headers={"Accept": "application/json"})
        assert answer.status_code == 404
        assert answer.headers["request-id"]


@pytest.mark.parametrize("identity", ["x", "a b", "ffffffff-0000-4000-8000-00000000000g", "1" * 4000, "é"])
def test_an_id_that_is_none_is_refused(embedded_graph: Client, identity: str) -> None:
    for path in (POLICIES, GROUPS, "/v1.0/devices", MANAGED_DEVICES, FILTERS, REUSABLE):
        check_refusal(embedded_graph.get(f"{path}/{identity}"), 400, "invalidId")


@pytest.mark.parametrize(
    "query",
    [
        "$filter=nothing eq 'x'",
        "$filter=' or 1=1",
        "$orderby=nothing",
        "$search=%22nothing:x%22",
        "$top=-1",
        "$top=0",
        "$top=1000000000",
        "$top=000000000199999999",
        pytest.param(f"$top=0000000001{'9' * 4400}", id="$top of 4,410 digits"),
        "$top=1&$top=2",
        "$skiptoken=eA==",
        "$skiptoken=AAAA",
        "$skiptoken=%F0",
        "$expand=secrets",
        "$expand=settings($expand=x)",
        "$count=perhaps",
        "surprise=1",
        "%24filter=x",
    ],
)
def test_a_query_that_cannot_be_followed_is_refused(embedded_graph: Client, query: str) -> None:
    expected = {400, 200} if query == "$skiptoken=eA==" else {400}
    for path in (POLICIES, GROUPS, "/v1.0/devices", MANAGED_DEVICES, PACKAGES, FILTERS, REUSABLE, "/v1.0/organization"):
        assert embedded_graph.get(f"{path}?{query}").status_code in expected, path


@pytest.mark.parametrize("name", ["key", "secret", "package"])
def test_selecting_a_secret_is_refused(embedded_graph: Client, name: str) -> None:
    assert embedded_graph.post(PACKAGES, json={"displayName": "x"}).status_code == 201

    for option in (f"$select={name}", f"$filter={name} eq 'x'", f"$orderby={name}", f"$expand={name}"):
        check_refusal(embedded_graph.get(f"{PACKAGES}?{option}"), 400, "invalidQuery")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    members: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    return [path, *(place for key, member in members for place in places(member, (*path, key)))]


def spoiled(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """The document with another value at one place."""
    if not path:
        return other
    copy = value.copy()
    copy[path[0]] = spoiled(value[path[0]], path[1:], other)
    return copy


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_the_server_fail(graph: Client, data: st.DataObject) -> None:
    method, path, valid = data.draw(st.sampled_from(VALID))
    body = spoiled(valid, data.draw(st.sampled_from(places(valid))), data.draw(json_values))

    answer = graph.request(method, path, content=json.dumps(body).encode("utf-8", "surrogatepass"), headers=JSON)

    assert answer.status_code < 500, (method, path, body)
    if answer.status_code >= 400:
        check_refusal(answer, answer.status_code)


segments = st.sampled_from(
    [
        "deviceManagement",
        "configurationPolicies",
        "configurationPolicyTemplates",
        "configurationSettings",
        "configurationCategories",
        "assignmentFilters",
        "reusablePolicySettings",
        "conflictRules",
        "changeSet",
        "revisions",
        "changes",
        "preview",
        "import",
        "settingTemplates",
        "managedDevices",
        "onboardingPackages",
        "groups",
        "devices",
        "members",
        "$ref",
        "assign",
        "settings",
        "validate",
        "effectiveSettings",
        SOMETHING,
        f"x('{SOMETHING}')",
    ]
) | st.text(string.printable, min_size=1, max_size=12)
queries = st.dictionaries(
    st.sampled_from(["$top", "$skiptoken", "$select", "$expand", "$count", "$filter"]) | st.text(max_size=6),
    st.sampled_from(["1", "0", "settings", "id,name", "AAAA", "w6k"]) | st.text(max_size=12),
    max_size=3,
)


@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"]),
    parts=st.lists(segments, max_size=5),
    query=queries,
    body=st.binary(max_size=40),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_address_makes_the_server_fail(
    graph: Client, method: str, parts: list[str], query: dict[str, str], body: bytes
) -> None:
    path = "/beta/" + "/".join(quote(part, safe="()'$") for part in parts)

    assert graph.request(method, path, params=query, content=body, headers=JSON).status_code < 500
