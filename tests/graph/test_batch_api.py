"""Batches: each request is decided for itself, in order, and a batch is no way round anything."""

from __future__ import annotations

import base64
import json
import time
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import GROUPS, PACKAGES, POLICIES, a_group, a_policy
from tests.support.samples import TENANT_ID

from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.access.throttling import Limits
from shieldwall.server.graph import batch_calls
from shieldwall.server.graph.batch_plan import MOST_ITEMS, BatchItem, InvalidBatchError, stages
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page

BATCH = "/v1.0/$batch"
JSON = {"Content-Type": "application/json"}


def item(name: Any, method: str = "GET", url: str = "/groups", **more: Any) -> dict[str, Any]:
    return {"id": name, "method": method, "url": url, **more}


def making(name: Any, display_name: str, **more: Any) -> dict[str, Any]:
    return item(name, "POST", body=a_group(display_name), headers=JSON, **more)


def answers(client: Client, *items: dict[str, Any], path: str = BATCH) -> dict[str, Any]:
    answer = client.post(path, json={"requests": list(items)})
    assert answer.status_code == 200, answer.text
    told = answer.json()["responses"]
    assert len(told) == len(items)
    return {each["id"]: each for each in told}


def test_requests_are_made_in_order_and_answered_each(graph: Client) -> None:
    told = answers(
        graph,
        item("before"),
        making("make", "First"),
        item("after", url="groups?$select=displayName"),
        item("policies", url="/v1.0/deviceManagement/configurationPolicies/"),
        item(5, url="/organization"),
        item("odd", url="groups('x')"),
    )

    assert [told[name]["status"] for name in ("before", "make", "after", "policies", "5", "odd")] == [
        200, 201, 200, 200, 200, 400,
    ]  # fmt: skip
    assert told["before"]["body"]["value"] == []
    assert [each["displayName"] for each in told["after"]["body"]["value"]] == ["First"]
    assert told["make"]["headers"]["Content-Type"] == "application/json"
    assert told["odd"]["body"]["error"]["innerError"]["request-id"] == told["odd"]["headers"]["request-id"]
    assert told["5"]["body"]["value"][0]["id"] == TENANT_ID


def test_what_waits_for_another_comes_after_it_and_falls_with_it(graph: Client) -> None:
    told = answers(
        graph,
        item("list", dependsOn=["late"]),
        item("late", "POST", body=a_group("Late"), headers=JSON),
        item("bad", "POST", body={"displayName": 7}, headers=JSON),
        item("falls", dependsOn=["bad", "late"]),
        making("falls too", "Never", dependsOn=["falls"]),
        item("stays", dependsOn=["late"]),
    )

    assert [each["displayName"] for each in told["list"]["body"]["value"]] == ["Late"]
    assert {name: each["status"] for name, each in told.items()} == {
        "list": 200, "late": 201, "bad": 400, "falls": 424, "falls too": 424, "stays": 200,
    }  # fmt: skip
    assert told["falls"]["body"]["error"]["code"] == "FailedDependency"
    assert len(graph.get(GROUPS).json()["value"]) == 1


def test_each_request_has_the_rights_of_its_caller_and_no_others(world: AdminWorld) -> None:
    with (
        closing(world.application_client(*PERMISSIONS)) as owner,
        closing(world.application_client("Group.Read.All")) as reader,
    ):
        stolen = {"Authorization": owner.headers["Authorization"], "Cookie": "session=x", "Host": "evil.example"}
        told = answers(
            reader,
            item("read"),
            making("make", "X"),
            item("policies", url="/deviceManagement/configurationPolicies"),
            item("steal", "POST", body=a_group("Stolen"), headers=JSON | stolen),
        )
        assert {name: each["status"] for name, each in told.items()} == {
            "read": 200, "make": 403, "policies": 403, "steal": 403,
        }  # fmt: skip
        assert owner.get(GROUPS).json()["value"] == []
    assert world.client().post(BATCH, json={"requests": [item("x")]}).status_code == 401


def test_a_batch_leads_to_no_other_door(embedded_graph: Client) -> None:
    urls = [
        "https://localhost:8443/v1.0/groups",
        "//localhost:8443/v1.0/groups",
        "/$batch",
        "/%24batch",
        "/v1.0/$BATCH/",
        "/graph.$batch",
        "microsoft.graph.%24Batch/",
        "groups#x",
        "gro ups",
        "/gr\u00fcn",
    ]
    for url in urls:
        inner = {"requests": [item("y")]}
        (told,) = answers(embedded_graph, item("x", "POST", url, body=inner, headers=JSON)).values()
        assert told["status"] == 400, url
    for url in ("/../metrics", "/../sign-in", "/%2e%2e/sign-in", "/beta/groups", f"/../{TENANT_ID}/oauth2/v2.0/token"):
        (told,) = answers(embedded_graph, item("x", url=url)).values()
        assert told["status"] == 404, url


def test_a_request_says_what_its_body_is(embedded_graph: Client) -> None:
    told = answers(
        embedded_graph,
        item("no type", "POST", body=a_group("A")),
        item("get", body={}, headers=JSON),
        item("two", "POST", body=a_group("A"), headers=JSON | {"content-type": "application/json"}),
        item("text", "POST", body=base64.b64encode(b"plain").decode(), headers={"Content-Type": "text/plain"}),
        item("not base64", "POST", body="%%%", headers={"Content-Type": "text/plain"}),
        item("header", headers={"Bad Name": "x"}),
        item("value", headers={"Prefer": "a\r\nX-Injected: y"}),
        item("method", "BREW"),
        item("nothing", "POST"),
    )

    assert {name: each["status"] for name, each in told.items()} == {
        "no type": 400, "get": 400, "two": 400, "text": 415, "not base64": 400, "header": 400, "value": 400,
        "method": 400, "nothing": 415,
    }  # fmt: skip


def test_states_and_places_come_along(embedded_graph: Client) -> None:
    policy = embedded_graph.post(POLICIES, json=a_policy("P")).json()["id"]
    path = f"/deviceManagement/configurationPolicies/{policy}"
    told = answers(
        embedded_graph,
        item("get", url=path),
        item("patch", "PATCH", path, body={"name": "Q"}, headers=JSON | {"If-Match": 'W/"old"'}),
        item("delete", "DELETE", path),
        path="/beta/$batch",
    )
    assert told["get"]["headers"]["ETag"].startswith('W/"')
    assert told["patch"]["status"] == 412
    assert (told["delete"]["status"], "body" in told["delete"]) == (200, False)


def test_what_is_not_json_comes_in_base64(embedded_graph: Client) -> None:
    (told,) = answers(
        embedded_graph, item("x", url="/deviceManagement/machines/export?format=csv"), path="/beta/$batch"
    ).values()
    assert told["status"] == 200
    assert b"," in base64.b64decode(told["body"])


def test_an_answer_that_is_too_large_is_not_carried(embedded_graph: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_calls, "LARGEST_ANSWER", 500)
    long = a_group() | {"description": "x" * 900}
    told = answers(
        embedded_graph, item("make", "POST", body=long, headers=JSON), item("list"), item("organization", url="/x")
    )
    assert (told["list"]["status"], told["list"]["body"]["error"]["code"]) == (413, "RequestEntityTooLarge")
    assert told["make"]["status"] == 201, "what was done is not told as a failure"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"requests": []},
        {"requests": {}},
        {"requests": [item(str(number)) for number in range(MOST_ITEMS + 1)]},
        {"requests": [item("a"), item("a")]},
        {"requests": [item(1), item("1")]},
        {"requests": [item("")]},
        {"requests": [item("x" * 65)]},
        {"requests": [item(True)]},
        {"requests": [item(1.5)]},
        {"requests": [item("a", dependsOn=["a"])]},
        {"requests": [item("a", dependsOn=["b"]), item("b", dependsOn=["a"])]},
        {"requests": [item("a", dependsOn=["c"])]},
        {"requests": [item("a", surprise=1)]},
        {"requests": [item("a", headers={"X": 1})]},
        {"requests": [{"id": "a", "method": "GET"}]},
        {"requests": [item("a", url="")]},
        {"requests": [item("a", url="/" + "x" * 9000)]},
        {"requests": [item("a")], "surprise": 1},
    ],
    ids=lambda body: str(body)[:50],
)
def test_a_batch_that_cannot_be_read_or_ordered_does_nothing(embedded_graph: Client, body: Any) -> None:
    answer = embedded_graph.post(BATCH, content=json.dumps(body).encode(), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (400, "invalidBatch")


def test_the_requests_of_a_batch_are_counted_one_by_one(world: AdminWorld) -> None:
    limited = replace(world.services, settings=replace(world.services.settings, limits=Limits(app_requests=8)))
    world = replace(world, services=limited)
    with closing(world.application_client(*PERMISSIONS)) as client:
        told = answers(client, *(item(str(number)) for number in range(12)))
        statuses = sorted(each["status"] for each in told.values())
        assert statuses == [200] * 7 + [429] * 5, "the batch itself is one of the eight"
        refused = next(each for each in told.values() if each["status"] == 429)
        assert refused["headers"]["Retry-After"] == "3"
        assert refused["body"]["error"]["code"] == "TooManyRequests"
        whole = client.post(BATCH, json={"requests": [item("x")]})
        assert (whole.status_code, whole.headers["retry-after"]) == (429, "3")


def test_every_request_of_a_batch_stands_in_the_audit_trail_and_in_the_log(
    graph: Client, world: AdminWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(graph, making("a", "One"), making("b", "Two"))
    with world.services.database.read() as connection:
        found = [each for each in audit.list_events(connection, TENANT_ID, Page()) if each.activity == "group.created"]
    assert {each.actor for each in found} == {"app:Automation"}
    assert len(found) == 2
    assert capsys.readouterr().out.count("route=/v1.0/groups ") == 2


def test_twenty_requests_need_no_more_than_a_few_threads(embedded_graph: Client) -> None:
    started = time.monotonic()
    told = answers(
        embedded_graph,
        *(item(str(number), url=PACKAGES.removeprefix("/beta")) for number in range(20)),
        path="/beta/$batch",
    )
    assert {each["status"] for each in told.values()} == {200}
    assert time.monotonic() - started < 30


@st.composite
def items(draw: st.DrawFn) -> list[BatchItem]:
    names = draw(st.lists(st.text("abcdefgh", min_size=1, max_size=2), min_size=1, max_size=MOST_ITEMS, unique=True))
    order = draw(st.permutations(range(len(names))))
    return [
        BatchItem(
            id=name,
            method=draw(st.sampled_from(["GET", "POST"])),
            url="/groups",
            depends_on=tuple(
                names[other]
                for other in draw(st.lists(st.integers(0, len(names) - 1), max_size=3))
                if order[other] < order[place]
            ),
        )
        for place, name in enumerate(names)
    ]


@given(items())
def test_any_batch_without_a_circle_has_an_order_that_respects_it(batch: list[BatchItem]) -> None:
    plan = stages(batch)

    assert sorted(each.name for stage in plan for each in stage) == sorted(each.name for each in batch)
    done: set[str] = set()
    for stage in plan:
        assert len(stage) == 1 or all(each.reads for each in stage)
        assert all(done.issuperset(each.awaited) for each in stage)
        done |= {each.name for each in stage}
    if not any(each.awaited for each in batch):
        assert [each for stage in plan for each in stage] == batch


@given(items(), st.data())
def test_a_circle_is_refused(batch: list[BatchItem], data: st.DataObject) -> None:
    circle = data.draw(st.lists(st.sampled_from(range(len(batch))), min_size=1, unique=True))
    for place, other in zip(circle, [*circle[1:], circle[0]], strict=True):
        each = batch[place]
        batch[place] = BatchItem(
            id=each.id, method=each.method, url=each.url, depends_on=(*each.awaited, batch[other].name)
        )
    with pytest.raises(InvalidBatchError):
        stages(batch)
