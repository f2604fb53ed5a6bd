"""What a plan sends to the server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from tests.support.declared_world import (
    a_declared_filter,
    a_declared_group,
    a_reusable_setting,
    declaration_of,
    referring,
    server_of,
    to,
    worlds,
)
from tests.support.graph_bodies import a_policy, retention

from shieldwall.cli.declared.change_sets import change_set, countable, created, ids_of, in_names
from shieldwall.cli.declared.confirming import reasons_to_ask
from shieldwall.cli.declared.objects import InvalidDeclarationError, Json, Kind, Present
from shieldwall.cli.declared.planning import Action, plan
from shieldwall.cli.declared.references import references_of, with_ids, with_names

World = list[tuple[Kind, Json]]


def both(declared: World, there: World, *, prune: bool = False) -> tuple[Any, list[Present]]:
    server = server_of(there)
    return plan(declaration_of(*declared), server, prune=prune, allow_empty=True), server


@given(worlds(), worlds())
def test_every_policy_is_in_the_change_set_once_and_deletes_are_counted(declared: World, there: World) -> None:
    try:
        planned, server = both(declared, there, prune=True)
    except InvalidDeclarationError:
        return
    ids = ids_of(server)
    for change in planned.changes:
        if change.action is Action.CREATE:
            ids[change.kind][change.name] = f"new {change.name}"

    body = change_set(planned, ids, "why")

    entries = body["changes"]
    named = [entry.get("id") or entry["key"] for entry in entries]
    assert len(named) == len(set(named))
    assert body["expectedDeletes"] == sum(entry["kind"] == "delete" for entry in entries)
    assert sorted(named) == sorted(
        change.present.id if change.present else change.name for change in planned.of(Kind.POLICY)
    )
    assert not {word for entry in entries for _, word in references_of(entry)} - {
        word for by_name in ids.values() for word in by_name.values()
    }


@given(worlds())
def test_ids_and_names_of_references_are_exchanged_without_loss(there: World) -> None:
    server = server_of(there)
    ids = ids_of(server)
    names = {kind: {each: name for name, each in by_name.items()} for kind, by_name in ids.items()}

    for each in server:
        if each.kind is Kind.POLICY:
            assert with_names(with_ids(each.document, ids), names) == each.document


def test_a_change_says_no_more_than_what_differs() -> None:
    there: World = [
        (Kind.GROUP, a_declared_group("Web")),
        (Kind.POLICY, a_policy("Same")),
        (Kind.POLICY, a_policy("Assigned")),
        (Kind.POLICY, a_policy("Settings")),
        (Kind.POLICY, a_policy("Ordered")),
        (Kind.POLICY, a_policy("Surplus")),
    ]
    declared: World = [
        (Kind.GROUP, a_declared_group("Web")),
        (Kind.POLICY, a_policy("Same")),
        (Kind.POLICY, a_policy("Assigned", assignments=[to("Web")])),
        (Kind.POLICY, a_policy("Settings", settings=[retention(2)])),
        (Kind.POLICY, a_policy("Ordered", priorityMetaData={"priority": 7})),
        (Kind.POLICY, a_policy("New", assignments=[to("Web", excluded=True)])),
    ]
    planned, server = both(declared, there, prune=True)

    body = change_set(planned, ids_of(server), "why")

    assert {name: body[name] for name in ("reason", "expectedDeletes")} == {"reason": "why", "expectedDeletes": 1}
    entries = {entry.get("key") or entry["id"]: entry for entry in body["changes"]}
    assert set(entries) == {"policy-Assigned", "policy-Settings", "policy-Ordered", "New", "policy-Surplus"}
    assert set(entries["policy-Assigned"]) == {"kind", "id", "revision", "assignments"}
    assert entries["policy-Assigned"]["assignments"][0]["target"]["groupId"] == "group-Web"
    assert set(entries["policy-Settings"]) == {"kind", "id", "revision", "policy"}
    assert entries["policy-Settings"]["policy"] == {"settings": [retention(2)]}
    assert entries["policy-Ordered"]["policy"] == {"priorityMetaData": {"priority": 7}}
    assert entries["New"]["policy"]["description"] == ""
    assert set(entries["New"]) == {"kind", "key", "policy", "assignments"}
    assert set(entries["policy-Surplus"]) == {"kind", "id", "revision"}


def test_a_description_that_is_not_declared_is_emptied_by_saying_so() -> None:
    planned, server = both([(Kind.POLICY, a_policy("P"))], [(Kind.POLICY, a_policy("P", description="Old"))])

    (entry,) = change_set(planned, ids_of(server), "why")["changes"]

    assert entry["policy"] == {"description": ""}


def test_what_the_server_says_about_a_change_by_its_number_names_the_policy() -> None:
    said = "changes[1].settings[0]: too small, changes[7] is unknown"

    assert in_names(said, ["One", "Two"]) == "policy 'Two'.settings[0]: too small, changes[7] is unknown"


def looked_at(*objects: tuple[Kind, Json], there: World | None = None) -> Any:
    planned, server = both(list(objects), there or [])
    return countable(planned, ids_of(server), "why")


def test_what_is_new_cannot_be_counted_and_is_said() -> None:
    dynamic = looked_at(
        (Kind.GROUP, a_declared_group("Web", "rule")), (Kind.POLICY, a_policy("P", assignments=[to("Web")]))
    )
    narrowed = looked_at(
        (Kind.GROUP, a_declared_group("Web")),
        (Kind.FILTER, a_declared_filter("Edge")),
        (Kind.POLICY, a_policy("P", assignments=[to("Web", only="Edge")])),
        there=[(Kind.GROUP, a_declared_group("Web"))],
    )
    referring_policy = looked_at(
        (Kind.REUSABLE_SETTING, a_reusable_setting("Offices")),
        (Kind.POLICY, a_policy("P", settings=[referring("Offices")])),
    )

    assert dynamic.unknown == ("The policy 'P' is assigned with 'Web', which is new.",)
    assert dynamic.body["changes"][0]["assignments"] == []
    assert narrowed.unknown == ("The policy 'P' is assigned with 'Edge', which is new.",)
    assert referring_policy.unknown == ("The policy 'P' refers to 'Offices', which is new.",)
    assert referring_policy.body["changes"] == []
    assert referring_policy.names == ()
    assert narrowed.names == ("P",)
    assert not any(each.is_whole for each in (dynamic, narrowed, referring_policy))


def test_a_new_group_without_a_rule_is_empty_and_its_effect_known() -> None:
    found = looked_at((Kind.GROUP, a_declared_group("Web")), (Kind.POLICY, a_policy("P", assignments=[to("Web")])))

    assert found.is_whole
    assert found.unknown == ()
    assert found.body["changes"][0]["assignments"] == []


def test_a_changed_reusable_setting_reaches_policies_that_are_not_in_the_plan() -> None:
    found = looked_at(
        (Kind.REUSABLE_SETTING, a_reusable_setting("Offices", "::1")),
        there=[(Kind.REUSABLE_SETTING, a_reusable_setting("Offices"))],
    )

    assert found.is_whole
    assert found.unknown == ("Every policy that refers to the reusable setting 'Offices' is published again.",)


@pytest.mark.parametrize("rule", [None, "rule"])
def test_a_group_is_made_with_everything_that_graph_wants(rule: str | None) -> None:
    planned, _ = both([(Kind.GROUP, a_declared_group("Web & more", rule))], [])

    (change,) = planned.changes

    assert created(change) == {
        "displayName": "Web & more",
        "description": "",
        "mailNickname": "Webmore",
        "mailEnabled": False,
        "securityEnabled": True,
        "groupTypes": ["DynamicMembership"] if rule else [],
    } | ({"membershipRule": rule} if rule else {})


def preview(devices: int = 0, lowered: int = 0, risky: int = 0) -> Json:
    return {"devicesChanged": devices, "protectionLowered": [{}] * lowered, "connectivityRisk": [{}] * risky}


@pytest.mark.parametrize(
    ("previews", "unknown", "words"),
    [
        ([], (), []),
        ([preview(10)], (), []),
        ([preview(11)], (), ["on 11 devices"]),
        ([preview(6), preview(5)], (), ["on 11 devices"]),
        ([preview(1, lowered=2)], (), ["in 2 settings"]),
        ([preview(1, risky=1)], (), ["by 1 setting."]),
        ([preview()], ("Something.",), ["known beforehand"]),
        ([preview(99, 1, 1)], ("Something.",), ["99 devices", "lowers", "cut devices off", "known beforehand"]),
    ],
)
def test_somebody_is_asked_about_many_devices_lowered_protection_risk_and_what_is_unknown(
    previews: list[Json], unknown: tuple[str, ...], words: list[str]
) -> None:
    reasons = reasons_to_ask(previews, unknown, threshold=10)

    assert len(reasons) == len(words)
    assert all(word in reason for word, reason in zip(words, reasons, strict=True)), json.dumps(reasons)
