"""People, one's own account, and retention in the admin center."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import timedelta

from tests.portal.test_role_pages import send
from tests.support.admin import AdminWorld, Client
from tests.support.long_work import finished
from tests.support.people import a_person, browser
from tests.support.samples import counted_id

from shieldwall.server.access.roles import HELP_DESK_OPERATOR, READ_ONLY_OPERATOR
from shieldwall.server.directory import people
from shieldwall.server.portal.settings.retention_pages import ROWS
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.reports import retention
from shieldwall.server.storage.reports.retention import Horizon


def names_in(page: str) -> list[str]:
    return re.findall(r'<a href="/people/[0-9a-f-]{36}"><bdi>([^<]*)</bdi>', page)


def test_people_are_listed_by_name_searched_and_paged(world: AdminWorld, ada: Client) -> None:
    for number in range(60):
        a_person(world, None, name=f"Person {59 - number:02}")
    first = ada.get("/people").text
    following = re.search(r'href="(/people\?search=&amp;after=[0-9a-f-]+)"', first)
    assert following is not None
    rest = ada.get(following[1].replace("&amp;", "&")).text

    assert names_in(first) + names_in(rest) == ["Ada", *(f"Person {number:02}" for number in range(60))]
    assert names_in(ada.get("/people?search=PERSON+1").text) == [f"Person {number}" for number in range(10, 20)]
    assert "Nobody is called so." in ada.get("/people?search=nobody").text


def test_a_wrong_invitation_comes_back_as_it_was_typed(ada: Client) -> None:
    status, page = send(ada, "/people", display_name="Zoe", user_name="zoe", role=HELP_DESK_OPERATOR.id)

    assert status == 400
    assert 'value="Zoe"' in page
    assert f'<option value="{HELP_DESK_OPERATOR.id}" selected>' in page


def test_somebody_is_deleted_only_after_a_question(world: AdminWorld, ada: Client) -> None:
    person = a_person(world, READ_ONLY_OPERATOR)
    asked = ada.get(f"/people/{person.id}/delete").text
    with world.services.database.read() as connection:
        assert people.get(connection, world.services.tenant.id, person.id).id == person.id

    assert "The audit log keeps what they did." in asked
    assert send(ada, f"/people/{person.id}/delete") == (303, "/people")
    assert ada.get(f"/people/{person.id}").status_code == 404


def test_whoever_is_signed_in_sees_what_they_may_do_themselves(world: AdminWorld) -> None:
    with closing(browser(world, a_person(world, HELP_DESK_OPERATOR, tags=["0"]))) as client:
        page = client.get("/account").text
        refused = client.get("/access").status_code

    assert "Help Desk Operator" in page
    assert "Let devices check in at once." in page
    assert "Only with the scope tags:" in page
    assert "/role-assignments" not in page
    assert refused == 403


def test_retention_counts_on_request_alone_and_cleans_up_now(world: AdminWorld, ada: Client) -> None:
    long_ago = world.clock.now() - timedelta(days=400)
    old = Alert(
        id=counted_id("7", 1),
        tenant_id=world.services.tenant.id,
        device_id=None,
        kind="clonedIdentity",
        severity=Severity.HIGH,
        title="Long ago",
        details="{}",
        first_at=long_ago,
        last_at=long_ago,
    )
    with world.writing() as connection:
        alerts.raise_alert(connection, old)
        alerts.resolve(connection, old.id, by="ada", at=long_ago)
    plain, counted = ada.get("/retention").text, ada.get("/retention?preview=yes").text
    status, work = send(ada, "/retention/clean-up")
    finished(ada, work)

    assert "365 days" in plain
    assert "What the rules let go now" not in plain
    assert "What the rules let go now" in counted
    assert "Resolved alerts" in counted
    assert status == 303
    with world.services.database.read() as connection:
        assert alerts.find(connection, old.tenant_id, old.id) is None


def test_every_kind_of_traces_has_words(world: AdminWorld) -> None:
    now = world.clock.now()
    with world.services.database.read() as connection:
        horizon = Horizon(now=now, sightings=now, events=now, history=now)
        counted = retention.count_old(connection, world.services.tenant.id, horizon)

    assert counted.keys() == ROWS.keys()
