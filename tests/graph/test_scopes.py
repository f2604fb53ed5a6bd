"""What somebody narrowed by scope tags and scope groups sees and may do, on real objects, on both engines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from httpx import Response
from tests.graph.test_isolation import BODIES, key_of
from tests.graph.test_roles import EVERY_ACTION
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import (
    FILTERS,
    GROUPS,
    MANAGED_DEVICES,
    POLICIES,
    TO_ALL_DEVICES,
    a_filter,
    a_group,
    a_policy,
    to_group,
)
from tests.support.graph_bodies import narrowed as with_filter
from tests.support.graph_routes import SOMETHING, Route, routes_of
from tests.support.people import a_person, token_client
from tests.support.samples import a_device, counted_id, device_id

from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.server.access.roles import HELP_DESK_OPERATOR
from shieldwall.server.storage.access import scope_tags
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import device_events, devices
from shieldwall.server.storage.devices.device_events import EventRecord
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.trust.device_key import DeviceKey, public_key_bytes

TAGS = "/beta/deviceManagement/roleScopeTags"
REACHES = {"OBJECT", "LISTED", "NAMED"}


@dataclass(frozen=True)
class Half:
    """One of two halves of a tenant: what carries one scope tag."""

    tag: str
    policy: str
    filter: str
    group: GroupId
    device: DeviceId
    alert: str
    event: str

    @property
    def ids(self) -> dict[str, str]:
        """The ids by the parameters of paths."""
        return {
            "policy_id": self.policy,
            "filter_id": self.filter,
            "group_id": self.group,
            "device_id": self.device,
            "named": self.device,
            "member_id": self.device,
            "alert_id": self.alert,
            "device_event_id": self.event,
            "tag_id": self.tag,
        }


@dataclass(frozen=True)
class Halves:
    """A tenant in two halves, and somebody who may everything in one of them."""

    world: AdminWorld
    own: Half
    foreign: Half


def half(world: AdminWorld, admin: Client, number: int, word: str) -> Half:
    tag = admin.post(TAGS, json={"displayName": f"{word} tag"}).json()["id"]
    policy = admin.post(POLICIES, json=a_policy(f"{word} policy", roleScopeTagIds=[tag])).json()["id"]
    filtering = admin.post(FILTERS, json=a_filter(f"{word} filter", roleScopeTags=[tag])).json()["id"]
    group = GroupId(admin.post(GROUPS, json=a_group(f"{word} group")).json()["id"])
    with world.writing() as connection:
        device = world.manager.join(connection, number, display_name=f"{word}-device")
        alert = Alert(
            id=counted_id("b", number),
            tenant_id=world.services.tenant.id,
            device_id=device,
            kind="test",
            severity=Severity.LOW,
            title=f"{word} alert",
            details="{}",
            first_at=world.clock.now(),
            last_at=world.clock.now(),
        )
        alerts.raise_alert(connection, alert)
        event = EventRecord(
            id=counted_id("e", number),
            tenant_id=world.services.tenant.id,
            device_id=device,
            at=world.clock.now(),
            received_at=world.clock.now(),
            kind="test.happened",
            severity="low",
            title=f"{word} event",
            subject="",
            details="{}",
        )
        device_events.add_new(connection, device, [event])
    member = {"@odata.id": f"https://x/devices/{device}"}
    assert admin.post(f"{GROUPS}/{group}/members/$ref", json=member).status_code == 204
    target = {"target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group}}
    assert admin.post(f"{TAGS}/{tag}/assign", json={"assignments": [target]}).status_code == 200
    return Half(tag=tag, policy=policy, filter=filtering, group=group, device=device, alert=alert.id, event=event.id)


@pytest.fixture
def halves(world: AdminWorld) -> Halves:
    with closing(token_client(world, a_person(world))) as admin:
        return Halves(world, half(world, admin, 1, "own"), half(world, admin, 2, "foreign"))


@pytest.fixture
def narrowed(halves: Halves) -> Iterator[Client]:
    """Somebody who may everything, where their tag is."""
    person = a_person(halves.world, EVERY_ACTION, tags=[halves.own.tag])
    with closing(token_client(halves.world, person)) as client:
        yield client


def filled(route: Route, ids: dict[str, str]) -> str:
    known = {"revision": "1", **ids}
    return re.sub(r"\{(\w+)\}", lambda name: known.get(name[1], SOMETHING), route.template)


def shape(answer: Response, ids: dict[str, str]) -> tuple[str, str]:
    """What an error says, without the ids that it speaks of."""
    error = answer.json()["error"]
    names = "|".join(sorted({*ids.values()}, key=len, reverse=True))
    return error["innerError"]["code"], re.sub(rf"\b(?:{names})\b", "ID", error["message"])


def test_nothing_that_is_listed_or_shown_tells_of_the_other_half(halves: Halves, narrowed: Client) -> None:
    told = []
    foreign = {*halves.foreign.ids.values()} - {halves.foreign.tag}
    for route in routes_of(halves.world):
        if route.method != "GET" or not route.template.startswith("/beta/"):
            continue
        answer = narrowed.get(filled(route, halves.own.ids))
        if "foreign" in answer.text or any(each in answer.text for each in foreign):
            told.append((route.template, answer.text[:300]))
    assert not told, "\n".join(map(str, told))


def test_a_policy_out_of_sight_that_reaches_a_seen_device_has_neither_name_nor_id(
    halves: Halves, narrowed: Client
) -> None:
    with closing(token_client(halves.world, a_person(halves.world))) as admin:
        for policy in (halves.own.policy, halves.foreign.policy):
            body = {"assignments": [to_group(halves.own.group)]}
            assert admin.post(f"{POLICIES}/{policy}/assign", json=body).status_code == 200

    answer = narrowed.get(f"{MANAGED_DEVICES}/{halves.own.device}/effectiveSettings")

    assert answer.status_code == 200
    (setting,) = answer.json()["value"]
    assert {each["id"] for each in setting["policies"]} == {halves.own.policy, None}
    assert "foreign" not in answer.text
    assert halves.foreign.policy not in answer.text


def test_what_is_not_seen_is_answered_like_what_is_not_there(halves: Halves, narrowed: Client) -> None:
    wrong = []
    for route in routes_of(halves.world):
        named = {name for name in halves.own.ids if f"{{{name}}}" in route.template}
        if not named or route.authorization.reach.name not in REACHES or not route.template.startswith("/beta/"):
            continue
        absent_ids = dict.fromkeys(halves.own.ids, SOMETHING) | {"tag_id": "4711"}
        for body in (BODIES.get(key_of(route)), None):
            unseen = narrowed.request(route.method, filled(route, halves.foreign.ids), json=body)
            absent = narrowed.request(route.method, filled(route, absent_ids), json=body)
            alike = shape(unseen, halves.foreign.ids) == shape(absent, absent_ids)
            if unseen.status_code != 404 or not alike:
                wrong.append((route.method, route.template, unseen.status_code, unseen.text[:200], absent.text[:200]))
    assert not wrong, "\n".join(map(str, wrong))


def test_what_is_seen_is_shown(halves: Halves, narrowed: Client) -> None:
    for path in (
        f"{POLICIES}/{halves.own.policy}",
        f"{FILTERS}/{halves.own.filter}",
        f"{GROUPS}/{halves.own.group}",
        f"{MANAGED_DEVICES}/{halves.own.device}",
        f"/beta/devices/{halves.own.device}",
        f"/beta/security/alerts_v2/{halves.own.alert}",
        f"/beta/security/deviceEvents/{halves.own.event}",
        f"{TAGS}/{halves.own.tag}",
    ):
        assert narrowed.get(path).status_code == 200, path
    for path, name in (
        (POLICIES, halves.own.policy),
        (FILTERS, halves.own.filter),
        (GROUPS, halves.own.group),
        (MANAGED_DEVICES, halves.own.device),
        ("/beta/security/alerts_v2", halves.own.alert),
        ("/beta/security/deviceEvents", halves.own.event),
    ):
        answer = narrowed.get(path, params={"$count": "true"}).json()
        assert [each["id"] for each in answer["value"]] == [name], path
        assert answer["@odata.count"] == 1, path


def test_devices_are_counted_as_far_as_they_are_seen(narrowed: Client) -> None:
    overview = narrowed.get("/beta/deviceManagement/managedDeviceOverview").json()
    facets = narrowed.get("/beta/deviceManagement/machines/facets").json()
    exported = narrowed.get("/beta/deviceManagement/machines/export?format=csv").text

    assert overview["enrolledDeviceCount"] <= 1
    assert facets["count"] == 1
    assert "own-device" in exported
    assert "foreign" not in exported


def test_a_device_shows_the_tags_that_it_has(halves: Halves, narrowed: Client) -> None:
    path = f"{MANAGED_DEVICES}/{halves.own.device}"

    assert narrowed.get(path).json()["roleScopeTagIds"] == [halves.own.tag]
    assert narrowed.patch(path, json={"roleScopeTagIds": [halves.foreign.tag]}).status_code == 403
    assert narrowed.patch(path, json={"roleScopeTagIds": ["4711"]}).status_code == 400
    with closing(token_client(halves.world, a_person(halves.world))) as admin:
        changed = admin.patch(path, json={"roleScopeTagIds": [halves.foreign.tag]})
        assert changed.json()["roleScopeTagIds"] == sorted([halves.own.tag, halves.foreign.tag])


def test_an_author_gives_only_tags_that_are_theirs(halves: Halves, narrowed: Client) -> None:
    own, foreign = halves.own.tag, halves.foreign.tag
    plain = narrowed.post(POLICIES, json=a_policy("New"))
    assert plain.json()["roleScopeTagIds"] == [own]
    path = f"{POLICIES}/{plain.json()['id']}"

    assert narrowed.post(POLICIES, json=a_policy("Other", roleScopeTagIds=[own, foreign])).status_code == 403
    assert narrowed.post(POLICIES, json=a_policy("Nowhere", roleScopeTagIds=["4711"])).status_code in {400, 403}
    assert narrowed.patch(path, json={"roleScopeTagIds": [foreign]}).status_code == 403
    assert narrowed.patch(path, json={"roleScopeTagIds": [own, foreign]}).status_code == 403
    assert narrowed.patch(path, json={"name": "Renamed"}).status_code == 200
    with closing(token_client(halves.world, a_person(halves.world))) as admin:
        assert admin.patch(path, json={"roleScopeTagIds": [own, foreign]}).status_code == 200
        assert admin.patch(path, json={"roleScopeTagIds": ["4711"]}).status_code == 400
    assert narrowed.patch(path, json={"roleScopeTagIds": [own]}).status_code == 403
    assert narrowed.delete(path).status_code == 200


def test_a_change_set_reaches_no_further_than_who_sends_it(halves: Halves, narrowed: Client) -> None:
    for name, status in ((halves.own.policy, 200), (halves.foreign.policy, 404), (SOMETHING, 404)):
        body = {"changes": [{"kind": "update", "id": name, "revision": 1, "policy": a_policy("Changed")}]}
        answer = narrowed.post(f"{POLICIES}/changeSet", json=body)
        assert answer.status_code in {status, 400}, answer.text
        assert (answer.status_code == 404) == (name != halves.own.policy), answer.text


def test_scope_groups_say_on_which_devices_somebody_acts(halves: Halves) -> None:
    person = a_person(halves.world, HELP_DESK_OPERATOR, groups=[halves.own.group])
    with closing(token_client(halves.world, person)) as client:
        for device, status in ((halves.own.device, 204), (halves.foreign.device, 403), (device_id(99), 404)):
            assert client.get(f"{MANAGED_DEVICES}/{device}").status_code == (404 if status == 404 else 200)
            assert client.post(f"{MANAGED_DEVICES}/{device}/syncDevice").status_code == status


def test_policies_are_assigned_within_scope_groups(halves: Halves) -> None:
    person = a_person(halves.world, EVERY_ACTION, groups=[halves.own.group])
    path = f"{POLICIES}/{halves.own.policy}/assign"
    with closing(token_client(halves.world, person)) as client:
        for target, status in (
            (to_group(halves.own.group), 200),
            (to_group(halves.foreign.group), 403),
            (TO_ALL_DEVICES, 403),
        ):
            assert client.post(path, json={"assignments": [target]}).status_code == status
    with closing(token_client(halves.world, a_person(halves.world))) as admin:
        assert admin.post(path, json={"assignments": [TO_ALL_DEVICES]}).status_code == 200
    with closing(token_client(halves.world, person)) as client:
        assert client.post(path, json={"assignments": []}).status_code == 403


def test_unseen_groups_are_unknown_to_assignments(halves: Halves, narrowed: Client) -> None:
    path = f"{POLICIES}/{halves.own.policy}/assign"
    answers: list[Any] = [
        narrowed.post(path, json={"assignments": [to_group(group)]}) for group in (halves.foreign.group, SOMETHING)
    ]

    assert {answer.status_code for answer in answers} == {400}
    assert shape(answers[0], halves.foreign.ids) == shape(answers[1], {"group_id": SOMETHING})


def test_what_stays_assigned_may_be_out_of_sight(halves: Halves, narrowed: Client) -> None:
    path = f"{POLICIES}/{halves.own.policy}/assign"
    unseen = with_filter(to_group(halves.foreign.group), halves.foreign.filter)
    with closing(token_client(halves.world, a_person(halves.world))) as admin:
        assert admin.post(path, json={"assignments": [unseen]}).status_code == 200

    kept = narrowed.get(path.removesuffix("/assign") + "/assignments").json()["value"]
    added = [{"target": each["target"]} for each in kept] + [to_group(halves.own.group)]
    answer = narrowed.post(path, json={"assignments": added})
    assert answer.status_code == 200, answer.text
    assert {each["target"]["groupId"] for each in answer.json()["value"]} == {halves.own.group, halves.foreign.group}
    excluded = [to_group(halves.foreign.group, excluded=True)]
    assert narrowed.post(path, json={"assignments": excluded}).status_code == 400


def test_priorities_are_for_who_is_not_narrowed(halves: Halves, narrowed: Client) -> None:
    """They decide between all policies of the tenant, whichever way they are sent."""
    path, best = f"{POLICIES}/{halves.own.policy}", {"priorityMetaData": {"priority": 1}}
    own: dict[str, Any] = {"roleScopeTagIds": [halves.own.tag]}
    change = {"kind": "update", "id": halves.own.policy, "policy": best}
    for answer in (
        narrowed.post(f"{path}/reorder", json={"priority": 1}),
        narrowed.patch(path, json=best),
        narrowed.put(path, json=a_policy("own policy") | own | best),
        narrowed.post(POLICIES, json=a_policy("New") | own | best),
        narrowed.post(f"{POLICIES}/changeSet", json={"changes": [change]}),
    ):
        assert answer.status_code == 403, answer.text
    with closing(token_client(halves.world, a_person(halves.world))) as admin:
        assert admin.patch(path, json={"priorityMetaData": {"priority": 7}}).status_code == 200
    for answer in (
        narrowed.patch(path, json={"name": "Renamed"}),
        narrowed.put(path, json=a_policy("Renamed again") | own),
    ):
        assert answer.is_success, answer.text
    assert narrowed.get(path).json()["priorityMetaData"] == {"priority": 7}


def test_a_rule_tells_nothing_of_unseen_groups(halves: Halves, narrowed: Client) -> None:
    def members_of(group: str) -> str:
        return f"device.memberOf -any (group.objectId -in ['{group}'])"

    def tries(path: str, rule: str | None) -> Response:
        wanted = {} if rule is None else {"membershipRule": rule}
        return narrowed.post(f"/beta/groups/{path}", json={"memberId": halves.own.device} | wanted)

    with closing(token_client(halves.world, a_person(halves.world))) as admin:
        member = {"@odata.id": f"https://x/devices/{halves.own.device}"}
        assert admin.post(f"{GROUPS}/{halves.foreign.group}/members/$ref", json=member).status_code == 204
        asking = admin.post(GROUPS, json=a_group("foreign rule", members_of(halves.own.group))).json()["id"]
        kept = admin.post(GROUPS, json=a_group("own rule", members_of(halves.foreign.group))).json()["id"]
        targets = [to_group(group) for group in (halves.own.group, kept)]
        assert admin.post(f"{TAGS}/{halves.own.tag}/assign", json={"assignments": targets}).status_code == 200

    for path in ("evaluateDynamicMembership", f"{kept}/evaluateDynamicMembership"):
        # Seen is the group that is asked for, and of the others that the device is in only what has the caller's tag.
        seen = tries(path, members_of(halves.own.group))
        assert seen.json()["membershipRuleEvaluationResult"] is True, seen.text
        assert halves.own.group in seen.text
        assert halves.foreign.group not in seen.text
        absent = tries(path, members_of(SOMETHING))
        assert absent.status_code == 400
        for group in (halves.foreign.group, asking):
            unseen = tries(path, members_of(group) + " ")
            assert unseen.status_code == 400, unseen.text
            assert shape(unseen, {"group_id": group}) == shape(absent, {"group_id": SOMETHING})

    rule = tries(f"{kept}/evaluateDynamicMembership", None)  # that of a group which is seen is no secret
    assert rule.json()["membershipRuleEvaluationResult"] is True, rule.text
    assert asking not in rule.text


def test_a_filter_tells_of_no_unseen_policy_that_it_narrows(halves: Halves, narrowed: Client) -> None:
    assignment = {"assignments": [with_filter(to_group(halves.own.group), halves.own.filter)]}
    with closing(token_client(halves.world, a_person(halves.world))) as admin:
        for policy in (halves.own.policy, halves.foreign.policy):
            assert admin.post(f"{POLICIES}/{policy}/assign", json=assignment).status_code == 200

    payloads = narrowed.get(f"{FILTERS}/{halves.own.filter}/payloads").json()["value"]

    assert [each["payloadId"] for each in payloads] == [halves.own.policy]


def test_members_change_only_where_both_are_in_scope(halves: Halves, narrowed: Client) -> None:
    def member(device: str) -> dict[str, str]:
        return {"@odata.id": f"https://x/devices/{device}"}

    path = f"{GROUPS}/{halves.own.group}/members/$ref"
    assert narrowed.post(path, json=member(halves.foreign.device)).status_code == 404
    # The group gives its members the caller's own tag: who is narrowed by it does not decide whom it reaches.
    assert narrowed.delete(f"{GROUPS}/{halves.own.group}/members/{halves.own.device}/$ref").status_code == 403


def test_a_merge_names_no_device_out_of_scope(halves: Halves, narrowed: Client) -> None:
    path = f"{MANAGED_DEVICES}/{halves.own.device}/merge"

    assert narrowed.post(path, json={"into": halves.foreign.device}).status_code == 404


def test_who_lets_a_device_in_replaces_none_out_of_scope(halves: Halves, narrowed: Client) -> None:
    """What a machine says of its hardware makes it the successor of any device: approving it so retires that one."""
    key, tenant = DeviceKey.generate(), halves.world.services.tenant.id
    waiting = a_device(
        3,
        state=DeviceState.PENDING,
        replaces=halves.foreign.device,
        key_thumbprint=key.thumbprint,
        public_key=public_key_bytes(key.public_key),
        certificate="",
    )
    with halves.world.writing() as connection:
        devices.add(connection, waiting)
        check_ins.add(connection, waiting.id)
        scope_tags.set_of_device(connection, tenant, waiting.id, frozenset({halves.own.tag}))
    path = f"{MANAGED_DEVICES}/{waiting.id}"

    assert narrowed.post(f"{path}/approve", json={"replace": True}).status_code == 404
    (itself,) = narrowed.get(f"{path}/duplicates").json()["value"]
    assert itself["comparison"]["replaces"] is None
    with halves.world.services.database.read() as connection:
        assert devices.get(connection, halves.foreign.device).state is DeviceState.ACTIVE
    assert narrowed.post(f"{path}/approve").status_code == 200


def test_offboarding_packages_are_for_devices_in_scope(halves: Halves, narrowed: Client) -> None:
    path = "/beta/deviceManagement/offboardingPackages"

    assert narrowed.post(path, json={}).status_code == 403
    assert narrowed.post(path, json={"deviceIds": [halves.foreign.device]}).status_code == 404
    assert narrowed.post(path, json={"deviceIds": [halves.own.device]}).status_code == 201


def test_roles_do_not_tell_of_assignments_by_an_expansion(narrowed: Client) -> None:
    for path in ("", f"/{HELP_DESK_OPERATOR.id}"):
        roles = f"/beta/deviceManagement/roleDefinitions{path}"
        assert narrowed.get(roles).status_code == 200
        assert narrowed.get("/beta/deviceManagement/roleAssignments").status_code == 403
        assert narrowed.get(f"{roles}?$expand=roleAssignments").status_code == 403, roles
