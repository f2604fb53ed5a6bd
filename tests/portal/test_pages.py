"""The pages over the whole application, on both engines."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.manager_world import CLOUD, DIAGNOSTIC, a_draft
from tests.support.samples import NOON, TENANT_ID, a_package, device_id, package_id

from shieldwall.contract.ids import DeviceId, SettingId
from shieldwall.contract.messages import MAX_MANIFEST_ITEMS
from shieldwall.contract.status import RefusedPolicy, SettingState, SettingStatus, StatusReport
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.portal.devices.device_actions import ACTIONS
from shieldwall.server.portal.words import STATES
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.records import AssignmentKind, Policy

ALL = Assigned(kind=AssignmentKind.ALL_DEVICES)
PAGES = (
    "/",
    "/devices",
    "/policies",
    "/groups",
    "/packages",
    "/offboarding-packages",
    "/registrations",
    "/authorities",
)


def assigned(world: AdminWorld, connection: Connection, name: str = "Antivirus", **settings: Any) -> Policy:
    """A policy that is assigned to all devices."""
    manager = world.manager
    policy = manager.policies.create(connection, manager.acting, a_draft(name, **settings))
    assign(connection, manager.acting, policy.id, [ALL])
    return policy


def reports(connection: Connection, device: DeviceId, *settings: SettingStatus, **more: Any) -> None:
    target = check_ins.get(connection, device).target_digest
    report = StatusReport(target=target, settings=settings, **more)
    check_ins.set_status(connection, device, statuses.keep(connection, TENANT_ID, report), NOON)


def told(setting: SettingId, state: SettingState, **more: Any) -> SettingStatus:
    return SettingStatus(setting=setting, state=state, **more)


def text_of(page: str) -> str:
    """The words of a page, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


@pytest.mark.parametrize("path", PAGES)
def test_a_new_tenant_is_told_how_to_begin(ada: Client, path: str) -> None:
    page = ada.get(path)

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert re.search(r"No \w+ yet", page.text)


def test_the_overview_names_devices_in_trouble_before_the_policies(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        manager = world.manager
        fine, broken, _ = (manager.join(connection, number) for number in (1, 2, 3))
        assigned(world, connection)
        reports(connection, fine, told(CLOUD, SettingState.SUCCEEDED))
        reports(connection, broken, told(CLOUD, SettingState.ERROR))

    words = text_of(ada.get("/").text)

    assert "Error: 1, Pending: 1, Succeeded: 1" in words
    assert "Needs attention: 1 device " in words
    assert words.index("device-2") < words.index("Antivirus")
    assert "device-1" not in words
    assert "device-3" not in words


def test_the_overview_says_when_nobody_is_in_trouble(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        assigned(world, connection)
        reports(connection, device, told(CLOUD, SettingState.SUCCEEDED))

    assert "No device reports an error or a conflict." in ada.get("/").text


def test_a_device_in_conflict_needs_attention_too(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        assigned(world, connection)
        reports(connection, device, told(CLOUD, SettingState.CONFLICT))

    assert "Needs attention: 1 device " in text_of(ada.get("/").text)


def test_the_device_page_says_what_holds_who_set_it_and_what_lost(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        assigned(world, connection, "Strong", cloud="true")
        assigned(world, connection, "Weak", cloud="false", diagnostic="1")
        value = f"{CLOUD}_true"
        reports(
            connection,
            device,
            told(CLOUD, SettingState.SUCCEEDED, provider="mdatp", written=True, value=value, read_back=value),
            told(DIAGNOSTIC, SettingState.ERROR, code="notEffective", reason="The engine is stopped.", effective=False),
        )

    overview = text_of(ada.get(f"/devices/{device}").text)
    words = text_of(ada.get(f"/devices/{device}/settings").text)

    assert "Managed by MDE" in overview
    assert "Enrollment status 1: Enrolled; the device has not checked in yet" in overview
    assert "Error: 1" in overview
    assert "Lost Weak wants Disabled" in words
    assert "The strongest value wins." in words
    assert "Written yes, by mdatp Read back the same Effective not known" in words
    assert words.index("The engine is stopped.") < words.index("Lost"), "what needs attention comes first"


def test_a_conflict_shows_every_wish(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        # Of the same moment, and of a setting without an order of strength: nothing decides between them.
        assigned(world, connection, "One", diagnostic="0")
        assigned(world, connection, "Two", diagnostic="1")

    words = text_of(ada.get(f"/devices/{device}/settings").text)

    assert "as before management" in words
    assert re.search(r"In conflict One wants \S+ Two wants \S+", words)


def test_what_a_device_refused_is_shown(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        policy = assigned(world, connection)
        refused = RefusedPolicy(policy_id=policy.id, digest=policy.digest, code="badSignature", cause="Not signed.")
        reports(connection, device, refused=(refused,))

    words = text_of(ada.get(f"/devices/{device}").text)

    assert "The device refused a policy: open it . Not signed. badSignature" in words
    assert "Error" in words


def test_groups_and_packages_are_listed(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        manager = world.manager
        manager.group(connection, 1, manager.join(connection, 1))
        packages.add(connection, a_package(1, uses=3))
        packages.add(connection, a_package(2, revoked_at=NOON))

    assert "group-1 " in ada.get("/groups").text.replace("</bdi>", " ")
    words = text_of(ada.get("/packages").text)
    assert "usable Linux, macOS 3 of 500" in words
    assert "revoked" in words
    assert "kkkk" not in words, "a package's secret is not for pages"


def test_policy_sync_asks_the_device_and_says_so(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        check_ins.clear_sync(connection, device)
    assert "Asked to check in now" not in ada.get(f"/devices/{device}").text

    answer = ada.post(f"/devices/{device}/sync", data={"csrf": token_of(ada)}, headers={"Origin": PUBLIC_URL})

    assert (answer.status_code, answer.headers["location"]) == (303, f"/devices/{device}")
    with world.services.database.read() as connection:
        assert check_ins.get(connection, device).sync_requested_at == world.clock.now()
    assert "Asked to check in now" in ada.get(f"/devices/{device}").text


def test_a_device_that_left_cannot_be_asked(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1, state=DeviceState.RETIRED)

    page = ada.get(f"/devices/{device}").text

    assert "Policy sync" not in page
    assert "offboarded" in page


def test_long_lists_come_page_by_page_and_every_device_once(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        for number in range(1, 121):
            world.manager.join(connection, number)
    seen: list[str] = []
    path: str | None = "/devices"
    while path:
        page = ada.get(path).text
        seen += re.findall(r'href="/devices/([0-9a-f-]{36})"', page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        path = following[1] if following else None

    assert seen == [device_id(number) for number in range(1, 121)]


def test_the_exact_time_is_there_for_whoever_points_at_a_time(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        assigned(world, connection)
    world.clock.advance(minutes=3)

    page = ada.get("/policies").text

    assert '<time datetime="2026-11-23T12:00:00+00:00" title="2026-11-23 12:00:00 UTC">3 minutes ago</time>' in page


class Structure(HTMLParser):
    """What a screen reader needs of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []
        self._captions = 0
        self._tables = 0
        self._open: list[str] = []
        self.feed(page)
        if self._captions != self._tables:
            self.problems.append("a table without a caption")
        if self.headings[:1] != [1] or self.headings.count(1) != 1:
            self.problems.append(f"headings {self.headings}")
        if len(set(self.ids)) != len(self.ids):
            self.problems.append(f"ids twice: {self.ids}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self._tables += tag == "table"
        self._captions += tag == "caption"
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "th" and given.get("scope") not in {"col", "row"}:
            self.problems.append("a header of nothing")
        if tag == "html" and not given.get("lang"):
            self.problems.append("no language")
        if tag == "nav" and not given.get("aria-label"):
            self.problems.append("a navigation without a name")
        if tag == "svg" and given.get("aria-hidden") != "true":
            self.problems.append("a picture that is read out")
        self.problems += [f"{name} on {tag}" for name in given if name == "style" or name.startswith("on")]
        if tag == "script" and not given.get("src"):
            self.problems.append("a script inside the page")
        if tag not in {"meta", "link", "input", "br"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing")


def test_every_page_is_well_formed_and_can_be_read_out(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        policy = assigned(world, connection, "Strong", cloud="true", diagnostic="0")
        assigned(world, connection, "Weak", cloud="false", diagnostic="1")
        reports(connection, device, told(CLOUD, SettingState.ERROR, code="x", reason="y"))
        group = world.manager.group(connection, 1, device)
        packages.add(connection, a_package(1))

    asking = [f"/devices/{device}/{each.name}" for each in ACTIONS if DeviceState.ACTIVE in each.states]
    one = (
        f"/groups/{group}",
        f"/groups/{group}/rule",
        f"/packages/{package_id(1)}",
        f"/packages/{package_id(1)}/revoke",
    )
    for path in (
        *PAGES,
        *asking,
        *one,
        "/packages/new",
        "/clean-up",
        f"/devices/{device}",
        f"/policies/{policy.id}",
        "/sign-in",
        "/sign-in?code=x",
        "/devices/x",
    ):
        assert Structure(ada.get(path).text).problems == [], path


def test_the_bar_has_a_part_for_every_state_that_some_device_is_in(world: AdminWorld, ada: Client) -> None:
    states = tuple(SettingState)
    with world.writing() as connection:
        reached = [world.manager.join(connection, number) for number in range(1, len(states) + 1)]
        policy = assigned(world, connection)
        for device, state in zip(reached, states, strict=True):
            reports(connection, device, told(CLOUD, state))

    page = ada.get(f"/policies/{policy.id}").text

    widths = re.findall(r'<rect class="(\w+)" x="([\d.]+)" y="0" width="([\d.]+)"', page)
    assert [state for state, _, _ in widths] == list(STATES)
    assert sum(float(width) for _, _, width in widths) == pytest.approx(1000)


def test_a_device_may_have_as_many_policies_as_there_can_be(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        for number in range(min(MAX_MANIFEST_ITEMS, 30)):
            assigned(world, connection, f"Policy {number}")

    page = ada.get(f"/devices/{device}/policies").text

    assert len(set(re.findall(r'href="/policies/([0-9a-f-]+)"', page))) == min(MAX_MANIFEST_ITEMS, 30)


def token_of(client: Client) -> str:
    """The proof that a form is ours, as it stands in a page."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/groups").text)
    assert found
    return found[1]
