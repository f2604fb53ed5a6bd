"""What a policy was, why it changed, and the way back."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import POLICIES, TO_ALL_DEVICES, a_policy, chosen, retention, sample, secrets_in
from tests.support.policies import LEVEL, RETENTION
from tests.support.samples import counted_id

from shieldwall.contract import strict_json
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page

REASON = "x-shieldwall-reason"
WHY = "Scans took too long, says Müller"


def because(reason: str) -> dict[str, str]:
    return {REASON: quote(reason)}


def create(graph: Client, **changes: Any) -> str:
    answer = graph.post(POLICIES, json=a_policy(**changes), headers=because("First"))
    assert answer.status_code == 201, answer.text
    return f"{POLICIES}/{answer.json()['id']}"


def listed(graph: Client, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = graph.get(f"{path}/revisions").json()["value"]
    return found


def test_every_revision_is_listed_newest_first_with_who_when_why_and_what_it_did(
    graph: Client, world: AdminWorld
) -> None:
    path = create(graph, option="2")
    world.clock.advance(seconds=60)
    graph.patch(path, json=a_policy("Stricter"), headers=because(WHY))
    graph.patch(path, json={"description": "no device sees this"})
    graph.patch(path, json={"settings": a_policy(option="1")["settings"]})
    graph.patch(path, json={"name": "Renamed"})

    revisions = listed(graph, path)

    assert [each["revision"] for each in revisions] == [4, 3, 2, 1]
    assert [each["class"] for each in revisions] == ["neutral", "weaken", "strengthen", None]
    assert [each["reason"] for each in revisions] == ["", "", WHY, "First"]
    assert [each["name"] for each in revisions] == ["Renamed", "Stricter", "Stricter", "Antivirus"]
    assert revisions[2]["createdDateTime"] == "2026-11-23T12:01:00.0000000Z"
    assert {each["createdBy"] for each in revisions} == {"app:Automation"}
    assert {each["settingCount"] for each in revisions} == {1}
    assert revisions[0]["digest"] == graph.get(path, params={"$expand": "shieldwall"}).json()["shieldwall"]["digest"]


@pytest.mark.parametrize("asked", ["{} eq '{}'", "startswith({}, '{}')", "contains({}, '{}')"])
def test_policies_and_revisions_are_found_by_the_digest_that_names_them(graph: Client, asked: str) -> None:
    path = create(graph)
    graph.patch(path, json=a_policy("Stricter"))
    newest, first = (each["digest"] for each in listed(graph, path))

    def found(collection: str, name: str, digest: str) -> list[Any]:
        answer = graph.get(collection, params={"$filter": asked.format(name, digest)})
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["value"]]

    assert found(POLICIES, "shieldwall/digest", newest) == [path.rpartition("/")[2]]
    assert found(POLICIES, "shieldwall/digest", first) == []
    assert found(f"{path}/revisions", "digest", first) == ["1"]
    assert found(f"{path}/revisions", "digest", "no digest") == []


def test_pages_of_revisions_say_the_same_as_the_whole(graph: Client) -> None:
    path = create(graph)
    for days in range(1, 5):
        graph.patch(path, json={"settings": [retention(days)]})
    whole = listed(graph, path)

    seen: list[dict[str, Any]] = []
    following: str | None = f"{path}/revisions?$top=2"
    while following is not None:
        page = graph.get(following).json()
        seen += page["value"]
        following = page.get("@odata.nextLink")

    assert len(seen) == 5
    assert seen == whole


def test_a_revision_is_the_whole_policy_as_of_then(graph: Client) -> None:
    path = create(graph, option="2", description="old")
    before = graph.get(path, params={"$expand": "settings"}).json()
    graph.patch(path, json=a_policy("New", description="new"))

    found = graph.get(f"{path}/revisions/1").json()

    for member in ("id", "name", "description", "platforms", "technologies", "templateReference", "settings"):
        assert found[member] == before[member]
    assert found["shieldwall"]["revision"] == 1
    assert found["shieldwall"]["reason"] == "First"


def test_changes_name_every_setting_that_differs_in_words(graph: Client) -> None:
    path = create(graph, settings=[chosen(LEVEL, f"{LEVEL}_2"), retention(7)])
    graph.patch(path, json={"settings": [chosen(LEVEL, f"{LEVEL}_0"), retention(7)]})
    graph.patch(path, json={"settings": [chosen(LEVEL, f"{LEVEL}_0")]})

    (level,) = graph.get(f"{path}/revisions/2/changes").json()["value"]
    assert level["settingDefinitionId"] == LEVEL
    assert (level["before"], level["after"], level["class"]) == ("Passive", "Realtime", "strengthen")
    assert level["displayName"]

    both = graph.get(f"{path}/revisions/3/changes", params={"since": 1}).json()["value"]
    assert [each["settingDefinitionId"] for each in both] == [LEVEL, RETENTION]
    assert (both[1]["before"], both[1]["after"]) == ("7", None)

    back = graph.get(f"{path}/revisions/1/changes", params={"since": 2}).json()["value"]
    assert [each["class"] for each in back] == ["weaken"]
    first = graph.get(f"{path}/revisions/1/changes").json()["value"]
    assert [(each["before"], each["after"]) for each in first] == [(None, "Passive"), (None, "7")]


def test_a_secret_is_told_in_no_change_and_no_revision(graph: Client) -> None:
    exported = sample("windows-edr")
    (secret,) = secrets_in(exported["settings"])
    answer = graph.post(POLICIES, json=exported)
    assert answer.status_code == 201, answer.text
    path = f"{POLICIES}/{answer.json()['id']}"

    texts = [
        answer.text,
        graph.get(path, params={"$expand": "settings"}).text,
        graph.get(f"{path}/settings").text,
        graph.get(f"{path}/revisions/1").text,
        graph.get(f"{path}/revisions/1/changes").text,
    ]

    assert not any(secret["value"] in text for text in texts)
    assert "a secret" in texts[-1]


def test_a_rollback_brings_back_the_content_as_a_new_revision(graph: Client) -> None:
    path = create(graph, option="2")
    before = graph.get(path, params={"$expand": "settings"}).json()
    graph.post(f"{path}/assign", json={"assignments": [TO_ALL_DEVICES]})
    graph.patch(path, json=a_policy("Broken"))
    old = graph.get(path).headers["etag"]

    answer = graph.post(f"{path}/rollback", json={"revision": 1, "reason": WHY}, headers={"If-Match": old})

    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (after["name"], after["settings"]) == (before["name"], before["settings"])
    assert after["shieldwall"]["revision"] == 3
    assert after["isAssigned"]
    assert listed(graph, path)[0]["reason"] == WHY
    assert answer.headers["etag"] == graph.get(path).headers["etag"]
    refused = graph.post(f"{path}/rollback", json={"revision": 1}, headers={"If-Match": old})
    assert refused.status_code == 412


def test_a_deleted_policy_can_be_read_and_brought_back(graph: Client) -> None:
    path = create(graph, option="2")
    before, old = graph.get(path, params={"$expand": "settings"}).json(), graph.get(path).headers["etag"]
    graph.post(f"{path}/assign", json={"assignments": [TO_ALL_DEVICES]})
    graph.delete(path)
    assert graph.get(path).status_code == 404
    assert [each["revision"] for each in listed(graph, path)] == [1]

    refused = graph.post(f"{path}/rollback", json={"revision": 1}, headers={"If-Match": old})
    answer = graph.post(f"{path}/rollback", json={"revision": 1})

    assert (refused.status_code, answer.status_code) == (412, 200)
    after = answer.json()
    assert (after["id"], after["name"], after["settings"]) == (before["id"], before["name"], before["settings"])
    assert (after["shieldwall"]["revision"], after["isAssigned"]) == (2, False)


def test_a_reason_stands_in_the_history_of_every_kind_of_change(graph: Client, world: AdminWorld) -> None:
    path = create(graph)
    graph.put(path, json=a_policy(option="1"), headers=because("put"))
    graph.post(f"{path}/assign", json={"assignments": []}, headers=because("assign"))
    graph.post(f"{path}/reorder", json={"priority": 3}, headers=because("reorder"))
    graph.post(f"{path}/rollback", json={"revision": 1}, headers=because("rollback"))
    assert [each["reason"] for each in listed(graph, path)] == ["rollback", "reorder", "put", "First"]
    graph.delete(path, headers=because("delete"))

    with world.services.database.read() as connection:
        events = audit.list_events(connection, world.services.tenant.id, Page(size=10))
    told = [strict_json.decode_any(event.details.encode()).get("reason") for event in events]
    assert {"First", "put", "assign", "reorder", "rollback", "delete"} <= set(told)


@pytest.mark.parametrize("reason", ["%ff", "%00", quote("x" * 1_001), "%1b"])
def test_a_reason_that_is_no_plain_text_is_refused(embedded_graph: Client, reason: str) -> None:
    answer = embedded_graph.post(POLICIES, json=a_policy(), headers={REASON: reason})

    assert answer.status_code == 400


def test_two_reasons_are_none(embedded_graph: Client) -> None:
    headers = [(REASON, "one"), (REASON, "two"), ("Content-Type", "application/json")]

    assert embedded_graph.request("POST", POLICIES, content=b"{}", headers=headers).status_code == 400


def test_a_copy_has_the_content_and_nobody_gets_it(graph: Client) -> None:
    path = create(graph, option="2", description="For servers")
    graph.post(f"{path}/assign", json={"assignments": [TO_ALL_DEVICES]})
    original = graph.get(path, params={"$expand": "settings"}).json()

    answer = graph.post(f"{path}/createCopy", json={"displayName": "A copy", "description": "Of it"})

    assert answer.status_code == 200, answer.text
    copied = answer.json()
    assert (copied["name"], copied["description"], copied["isAssigned"]) == ("A copy", "Of it", False)
    assert copied["settings"] == original["settings"]
    assert copied["id"] != original["id"]
    plain = graph.post(f"{path}/microsoft.graph.createCopy", json={"displayName": "Another"}).json()
    assert plain["description"] == "For servers"


def test_a_priority_is_given_kept_and_comes_back(graph: Client) -> None:
    path = create(graph, priorityMetaData={"priority": 9})
    assert graph.get(path).json()["priorityMetaData"] == {"priority": 9}

    answer = graph.post(f"{path}/reorder", json={"priority": 2})

    assert (answer.status_code, answer.content) == (204, b"")
    graph.patch(path, json={"name": "Renamed"})
    graph.put(path, json=a_policy("Replaced"))
    read = graph.get(path, params={"$expand": "settings"}).json()
    assert read["priorityMetaData"] == {"priority": 2}
    assert graph.post(POLICIES, json=read).json()["priorityMetaData"] == {"priority": 2}


@pytest.mark.parametrize("revision", [0, -1, 2, 2**31, -(2**31) - 1, 2**53 - 1])
def test_a_revision_that_cannot_be_is_not_found(graph: Client, revision: int) -> None:
    path = create(graph)

    assert graph.post(f"{path}/rollback", json={"revision": revision}).status_code == 404
    if revision > 0:
        assert graph.get(f"{path}/revisions/{revision}").status_code == 404
        since = graph.get(f"{path}/revisions/1/changes", params={"since": str(revision)})
        assert since.status_code in {400, 404}


@pytest.mark.parametrize("way", ["PATCH", "PUT", "changeSet"])
def test_a_priority_that_is_null_is_taken_away(graph: Client, way: str) -> None:
    path = create(graph, priorityMetaData={"priority": 9})
    body = a_policy(priorityMetaData=None)

    if way == "changeSet":
        change = {"kind": "update", "id": path.rpartition("/")[2], "policy": {"priorityMetaData": None}}
        assert graph.post(f"{POLICIES}/changeSet", json={"changes": [change]}).status_code == 200
    else:
        assert graph.request(way, path, json=body).is_success

    read = graph.get(path, params={"$expand": "shieldwall"}).json()
    assert (read["priorityMetaData"], read["shieldwall"]["revision"]) == (None, 2)


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("createCopy", {}),
        ("createCopy", {"displayName": ""}),
        ("createCopy", {"displayName": "x", "surprise": 1}),
        ("createCopy", {"displayName": "a\x1b"}),
        ("reorder", {}),
        ("reorder", {"priority": 0}),
        ("reorder", {"priority": 501}),
        ("reorder", {"priority": "3"}),
        ("reorder", {"priority": 3, "surprise": 1}),
        ("rollback", {}),
        ("rollback", {"revision": "1"}),
        ("rollback", {"revision": 1, "surprise": 1}),
        ("rollback", {"revision": 1, "reason": 7}),
        ("rollback", {"revision": 1, "reason": "a\x1b"}),
    ],
)
def test_an_action_that_cannot_be_meant_is_refused(embedded_graph: Client, action: str, body: dict[str, Any]) -> None:
    path = create(embedded_graph)
    before = embedded_graph.get(path).json()

    assert embedded_graph.post(f"{path}/{action}", json=body).status_code == 400
    assert embedded_graph.get(path).json() == before


@pytest.mark.parametrize("priority", [7, {}, {"priority": None}, {"priority": 0}, {"priority": 3, "surprise": 1}])
def test_a_priority_that_cannot_be_is_refused(embedded_graph: Client, priority: Any) -> None:
    answer = embedded_graph.post(POLICIES, json=a_policy(priorityMetaData=priority))

    assert answer.status_code == 400
    assert "priority" in answer.json()["error"]["message"]


def test_what_is_not_there_is_not_found(embedded_graph: Client) -> None:
    path = create(embedded_graph)
    for absent in (f"{POLICIES}/{counted_id('c', 1)}", path):
        number = 1 if absent != path else 2
        assert embedded_graph.get(f"{absent}/revisions/{number}").status_code == 404
        assert embedded_graph.get(f"{absent}/revisions/{number}/changes").status_code == 404
        assert embedded_graph.post(f"{absent}/rollback", json={"revision": number}).status_code == 404
    assert embedded_graph.get(f"{path}/revisions/1/changes", params={"since": 7}).status_code == 404
    assert embedded_graph.get(f"{path}/revisions/x").status_code == 404
    assert embedded_graph.get(f"{path}/revisions/{'9' * 40}").status_code == 404


@pytest.mark.parametrize("query", ["since=x", "since=1&since=2", f"since={'9' * 40}", "until=1", "$skiptoken=eA"])
def test_a_query_that_cannot_be_followed_is_refused(embedded_graph: Client, query: str) -> None:
    path = create(embedded_graph)

    assert embedded_graph.get(f"{path}/revisions/1/changes?{query}").status_code == 400
    assert embedded_graph.get(f"{path}/revisions?{query}").status_code == 400
