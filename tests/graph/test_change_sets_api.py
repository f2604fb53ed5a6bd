"""Several changes of policies at once: all of them or none."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.admin import Client
from tests.support.graph_bodies import GROUPS, POLICIES, TO_ALL_DEVICES, a_group, a_policy, retention, to_group
from tests.support.samples import counted_id

CHANGE_SET = f"{POLICIES}/changeSet"
ABSENT = counted_id("c", 1)


def create(graph: Client, name: str) -> str:
    found: str = graph.post(POLICIES, json=a_policy(name)).json()["id"]
    return found


def test_changes_take_effect_together_and_answer_in_their_order(graph: Client) -> None:
    kept, gone = create(graph, "Kept"), create(graph, "Gone")
    group = graph.post(GROUPS, json=a_group()).json()["id"]

    answer = graph.post(
        CHANGE_SET,
        json={
            "reason": "Quarterly review",
            "expectedDeletes": 1,
            "changes": [
                {"kind": "create", "key": "new", "policy": a_policy("New"), "assignments": [TO_ALL_DEVICES]},
                {"kind": "delete", "id": gone, "revision": 1},
                {"kind": "update", "id": kept, "revision": 1, "policy": {"name": "Renamed"}},
                {"kind": "update", "id": kept, "policy": {"settings": [retention(7)]}},
                {"kind": "update", "id": kept, "assignments": [to_group(group)]},
                {"kind": "update", "key": "new", "policy": {"description": "made here"}},
            ],
        },
    )

    assert answer.status_code == 200, answer.text
    made, deleted, renamed, *_, again = answer.json()["value"]
    assert (made["name"], made["description"], made["isAssigned"]) == ("New", "made here", True)
    assert deleted == {"id": gone, "name": "Gone", "@removed": {"reason": "deleted"}}
    assert (renamed["name"], renamed["settingCount"]) == ("Renamed", 1)
    assert renamed["shieldwall"]["revision"] == 2, "one revision, however many changes"
    assert [each["target"]["groupId"] for each in renamed["assignments"]] == [group]
    assert again["id"] == made["id"]
    assert graph.get(f"{POLICIES}/{gone}").status_code == 404
    assert graph.get(f"{POLICIES}/{kept}", params={"$expand": "settings,assignments,shieldwall"}).json() == renamed
    assert graph.get(f"{POLICIES}/{kept}/revisions").json()["value"][0]["reason"] == "Quarterly review"


@pytest.mark.parametrize(
    ("broken", "code", "place"),
    [
        ({"kind": "update", "id": ABSENT, "policy": {"name": "x"}}, 404, "changes[1]"),
        ({"kind": "create", "policy": a_policy("")}, 400, "changes[1]"),
        ({"kind": "create", "policy": a_policy(option="seldom")}, 400, "changes[1]"),
        ({"kind": "create", "policy": a_policy(surprise=1)}, 400, "surprise"),
        ({"kind": "create", "policy": 7}, 400, "policy"),
        ({"kind": "create"}, 400, "policy"),
        ({"kind": "create", "policy": a_policy(), "id": ABSENT}, 400, "'id'"),
        ({"kind": "create", "policy": a_policy(), "assignments": [to_group(ABSENT)]}, 400, "changes[1]"),
        ({"kind": "create", "policy": a_policy(), "assignments": {}}, 400, "assignments"),
        ({"kind": "create", "policy": a_policy(), "key": 7}, 400, "changes[1]"),
        ({"kind": "update", "policy": {"name": "x"}}, 400, "changes[1]"),
        ({"kind": "update", "key": "nobody", "policy": {"name": "x"}}, 400, "nobody"),
        ({"kind": "delete", "id": "x"}, 400, "changes[1]"),
        ({"kind": "delete", "key": "x"}, 400, "'key'"),
        ({"kind": "rename"}, 400, "rename"),
        ({"kind": 7}, 400, "kind"),
        (7, 400, "changes[1]"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_one_broken_change_undoes_all_of_them(graph: Client, broken: Any, code: int, place: str) -> None:
    first = create(graph, "First")
    before = graph.get(f"{POLICIES}/{first}", params={"$expand": "settings"}).json()
    changes = [{"kind": "update", "id": first, "policy": {"name": "Changed"}}, broken]

    answer = graph.post(CHANGE_SET, json={"changes": changes, "expectedDeletes": 0})

    assert answer.status_code == code, answer.text
    assert place in answer.text
    assert graph.get(f"{POLICIES}/{first}", params={"$expand": "settings"}).json() == before
    assert len(graph.get(POLICIES).json()["value"]) == 1


@pytest.mark.parametrize("expected", [0, 2, None, "1", True])
def test_deletes_are_counted(embedded_graph: Client, expected: Any) -> None:
    gone = create(embedded_graph, "Gone")
    body = {"expectedDeletes": expected, "changes": [{"kind": "delete", "id": gone}]}

    answer = embedded_graph.post(CHANGE_SET, json=body)

    assert answer.status_code == 400
    assert embedded_graph.get(f"{POLICIES}/{gone}").status_code == 200
    body.pop("expectedDeletes")
    assert embedded_graph.post(CHANGE_SET, json=body).status_code == 400


def test_a_policy_that_somebody_else_saved_in_between_stops_the_set(embedded_graph: Client) -> None:
    policy = create(embedded_graph, "Policy")
    embedded_graph.patch(f"{POLICIES}/{policy}", json={"name": "Renamed"})
    for change in ({"kind": "update", "policy": {"name": "x"}}, {"kind": "delete"}):
        body = {"expectedDeletes": int("policy" not in change), "changes": [change | {"id": policy, "revision": 1}]}

        assert embedded_graph.post(CHANGE_SET, json=body).status_code == 412


def test_a_policy_of_the_same_set_is_at_no_revision(embedded_graph: Client) -> None:
    created = {"kind": "create", "key": "k" * 1_000, "policy": a_policy("New")}
    updated = {"kind": "update", "key": "k" * 1_000, "revision": 7, "policy": {"name": "Newer"}}

    for changes, cause in (([created, updated], "no revision yet"), ([created, created], f"called {'k' * 64!r}.")):
        refused = embedded_graph.post(CHANGE_SET, json={"changes": changes})
        assert refused.status_code == 400
        assert "changes[1]: " in refused.json()["error"]["message"]
        assert cause in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"changes": []},
        {"changes": {}},
        {"changes": [], "surprise": 1},
        {"changes": [{"kind": "delete", "id": ABSENT}] * 2, "expectedDeletes": 2},
        {"changes": [{"kind": "delete", "id": ABSENT}], "expectedDeletes": 1, "reason": 7},
        {"changes": [{"kind": "delete", "id": ABSENT}], "expectedDeletes": 1, "reason": "a\x1b"},
    ],
)
def test_a_set_that_cannot_be_meant_is_refused(embedded_graph: Client, body: dict[str, Any]) -> None:
    assert embedded_graph.post(CHANGE_SET, json=body).status_code in {400, 404}
