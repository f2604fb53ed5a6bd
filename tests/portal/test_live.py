"""Open pages hear that something changed: cheap signs, one watcher, streams that end when they should."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from typing import Any, Final

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.databases import on_sqlite_alone
from tests.support.manager_world import a_draft
from tests.support.people import a_person, browser
from tests.support.samples import NOON, TENANT_ID, a_package, counted_id, device_id
from tests.support.second_tenant import FABRIKAM

from shieldwall.contract.ids import PolicyId, TenantId
from shieldwall.contract.status import StatusReport
from shieldwall.server.access.authorization import PERSON, Principal
from shieldwall.server.access.roles import HELP_DESK_OPERATOR
from shieldwall.server.directory.access_of_people import access_of
from shieldwall.server.directory.groups import GroupDraft, create_group
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.portal.live.streaming import EventStream
from shieldwall.server.portal.live.topics import MOST, permitted
from shieldwall.server.portal.live.watching import MOST_OF_ONE, Stream, TooManyStreamsError, Watching
from shieldwall.server.portal.sessions import ADMINISTRATOR
from shieldwall.server.portal.work.progress import Page
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.portal.fingerprints import SIGNS, fingerprint
from shieldwall.server.storage.records import AssignmentKind

DEVICE: Final = device_id(1)
OTHER: Final = device_id(2)
NOBODYS_MARK: Final = "0" * 32


@pytest.fixture
def policy(world: AdminWorld) -> PolicyId:
    """A policy for all of two devices."""
    with world.writing() as connection:
        world.manager.join(connection, 1)
        world.manager.join(connection, 2)
        policy = world.manager.policies.create(connection, world.manager.acting, a_draft())
        assign(connection, world.manager.acting, policy.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])
    return policy.id


def marks(world: AdminWorld, policy: PolicyId) -> dict[str, str]:
    """How every topic stands."""
    named = {"device": DEVICE, "policy": policy, "group": counted_id("f", 999)}
    with world.services.database.read() as connection:
        return {kind: fingerprint(connection, TENANT_ID, kind, named.get(kind, "")) for kind in SIGNS}


def reports(world: AdminWorld) -> None:
    world.clock.advance(seconds=1)
    with world.writing() as connection:
        kept = statuses.keep(connection, TENANT_ID, StatusReport())
        check_ins.set_status(connection, DEVICE, kept, world.clock.now())


def is_asked(world: AdminWorld) -> None:
    world.clock.advance(seconds=1)
    with world.writing() as connection:
        check_ins.clear_sync(connection, DEVICE)
        check_ins.request_sync(connection, [DEVICE], world.clock.now())


def is_joined(world: AdminWorld) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 3, registered_at=NOON + timedelta(seconds=1))


def raises_alert(world: AdminWorld) -> None:
    alert = Alert(
        id=counted_id("7", 1),
        tenant_id=TENANT_ID,
        device_id=DEVICE,
        kind="clonedIdentity",
        severity=Severity.HIGH,
        title="Two machines",
        details="{}",
        first_at=NOON,
        last_at=NOON,
    )
    with world.writing() as connection:
        alerts.raise_alert(connection, alert)


def uses_package(world: AdminWorld) -> None:
    with world.writing() as connection:
        packages.add(connection, a_package(1))
        packages.take_use(connection, a_package(1).id)


def is_audited(world: AdminWorld) -> None:
    with world.writing() as connection:
        draft = GroupDraft(display_name="Servers", mail_nickname="servers")
        create_group(connection, world.manager.acting, draft)


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (reports, {"overview", "devices", "policies", "device", "policy"}),
        (is_asked, {"overview", "devices", "policies", "device", "policy"}),
        (is_joined, {"overview", "devices", "policies", "groups", "packages", "policy"}),
        (raises_alert, {"overview", "alerts"}),
        (uses_package, {"packages"}),
        (is_audited, set(SIGNS)),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_happens_is_a_sign_where_it_shows(
    world: AdminWorld, policy: PolicyId, happens: Callable[[AdminWorld], None], told: set[str]
) -> None:
    before = marks(world, policy)
    assert marks(world, policy) == before, "nothing happened"

    happens(world)

    after = marks(world, policy)
    assert {kind for kind in SIGNS if after[kind] != before[kind]} == told


def watching(world: AdminWorld) -> Watching:
    return Watching(world.services, world.admin.works, lambda least, _most: least)


@on_sqlite_alone
def test_a_stream_hears_of_its_own_topics_and_of_nothing_else(world: AdminWorld, policy: PolicyId) -> None:
    hub = watching(world)

    async def scene() -> None:
        topics = (f"device:{DEVICE}",)
        seen = hub.mark(TENANT_ID, topics)
        mine = hub.follow(TENANT_ID, "ada", topics, seen)
        other = hub.follow(TENANT_ID, "ada", (f"device:{OTHER}",), hub.mark(TENANT_ID, (f"device:{OTHER}",)))
        theirs = hub.follow(FABRIKAM, "eve", topics, hub.mark(FABRIKAM, topics))
        await hub.once()
        assert await mine.next(0) is None
        reports(world)
        await hub.once()
        assert await mine.next(1) == hub.mark(TENANT_ID, topics) != seen
        assert await other.next(0) is None
        assert await theirs.next(0) is None
        await hub.once()
        assert await mine.next(0) is None, "said once"

    asyncio.run(scene())
    assert policy


@on_sqlite_alone
def test_a_page_that_is_older_than_the_last_change_is_told_at_once(world: AdminWorld, policy: PolicyId) -> None:
    hub = watching(world)

    async def scene() -> str | None:
        late = hub.follow(TENANT_ID, "ada", (f"policy:{policy}",), NOBODYS_MARK)
        await hub.once()
        return await late.next(0.1)

    assert asyncio.run(scene()) == hub.mark(TENANT_ID, (f"policy:{policy}",))


@on_sqlite_alone
def test_nobody_has_more_streams_than_anybody_may_and_the_end_ends_all(world: AdminWorld) -> None:
    hub = watching(world)

    async def scene() -> None:
        mine = [hub.follow(TENANT_ID, "ada", ("overview",), NOBODYS_MARK) for _ in range(MOST_OF_ONE)]
        with pytest.raises(TooManyStreamsError, match="You have"):
            hub.follow(TENANT_ID, "ada", ("overview",), NOBODYS_MARK)
        hub.leave(mine.pop())
        mine.append(hub.follow(TENANT_ID, "ada", ("overview",), NOBODYS_MARK))
        hub.follow(TenantId("other"), "ada", ("overview",), NOBODYS_MARK)
        hub.end()
        assert [await each.next(1) for each in mine] == [None] * MOST_OF_ONE
        assert all(each.is_over for each in mine)
        with pytest.raises(TooManyStreamsError):
            hub.follow(TENANT_ID, "bob", ("overview",), NOBODYS_MARK)

    asyncio.run(scene())


@on_sqlite_alone
def test_the_watcher_looks_only_while_somebody_follows_and_survives_what_fails(world: AdminWorld) -> None:
    slept: list[float] = []
    rested = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        rested.set()
        await asyncio.sleep(0)

    hub = Watching(world.services, world.admin.works, lambda least, _most: least, sleep=sleep)

    async def scene() -> None:
        running = asyncio.create_task(hub.run())
        await asyncio.sleep(0.05)
        assert slept == []
        wrong = hub.follow(TENANT_ID, "ada", ("no such topic",), NOBODYS_MARK)
        await asyncio.wait_for(rested.wait(), 5)
        hub.leave(wrong)
        right = hub.follow(TENANT_ID, "ada", ("audit",), NOBODYS_MARK)
        assert await right.next(5) == hub.mark(TENANT_ID, ("audit",))
        running.cancel()

    asyncio.run(scene())
    assert min(slept) >= 1.0


class Caller:
    """A browser on the other end of a stream."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.heard.append(message)

    @property
    def text(self) -> str:
        return b"".join(each.get("body", b"") for each in self.heard).decode()


def serve(stream: Stream, caller: Caller, left: list[Stream], may_go_on: Callable[[], Awaitable[bool]]) -> Any:
    answer = EventStream(
        stream=stream,
        leave=left.append,
        may_go_on=may_go_on,
        retry_milliseconds=1500,
        beat_seconds=0.01,
        beats=3,
    )
    return answer({}, caller.receive, caller.send)  # type: ignore[arg-type]  # no scope is looked at


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


def test_a_stream_says_what_it_hears_and_ends_after_its_beats() -> None:
    left: list[Stream] = []

    async def scene() -> Caller:
        stream, caller = Stream((TENANT_ID, "ada"), ("audit",), NOBODYS_MARK), Caller()
        stream.tell("1" * 32)
        await serve(stream, caller, left, yes)
        return caller

    caller = asyncio.run(scene())
    assert caller.heard[0]["status"] == 200
    assert (b"content-type", b"text/event-stream") in caller.heard[0]["headers"]
    assert caller.text.startswith(f"retry: 1500\n\nid: {'1' * 32}\nevent: changed\n")
    assert caller.text.count(": still here\n\n") == 3
    assert caller.heard[-1]["more_body"] is False
    assert len(left) == 1


def test_a_stream_ends_with_the_session_with_the_server_and_with_whoever_listens() -> None:
    left: list[Stream] = []

    async def scene() -> None:
        signed_out = Caller()
        await serve(Stream((TENANT_ID, "ada"), ("audit",), NOBODYS_MARK), signed_out, left, no)
        assert signed_out.text.endswith("event: over\ndata: session\n\n")

        stream, stopping = Stream((TENANT_ID, "ada"), ("audit",), NOBODYS_MARK), Caller()
        stream.end()
        await serve(stream, stopping, left, yes)
        assert stopping.heard[-1]["more_body"] is False
        assert "over" not in stopping.text

        gone = Caller()
        gone.gone.set()
        await serve(Stream((TENANT_ID, "ada"), ("audit",), NOBODYS_MARK), gone, left, yes)
        assert len(left) == 3

    asyncio.run(scene())


@on_sqlite_alone
def test_people_follow_what_their_roles_let_them_see(world: AdminWorld, policy: PolicyId) -> None:
    person = a_person(world, HELP_DESK_OPERATOR, tags=["7"])
    with world.services.database.read() as connection:
        access = access_of(connection, person)
    narrowed = Principal(
        kind=PERSON,
        id=person.id,
        display_name="Bob",
        tenant_id=TENANT_ID,
        permissions=frozenset({ADMINISTRATOR}),
        access=access,
    )
    asked = ["overview", "devices", "audit", "packages", "nothing", f"device:{DEVICE}", f"policy:{policy}", "work:1"]

    may = permitted(world.services, world.admin.works, narrowed, asked)

    assert may == ("devices", "overview")
    assert len(permitted(world.services, world.admin.works, narrowed, ["overview"] * 50)) <= MOST


@on_sqlite_alone
def test_the_route_refuses_what_is_nobody_s_to_follow(world: AdminWorld, client: Client, ada: Client) -> None:
    assert client.get("/live?topic=overview").headers["location"].startswith("/sign-in")
    assert ada.get("/live").status_code == 400
    assert ada.get("/live?topic=nothing").status_code == 403
    with closing(browser(world, a_person(world, None))) as nobody:
        assert nobody.get(f"/live?topic=device:{DEVICE}").status_code == 403
    world.admin.watching.end()
    assert ada.get("/live?topic=overview").status_code == 503


@on_sqlite_alone
def test_a_page_says_what_it_follows_and_how_that_stood(world: AdminWorld, ada: Client) -> None:
    with world.services.database.read() as connection:
        person = people.find_by_user_name(connection, TENANT_ID, "ada")
        assert person is not None
        access = access_of(connection, person)
    caller = Principal(
        kind=PERSON,
        id=person.id,
        display_name="Ada",
        tenant_id=TENANT_ID,
        permissions=frozenset({ADMINISTRATOR}),
        access=access,
    )
    assert "data-topics" not in ada.get("/work").text, "there is no work to follow yet"
    work = world.admin.works.start(caller, "Export", lambda _: Page("/"), origin="/")
    world.admin.works.close()

    page = ada.get(f"/work/{work.id}").text

    mark = world.admin.watching.mark(TENANT_ID, (f"work:{work.id}",))
    assert f'data-topics="work:{work.id}" data-mark="{mark}"' in page
    refreshed = ada.get(f"/work/{work.id}", headers={"X-Requested-For": "refresh"}).text
    assert "data-topics" not in refreshed, "whoever follows already goes on"
