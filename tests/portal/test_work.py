"""Long work: it is its person's own, says how far it is, can be left and called off, and leaves a file or a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from threading import Event

import pytest
from tests.support.admin import AdminWorld
from tests.support.databases import on_sqlite_alone
from tests.support.people import a_person, browser

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.access.authorization import PERSON, ForbiddenError, Principal
from shieldwall.server.access.grants import NONE
from shieldwall.server.access.roles import ADMINISTRATOR
from shieldwall.server.directory.access_of_people import access_of
from shieldwall.server.portal.work.progress import File, Page, Progress
from shieldwall.server.portal.work.works import MOST_KEPT, MOST_UNFINISHED, TooMuchWorkError, Work, Works, WorkState
from shieldwall.server.storage.errors import NotFoundError

pytestmark = on_sqlite_alone

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


def somebody(world: AdminWorld, number: int = 1) -> Principal:
    return Principal(
        kind=PERSON,
        id=f"person-{number}",
        display_name=f"Person {number}",
        tenant_id=world.services.tenant.id,
        permissions=frozenset(),
    )


@pytest.fixture
def works(world: AdminWorld) -> Iterator[Works]:
    works = Works(world.services)
    yield works
    works.close()


def write(progress: Progress) -> File:
    file = progress.new_file("devices.csv", "text/csv")
    progress.expect(3)
    with file.open() as out:
        for number in range(3):
            out.write(f"{number}\r\n")
            progress.advance()
    return file


def settled(works: Works, person: Principal, work: Work) -> Work:
    """The work once it is over; waits at most thirty seconds."""
    pause, found = Event(), work
    for _ in range(3_000):
        found = works.find(person, work.id)
        if found.state.is_over:
            return found
        pause.wait(0.01)
    raise AssertionError(f"{work.title} is still {found.state}")


@contextmanager
def held(works: Works, person: Principal, title: str = "Held") -> Iterator[Work]:
    """Work that goes on until the block ends, or until it is called off."""
    go_on, begun = Event(), Event()

    def run(progress: Progress) -> Page:
        begun.set()
        while not go_on.wait(0.005):
            progress.advance()
        return Page("/devices")

    work = works.start(person, title, run, origin="/")
    assert begun.wait(5)
    try:
        yield work
    finally:
        go_on.set()


def test_work_leaves_a_file_for_its_person_alone(world: AdminWorld, works: Works) -> None:
    ada, bob = somebody(world), somebody(world, 2)
    work = settled(works, ada, works.start(ada, "Export", write, origin="/devices"))

    assert (work.state, work.done, work.total) == (WorkState.FINISHED, 3, 3)
    assert works.result(ada, work.id).path.read_bytes() == b"0\r\n1\r\n2\r\n"
    assert works.of(bob) == []
    for ask in (works.find, works.result, works.cancel):
        with pytest.raises(NotFoundError):
            ask(bob, work.id)
    elsewhere = replace(ada, tenant_id=TenantId("other"))
    with pytest.raises(NotFoundError):
        works.result(elsewhere, work.id)


def test_a_file_is_not_handed_out_to_somebody_whose_roles_changed(world: AdminWorld, works: Works) -> None:
    ada = somebody(world)
    work = settled(works, ada, works.start(ada, "Export", write, origin="/devices"))

    with pytest.raises(ForbiddenError, match="roles have changed"):
        works.result(replace(ada, access=NONE), work.id)


def test_what_is_called_off_ends_at_its_next_step_and_leaves_nothing(world: AdminWorld, works: Works) -> None:
    ada = somebody(world)
    with held(works, ada) as work:
        works.cancel(ada, work.id)
        assert settled(works, ada, work).state is WorkState.CANCELLED
    assert list((world.services.settings.data / "work").iterdir()) == []

    works.cancel(ada, work.id)
    assert works.of(ada) == []


def test_what_fails_says_why_and_what_it_had_written_is_removed(world: AdminWorld, works: Works) -> None:
    ada = somebody(world)

    def fails(progress: Progress) -> File:
        write(progress)
        raise ShieldwallError("The fleet is gone.", remedy="Find it.")

    def breaks(progress: Progress) -> File:
        write(progress)
        raise ZeroDivisionError

    told = settled(works, ada, works.start(ada, "Export", fails, origin="/"))
    broken = settled(works, ada, works.start(ada, "Export", breaks, origin="/"))

    assert told.state is broken.state is WorkState.FAILED
    assert told.problem is not None
    assert told.problem.cause == "The fleet is gone."
    assert broken.problem is not None
    assert "ZeroDivisionError" not in broken.problem.cause
    assert list((world.services.settings.data / "work").iterdir()) == []


def test_nobody_has_more_under_way_than_anybody_may(world: AdminWorld, works: Works) -> None:
    ada, bob = somebody(world), somebody(world, 2)
    with held(works, ada), held(works, ada):
        waiting = [works.start(ada, "Waits", write, origin="/") for _ in range(MOST_UNFINISHED - 2)]
        with pytest.raises(TooMuchWorkError):
            works.start(ada, "One more", write, origin="/")
        assert {works.find(ada, each.id).state for each in waiting} == {WorkState.WAITING}
        others = works.start(bob, "Somebody else's", write, origin="/")
    assert settled(works, bob, others).state is WorkState.FINISHED


def test_what_is_over_is_forgotten_after_a_day_and_when_there_is_much_of_it(world: AdminWorld, works: Works) -> None:
    ada = somebody(world)
    for _ in range(MOST_KEPT + 3):
        settled(works, ada, works.start(ada, "Export", write, origin="/"))
    kept = works.of(ada)
    assert len(kept) <= MOST_KEPT
    assert len(list((world.services.settings.data / "work").iterdir())) == len(kept)

    world.clock.advance(hours=25)
    assert works.of(ada) == []
    assert list((world.services.settings.data / "work").iterdir()) == []


def test_the_end_of_the_server_calls_everything_off(world: AdminWorld, works: Works) -> None:
    ada = somebody(world)
    with held(works, ada) as work:
        works.close()
        assert works.find(ada, work.id).state is WorkState.CANCELLED
    assert not (world.services.settings.data / "work").exists()


def test_pages_show_work_and_hand_out_its_file(world: AdminWorld) -> None:
    person, works = a_person(world, ADMINISTRATOR), world.admin.works
    with world.services.database.read() as connection:
        caller = replace(somebody(world), id=person.id, access=access_of(connection, person))
    with closing(browser(world, person)) as client:
        assert "Nothing is under way" in client.get("/work").text
        with held(works, caller) as work:
            page = client.get(f"/work/{work.id}").text
            assert "Under way" in page
            assert "<progress" in page
            assert client.get(f"/work/{work.id}/file").status_code == 404
            token = _CSRF.search(page)
            assert token is not None
            assert client.post(f"/work/{work.id}/cancel", data={"csrf": token[1]}).headers["location"] == "/work"
            settled(works, caller, work)
        assert "Cancelled" in client.get("/work").text

        work = settled(works, caller, works.start(caller, "Export", write, origin="/devices"))
        file = client.get(f"/work/{work.id}/file")
        assert file.content == b"0\r\n1\r\n2\r\n"
        assert file.headers["content-disposition"] == 'attachment; filename="devices.csv"'
        assert file.headers["cache-control"] == "no-store"
        assert "Save devices.csv" in client.get(f"/work/{work.id}").text
    works.close()
