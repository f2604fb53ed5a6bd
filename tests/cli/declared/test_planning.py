"""The laws of plans from declared objects."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.declared_world import (
    a_declared_filter,
    a_declared_group,
    a_reusable_setting,
    applied,
    declaration_of,
    read_back,
    referring,
    server_of,
    to,
    worlds,
)
from tests.support.graph_bodies import a_policy, retention, sample

from shieldwall.cli.declared.authored import authored
from shieldwall.cli.declared.comparing import comparable, differing
from shieldwall.cli.declared.objects import (
    EmptyDeclarationError,
    InvalidDeclarationError,
    Json,
    Kind,
    Present,
)
from shieldwall.cli.declared.planning import Action, Plan, plan
from shieldwall.cli.declared.writing import files_of

World = list[tuple[Kind, Json]]


def names(objects: World) -> set[tuple[Kind, str]]:
    """The names of the objects, as they identify them."""
    return {(each.kind, each.name) for each in server_of(objects)}


@given(worlds(), worlds(), st.booleans())
def test_a_plan_that_was_applied_needs_no_second_one(declared: World, there: World, prune: bool) -> None:
    declaration, server = declaration_of(*declared), server_of(there)
    try:
        first = plan(declaration, server, prune=prune, allow_empty=True)
    except InvalidDeclarationError:
        return  # a policy that stays refers to what would be deleted

    assert plan(declaration, applied(first, server), prune=prune, allow_empty=True) == Plan()


@given(worlds())
def test_what_was_exported_declares_what_is_there(there: World) -> None:
    server = server_of(there)

    assert plan(read_back(files_of(server)), server, prune=True, allow_empty=True) == Plan()


@given(worlds(), worlds(), st.booleans())
def test_only_what_is_not_declared_is_deleted_and_only_by_pruning(declared: World, there: World, prune: bool) -> None:
    server = server_of(there)
    try:
        changes = plan(declaration_of(*declared), server, prune=prune, allow_empty=True).changes
    except InvalidDeclarationError:
        assert prune
        return

    deleted = {(each.kind, each.name) for each in changes if each.action is Action.DELETE}
    assert deleted == (names(there) - names(declared) if prune else set())
    made = {(each.kind, each.name) for each in changes if each.action is Action.CREATE}
    assert made == names(declared) - names(there)


@given(worlds(), worlds(), st.randoms(use_true_random=False))
def test_the_order_of_files_and_of_the_server_makes_no_difference(
    declared: World, there: World, shuffler: random.Random
) -> None:
    def planned(wanted: World, server: list[Present]) -> list[tuple[Any, ...]]:
        return [
            (each.kind, each.action, each.name, each.members)
            for each in plan(declaration_of(*wanted), server, allow_empty=True).changes
        ]

    server = server_of(there)

    assert planned(declared, server) == planned(
        shuffler.sample(declared, len(declared)), shuffler.sample(server, len(server))
    )


@given(worlds(), worlds())
def test_what_others_refer_to_is_made_first_and_deleted_last(declared: World, there: World) -> None:
    try:
        changes = plan(declaration_of(*declared), server_of(there), prune=True, allow_empty=True).changes
    except InvalidDeclarationError:
        return

    order = {kind: number for number, kind in enumerate(Kind)}
    made = [order[each.kind] for each in changes if each.action is not Action.DELETE]
    deleted = [order[each.kind] for each in changes if each.action is Action.DELETE]
    assert made == sorted(made)
    assert deleted == sorted(deleted, reverse=True)
    assert [each.action is Action.DELETE for each in changes] == [False] * len(made) + [True] * len(deleted)


def noisy(value: Any) -> Any:
    """Say the same with everything around it that servers and tools write."""
    match value:
        case dict():
            changed = {name: noisy(member) for name, member in value.items()}
            changed |= {f"{name}@odata.type": "#x" for name in value if not name.startswith("@")}
            changed |= {"settingInstanceTemplateReference": None} if "settingDefinitionId" in value else {}
            return changed | ({"children": []} if "children" not in value and "value" in value else {})
        case list():
            return [noisy(item) for item in value]
        case _:
            return value


@given(worlds())
def test_what_tools_write_around_a_policy_makes_no_difference(there: World) -> None:
    for kind, document in there:
        if kind is Kind.POLICY:
            around = {"id": "1", "createdDateTime": "x", "settingCount": 9, "#microsoft.graph.assign": {}}
            exported = noisy(document) | around
            exported["technologies"] = f" {document['technologies']} , {document['technologies']}"
            exported["settings"] = list(reversed(exported["settings"]))
            assert comparable(kind, authored(kind, exported)) == comparable(kind, authored(kind, document))


@pytest.mark.parametrize(
    ("change", "members"),
    [
        ({"description": "Other"}, ("description",)),
        ({"platforms": "macOS"}, ("platforms",)),
        ({"settings": [retention(2)]}, ("settings",)),
        ({"settings": []}, ("settings",)),
        ({"templateReference": {"templateId": "other_1"}}, ("template",)),
        ({"roleScopeTagIds": ["1"]}, ("roleScopeTagIds",)),
        ({"roleScopeTagIds": ["0"]}, ()),
        ({"assignments": [to("Web")]}, ("assignments",)),
        ({"assignments": []}, ()),
        ({"priorityMetaData": {"priority": 3}}, ("priority",)),
        ({"priorityMetaData": None}, ()),
    ],
)
def test_every_member_that_an_author_decides_makes_a_difference(change: Json, members: tuple[str, ...]) -> None:
    there = a_policy(settings=[retention(1)]) | {"assignments": []}

    assert differing(Kind.POLICY, a_policy(settings=[retention(1)]) | change, there) == members


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (to("Web"), to("Database")),
        (to("Web"), to("Web", excluded=True)),
        (to("Web"), to("Web", only="Edge")),
        (to("Web", only="Edge"), to("Web", only="Core")),
    ],
)
def test_assignments_differ_by_group_kind_and_filter(one: Json, other: Json) -> None:
    assert differing(Kind.POLICY, a_policy(assignments=[one]), a_policy(assignments=[other])) == ("assignments",)
    assert differing(Kind.POLICY, a_policy(assignments=[one, other]), a_policy(assignments=[other, one])) == ()


def test_the_order_within_an_item_of_a_group_makes_no_difference_and_that_of_items_does() -> None:
    group = sample("linux-exclusions")["settings"][0]["settingInstance"]["groupSettingCollectionValue"]

    def exclusions(items: list[Json]) -> Json:
        policy = sample("linux-exclusions")
        policy["settings"][0]["settingInstance"]["groupSettingCollectionValue"] = items
        return policy

    def turned(value: Any) -> Any:
        match value:
            case {"children": list(children)}:
                return {**value, "children": [turned(child) for child in reversed(children)]}
            case dict():
                return {name: turned(member) for name, member in value.items()}
            case _:
                return value

    assert [turned(item) for item in group] != group
    assert differing(Kind.POLICY, exclusions([turned(item) for item in group]), exclusions(group)) == ()
    assert differing(Kind.POLICY, exclusions(list(reversed(group))), exclusions(group)) == ("settings",)


def test_a_list_of_children_that_is_empty_or_absent_is_the_same() -> None:
    setting = a_policy()["settings"][0]
    without = json.loads(json.dumps(setting))
    del without["settingInstance"]["choiceSettingValue"]["children"]

    assert differing(Kind.POLICY, a_policy(settings=[without]), a_policy(settings=[setting])) == ()


def refused(*objects: tuple[Kind, Json], there: World, prune: bool = False) -> str:
    with pytest.raises(InvalidDeclarationError) as error:
        plan(declaration_of(*objects), server_of(there), prune=prune)
    return "\n".join([error.value.cause, *error.value.__notes__])


def test_a_name_that_two_objects_have_is_refused() -> None:
    said = refused((Kind.GROUP, a_declared_group()), there=[(Kind.GROUP, a_declared_group())] * 2)

    assert "2 objects on the server are a group named 'Web'" in said


def test_two_objects_of_one_name_that_nobody_speaks_of_are_left_alone() -> None:
    there: World = [(Kind.GROUP, a_declared_group("Web"))] * 2

    assert plan(declaration_of((Kind.POLICY, a_policy())), server_of(there)).count(Action.CREATE) == 1


def test_an_assigned_group_does_not_become_dynamic() -> None:
    said = refused((Kind.GROUP, a_declared_group(rule="x")), there=[(Kind.GROUP, a_declared_group())])

    assert "The group 'Web' is assigned on the server and dynamic in groups/0.json." in said


@pytest.mark.parametrize(
    ("policy", "missing"),
    [
        (a_policy(assignments=[to("Web")]), "the group 'Web'"),
        (a_policy(assignments=[{"target": {"@odata.type": "x", "groupId": "7"}}]), "the group '7'"),
        (a_policy(settings=[referring("Offices")]), "the reusable setting 'Offices'"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(policy: Json, missing: str) -> None:
    assert f"refers to {missing}, which is neither declared nor on the server" in refused(
        (Kind.POLICY, policy), there=[]
    )


def test_a_reference_by_id_leads_to_what_is_on_the_server() -> None:
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": "group-Web"}
    policy = a_policy(assignments=[{"target": target}])

    assert plan(declaration_of((Kind.POLICY, policy)), server_of([(Kind.GROUP, a_declared_group())])).changes


def test_what_a_declared_policy_still_needs_is_not_pruned() -> None:
    there: World = [
        (Kind.GROUP, a_declared_group("Web")),
        (Kind.GROUP, a_declared_group("Other")),
        (Kind.POLICY, a_policy("P", assignments=[to("Web")])),
    ]

    said = refused((Kind.POLICY, a_policy("P")), (Kind.GROUP, a_declared_group("Other")), there=there, prune=True)

    assert "The policy 'P' refers to the group 'Web', which would be deleted; declare it." in said


THERE: World = [
    (Kind.GROUP, a_declared_group()),
    (Kind.FILTER, a_declared_filter()),
    (Kind.REUSABLE_SETTING, a_reusable_setting()),
    (Kind.POLICY, a_policy("One")),
    (Kind.POLICY, a_policy("Two")),
]


@pytest.mark.parametrize("prune", [True, False])
def test_a_directory_that_declares_nothing_needs_to_be_meant(prune: bool) -> None:
    with pytest.raises(EmptyDeclarationError, match="declares nothing"):
        plan(declaration_of(kinds=()), server_of(THERE), prune=prune)

    meant = plan(declaration_of(kinds=()), server_of(THERE), prune=prune, allow_empty=True)
    assert [each.name for each in meant.changes] == (["Two", "One"] if prune else [])


def test_deleting_every_object_of_a_kind_needs_to_be_meant() -> None:
    another = declaration_of((Kind.POLICY, a_policy("Three")), kinds=[Kind.POLICY])

    with pytest.raises(EmptyDeclarationError, match=r"would delete every policy there is \(2\)"):
        plan(another, server_of(THERE), prune=True)

    assert plan(another, server_of(THERE), prune=True, allow_empty=True).count(Action.DELETE) == 2


def test_a_kind_without_a_folder_is_not_pruned() -> None:
    found = plan(declaration_of(*THERE[3:4], kinds=[Kind.POLICY]), server_of(THERE), prune=True)

    assert [(each.kind, each.name) for each in found.changes] == [(Kind.POLICY, "Two")]
