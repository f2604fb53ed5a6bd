"""Carrying a plan out: what is called in which order, and what is said when it stops halfway."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.declared_world import (
    a_declared_filter,
    a_declared_group,
    a_reusable_setting,
    declaration_of,
    referring,
    server_of,
    to,
)
from tests.support.graph_bodies import a_policy

from shieldwall.cli.declared.objects import Json, Kind
from shieldwall.cli.declared.planning import plan
from shieldwall.cli.declared.server import Carrying, everything_on
from shieldwall.cli.graph_session import GraphSession, RefusedError


class Recorder(GraphSession):
    """Remembers every call; hands out ids, and listings that it was given; fails at one path."""

    def __init__(self, listings: dict[str, list[Json]] | None = None, failing: str = "nowhere") -> None:
        self.calls: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self._listings = listings or {}
        self._failing = failing

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:  # noqa: ARG002 - the real one's
        noun = path.removeprefix("/beta/deviceManagement/").removeprefix("/v1.0/")
        if noun.startswith(self._failing):
            refused = RefusedError(400, "invalidPolicy", "changes[1]: no")
            refused.add_note("changes[0].settings[0]: too small")
            raise refused
        self.calls.append((method, noun))
        self.bodies.append(body)
        return {"id": f"id {len(self.calls)}", "value": self._listings.get(noun, [])}


DECLARED: list[tuple[Kind, Json]] = [
    (Kind.GROUP, a_declared_group("Web", "rule")),
    (Kind.GROUP, a_declared_group("Old")),
    (Kind.FILTER, a_declared_filter("Edge", "new")),
    (Kind.REUSABLE_SETTING, a_reusable_setting("Offices")),
    (Kind.POLICY, a_policy("P", settings=[referring("Offices")], assignments=[to("Web", only="Edge")])),
    (Kind.POLICY, a_policy("Q")),
]
THERE: list[tuple[Kind, Json]] = [
    (Kind.GROUP, a_declared_group("Old") | {"description": "Other"}),
    (Kind.GROUP, a_declared_group("Gone")),
    (Kind.FILTER, a_declared_filter("Edge", "old")),
    (Kind.REUSABLE_SETTING, a_reusable_setting("Gone")),
    (Kind.POLICY, a_policy("Gone", assignments=[to("Gone")])),
]


def carrying(session: GraphSession) -> Carrying:
    present = server_of(THERE)
    planned = plan(declaration_of(*DECLARED), present, prune=True, allow_empty=True)
    return Carrying(session, planned, present, "why")


def carry(session: GraphSession) -> Carrying:
    carried = carrying(session)
    carried.prepare()
    carried.publish()
    carried.clean_up()
    return carried


def test_what_policies_refer_to_comes_before_them_and_goes_after_them() -> None:
    session = Recorder()

    carry(session)

    assert session.calls == [
        ("POST", "groups"),
        ("PATCH", "groups/group-Old"),
        ("PATCH", "assignmentFilters/filter-Edge"),
        ("POST", "reusablePolicySettings"),
        ("POST", "configurationPolicies/changeSet"),
        ("DELETE", "reusablePolicySettings/reusable setting-Gone"),
        ("DELETE", "groups/group-Gone"),
    ]
    assert session.bodies[1] == {"description": ""}
    assert session.bodies[2] == {"rule": "new"}
    (first, _, gone) = session.bodies[4]["changes"]
    assert first["assignments"][0]["target"]["groupId"] == "id 1"
    value = first["policy"]["settings"][0]["settingInstance"]["simpleSettingCollectionValue"][0]
    assert value["value"] == "id 4"
    assert (gone["kind"], session.bodies[4]["expectedDeletes"]) == ("delete", 1)


def test_what_was_done_before_a_failure_is_said_and_changes_are_called_by_name() -> None:
    session = Recorder(failing="configurationPolicies")

    with pytest.raises(RefusedError) as refused:
        carry(session)

    assert refused.value.cause.startswith("policy 'Q': no")
    assert refused.value.__notes__ == [
        "policy 'P'.settings[0]: too small",
        "Done before that: create group 'Web'",
        "Done before that: change group 'Old'",
        "Done before that: change filter 'Edge'",
        "Done before that: create reusable setting 'Offices'",
    ]


def test_what_a_newer_server_says_besides_is_passed_over() -> None:
    group = a_declared_group("Web") | {"id": "1", "novelty": True}
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": "1", "novelty": None}
    assigned = {"assignments": [{"id": "x", "target": target}], "shieldwall": {"revision": 7}, "novelty": 1, "id": "2"}
    session = Recorder({"groups": [group], "configurationPolicies": [a_policy("P") | assigned]})

    web, policy = everything_on(session)

    assert web.document == {"displayName": "Web", "description": ""}
    assert policy.revision == 7
    assert policy.document["assignments"][0]["target"]["groupName"] == "Web"


def test_a_filter_of_the_type_none_is_no_filter() -> None:
    none = {"deviceAndAppManagementAssignmentFilterId": "0", "deviceAndAppManagementAssignmentFilterType": "none"}
    assigned = to("Web")
    assigned["target"] |= none
    there = server_of([(Kind.GROUP, a_declared_group("Web")), (Kind.POLICY, a_policy("P", assignments=[to("Web")]))])

    assert plan(declaration_of((Kind.POLICY, a_policy("P", assignments=[assigned]))), there).changes == ()
