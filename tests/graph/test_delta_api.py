"""Following groups and devices: whoever takes every page of a round has what the full listing has."""

from __future__ import annotations

from contextlib import closing
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.graph_bodies import GROUPS, a_group
from tests.support.samples import a_device, a_tenant, counted_id

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.tenants import tenants

DEVICES = "/v1.0/devices"
UNTRACKED = "approximateLastSignInDateTime"
"""Changes with every check-in, and is not followed."""


class Follower:
    """A client as documentation tells it to be: it takes every page, and keeps what it learned by id."""

    def __init__(self, client: Client, path: str, *, size: int = 3) -> None:
        self.client, self.following, self.size = client, path, size
        self.known: dict[str, Any] = {}
        self.members: dict[str, set[str]] = {}
        self.pages: list[list[Any]] = []

    def follow(self) -> None:
        """Take one round."""
        self.pages = []
        while True:
            answer = self.client.get(self.following, headers={"Prefer": f"odata.maxpagesize={self.size}"})
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert len(page["value"]) <= self.size
            self.pages.append(page["value"])
            for entry in page["value"]:
                self._take(entry)
            if "@odata.deltaLink" in page:
                assert "@odata.nextLink" not in page
                self.following = page["@odata.deltaLink"]
                return
            self.following = page["@odata.nextLink"]

    def _take(self, entry: dict[str, Any]) -> None:
        if "@removed" in entry:
            assert set(entry) == {"id", "@removed"}
            self.known.pop(entry["id"], None)
            self.members.pop(entry["id"], None)
            return
        moved = entry.pop("members@delta", [])
        entry.pop(UNTRACKED, None)
        self.known[entry["id"]] = entry
        theirs = self.members.setdefault(entry["id"], set())
        for member in moved:
            (theirs.discard if "@removed" in member else theirs.add)(member["id"])


def everything(client: Client, path: str) -> list[Any]:
    found, following = [], path
    while following:
        page = client.get(following).json()
        found += page["value"]
        following = page.get("@odata.nextLink", "")
    return found


def listed(client: Client, path: str) -> dict[str, Any]:
    return {each["id"]: {k: v for k, v in each.items() if k != UNTRACKED} for each in everything(client, path)}


def members(client: Client) -> dict[str, set[str]]:
    return {
        group: {each["id"] for each in everything(client, f"{GROUPS}/{group}/members")}
        for group in listed(client, GROUPS)
    }


def join(world: AdminWorld, *numbers: int) -> list[DeviceId]:
    with world.writing() as connection:
        return [world.manager.join(connection, number) for number in numbers]


def test_a_client_learns_of_what_is_there_then_of_what_changes_and_goes(graph: Client, world: AdminWorld) -> None:
    join(world, 1, 2, 3, 4)
    follower = Follower(graph, f"{DEVICES}/delta()")
    follower.follow()
    assert follower.known == listed(graph, DEVICES)
    assert [len(page) for page in follower.pages] == [3, 1]

    follower.follow()
    assert follower.pages == [[]]

    first, second = a_device(1).object_id, a_device(2).object_id
    assert graph.patch(f"{DEVICES}/{first}", json={"deviceCategory": "kiosk"}).status_code == 204
    assert graph.delete(f"{DEVICES}/{second}").status_code == 204
    join(world, 5)
    follower.follow()
    (page,) = follower.pages
    assert [each for each in page if "@removed" in each] == [{"id": second, "@removed": {"reason": "deleted"}}]
    assert {each["id"] for each in page} == {first, second, a_device(5).object_id}
    assert follower.known == listed(graph, DEVICES)


def test_what_is_not_shown_and_what_stays_as_it_was_is_no_change(graph: Client, world: AdminWorld) -> None:
    (device,) = join(world, 1)
    follower = Follower(graph, f"{DEVICES}/delta")
    follower.follow()

    graph.post(f"/beta/deviceManagement/managedDevices/{device}/changeTags", json={"add": ["x"]})
    graph.post(f"/beta/deviceManagement/managedDevices/{device}/syncDevice")
    name = graph.get(f"{DEVICES}/{a_device(1).object_id}").json()["displayName"]
    graph.patch(f"{DEVICES}/{a_device(1).object_id}", json={"displayName": name})
    follower.follow()

    assert follower.pages == [[]]


def test_members_come_with_their_group_where_they_are_asked_for(graph: Client, world: AdminWorld) -> None:
    join(world, *range(1, 8))
    group = graph.post(GROUPS, json=a_group("All", "(device.displayName -ne null)")).json()["id"]
    other = graph.post(GROUPS, json=a_group("Few")).json()["id"]
    plain, follower = Follower(graph, f"{GROUPS}/delta"), Follower(graph, f"{GROUPS}/delta?$select=displayName,members")
    for each in (plain, follower):
        each.follow()
    assert follower.members == members(graph)
    assert plain.members == {group: set(), other: set()}
    assert follower.known[other] == {"id": other, "displayName": "Few"}
    assert sum(entry["id"] == group for page in follower.pages for entry in page) > 1, "a large group comes in parts"

    added, removed = a_device(1).object_id, a_device(2).object_id
    graph.post(f"{GROUPS}/{other}/members/$ref", json={"@odata.id": f"{PUBLIC_URL}/v1.0/directoryObjects/{added}"})
    graph.delete(f"{DEVICES}/{removed}")
    follower.follow()
    plain.follow()
    assert follower.members == members(graph)
    assert plain.pages == [[]]

    graph.delete(f"{GROUPS}/{other}")
    follower.follow()
    assert follower.pages == [[{"id": other, "@removed": {"reason": "deleted"}}]]


def test_a_client_may_begin_with_what_comes_from_now_on(graph: Client, world: AdminWorld) -> None:
    join(world, 1)
    follower = Follower(graph, f"{DEVICES}/delta?$deltatoken=latest")
    follower.follow()
    assert follower.pages == [[]]
    join(world, 2)
    follower.follow()
    assert set(follower.known) == {a_device(2).object_id}


def test_a_token_that_was_altered_or_is_of_something_else_is_refused(graph: Client, world: AdminWorld) -> None:
    link = graph.get(f"{GROUPS}/delta").json()["@odata.deltaLink"]
    address, _, token = link.partition("=")
    graph.get(f"{DEVICES}/delta")
    altered = [token[:-1] + ("A" if token[-1] != "A" else "B"), token[:-4], "A" * 40, "%%%", "é", token + "A" * 4000]
    for wrong in (*(f"{address}={quote(each)}" for each in altered), link.replace("groups", "devices")):
        answer = graph.get(wrong)
        assert (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (400, "invalidDeltaToken"), wrong
    for wrong in (
        f"{link}&$select=id",
        f"{GROUPS}/delta?$filter=x",
        f"{link}&$skiptoken={token}",
        f"{GROUPS}/delta?$expand=owners",
    ):
        assert graph.get(wrong).status_code == 400
    with closing(world.application_client(*PERMISSIONS, tenant=_adatum(world))) as stranger:
        assert stranger.get(link).status_code == 400


def test_who_stays_away_too_long_is_told_to_begin_anew(graph: Client, world: AdminWorld) -> None:
    link = graph.get(f"{GROUPS}/delta").json()["@odata.deltaLink"]
    world.clock.advance(days=31)
    with closing(world.application_client(*PERMISSIONS)) as client:
        answer = client.get(link)
        assert answer.status_code == 410
        error = answer.json()["error"]
        assert (error["code"], error["innerError"]["code"]) == ("syncStateNotFound", "resyncRequired")
        again = client.get(answer.headers["location"])
    assert again.status_code == 200
    assert "@odata.deltaLink" in again.json()


def _adatum(world: AdminWorld) -> Tenant:
    adatum = a_tenant(id=TenantId(counted_id("9", 1)), domain="adatum.example", display_name="Adatum")
    with world.writing() as connection:
        tenants.add(connection, adatum)
    return adatum


class Directory(RuleBasedStateMachine):
    """Whatever happens, and whoever follows how often: at the end of a round the client has what is there."""

    world: AdminWorld
    graph: Client

    @initialize()
    def begin(self) -> None:
        self.devices = Follower(self.graph, f"{DEVICES}/delta", size=2)
        self.groups = Follower(self.graph, f"{GROUPS}/delta?$expand=members", size=2)
        self.made: list[str] = []
        self.joined: list[int] = []

    @rule()
    def a_device_comes(self) -> None:
        type(self).number += 1
        join(self.world, self.number)
        self.joined.append(self.number)

    number = 100

    @rule(data=st.data(), name=st.sampled_from(["web", "db"]))
    def a_device_changes(self, data: st.DataObject, name: str) -> None:
        if self.joined:
            one = a_device(data.draw(st.sampled_from(self.joined))).object_id
            assert self.graph.patch(f"{DEVICES}/{one}", json={"displayName": name}).status_code == 204

    @rule(data=st.data())
    def a_device_goes(self, data: st.DataObject) -> None:
        if self.joined:
            number = self.joined.pop(data.draw(st.integers(0, len(self.joined) - 1)))
            assert self.graph.delete(f"{DEVICES}/{a_device(number).object_id}").status_code == 204

    @rule(rule=st.sampled_from([None, '(device.displayName -eq "web")']))
    def a_group_comes(self, rule: str | None) -> None:
        self.made.append(self.graph.post(GROUPS, json=a_group("G", rule)).json()["id"])

    @rule(data=st.data())
    def a_group_changes(self, data: st.DataObject) -> None:
        if self.made:
            one = data.draw(st.sampled_from(self.made))
            self.graph.patch(f"{GROUPS}/{one}", json={"description": data.draw(st.sampled_from(["a", "b"]))})

    @rule(data=st.data())
    def a_group_goes(self, data: st.DataObject) -> None:
        if self.made:
            one = self.made.pop(data.draw(st.integers(0, len(self.made) - 1)))
            assert self.graph.delete(f"{GROUPS}/{one}").status_code == 204

    @rule(data=st.data(), comes=st.booleans())
    def a_member_comes_or_goes(self, data: st.DataObject, comes: bool) -> None:
        if self.made and self.joined:
            path = f"{GROUPS}/{data.draw(st.sampled_from(self.made))}/members"
            one = a_device(data.draw(st.sampled_from(self.joined))).object_id
            if comes:
                self.graph.post(f"{path}/$ref", json={"@odata.id": f"https://x/directoryObjects/{one}"})
            else:
                self.graph.delete(f"{path}/{one}/$ref")

    @rule()
    def the_client_follows(self) -> None:
        self.devices.follow()
        self.groups.follow()
        assert self.devices.known == listed(self.graph, DEVICES)
        assert self.groups.known == listed(self.graph, GROUPS)
        assert self.groups.members == members(self.graph)

    def teardown(self) -> None:
        self.the_client_follows()
        for group in self.made:
            self.graph.delete(f"{GROUPS}/{group}")
        for number in self.joined:
            self.graph.delete(f"{DEVICES}/{a_device(number).object_id}")


def test_a_client_that_follows_always_ends_with_the_full_listing(graph: Client, world: AdminWorld) -> None:
    machine = type("Machine", (Directory,), {"world": world, "graph": graph})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
