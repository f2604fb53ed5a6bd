"""The audit log in the admin center: found by who, what, object and time; compared; exported; hostile text inert."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from tests.portal.test_role_pages import send
from tests.support.admin import AdminWorld, Client
from tests.support.long_work import file_of
from tests.support.samples import counted_id

from shieldwall.server.storage.events import audit, audit_search
from shieldwall.server.storage.events.audit_search import AuditSearch
from shieldwall.server.storage.records import AuditEvent

HOSTILE = "=cmd|' /C calc'!A0<script>"


def note(world: AdminWorld, number: int, **columns: str) -> AuditEvent:
    """Let something have been done, so many minutes after noon."""
    event = AuditEvent(
        id=counted_id("d", number),
        tenant_id=world.services.tenant.id,
        at=world.clock.now() + timedelta(minutes=number),
        **{
            "actor": "person:ada@example.org",
            "activity": "policy.changed",
            "object_kind": "policy",
            "object_id": counted_id("a", 1),
            "details": '{"name":"Baseline"}',
            **columns,
        },
    )
    with world.writing() as connection:
        audit.add(connection, event)
    return event


def rows_of(page: str) -> list[str]:
    return re.findall(r'<td><a href="/audit/([0-9a-f-]{36})"', page)


def test_it_is_searched_by_each_field(world: AdminWorld, ada: Client) -> None:
    mine = note(world, 1)
    other = note(world, 2, actor="app:Pipeline", activity="group.created", object_kind="group", object_id="g1")
    late = note(world, 3 * 24 * 60, activity="policy.deleted", details='{"name":"50% Übung"}')

    def found(query: str) -> set[str]:
        return set(rows_of(ada.get(f"/audit?{query}").text)) & {mine.id, other.id, late.id}

    assert found("who=ada@example") == {mine.id, late.id}
    assert found("who=app:Pipeline") == {other.id}
    assert found("what=policy.*") == {mine.id, late.id}
    assert found("what=group.created") == {other.id}
    assert found("object=g1") == {other.id}
    assert found("object=g1&what=policy.changed") == set()
    assert found("text=50%25+%C3%9Cbung") == {late.id}
    assert found("text=5%25") == set()
    assert found(f"from={late.at:%Y-%m-%d}") == {late.id}
    assert found(f"to={mine.at:%Y-%m-%d}") == {mine.id, other.id}
    assert ada.get("/audit?from=yesterday").status_code == 400


def test_somebody_is_found_by_part_of_their_name(world: AdminWorld, ada: Client) -> None:
    mine = note(world, 1, actor="person:ada@contoso.example")
    page = ada.get("/audit?who=AD").text

    assert mine.id in rows_of(page)
    assert "Newest" not in page


def test_pages_follow_each_other_without_gap(world: AdminWorld, ada: Client) -> None:
    for number in range(1, 106):
        note(world, number, object_id="many")
    seen: list[str] = []
    query = "?object=many"
    while query:
        page = ada.get(f"/audit{query}").text
        seen += rows_of(page)
        following = re.search(r'href="(\?[^"]+)">Older', page)
        query = following[1].replace("&amp;", "&") if following else ""

    assert seen == [counted_id("d", number) for number in range(105, 0, -1)]


def test_a_long_search_says_how_far_it_looked(world: AdminWorld, ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    old = note(world, 1, details='{"name":"needle"}')
    for number in range(2, 12):
        note(world, number)
    monkeypatch.setattr(audit_search, "SCANNED", 5)
    page = ada.get("/audit?text=needle").text
    seen = 0
    while not rows_of(page):
        assert "Looked back to" in page
        following = re.search(r'href="(\?[^"]+)">Look further back', page)
        assert following is not None
        page = ada.get(f"/audit{following[1].replace('&amp;', '&')}").text
        seen += 1

    assert seen == 2
    assert rows_of(page) == [old.id]


def test_several_actors_are_merged_in_order(world: AdminWorld) -> None:
    events = [note(world, number, actor=f"person:{'ab'[number % 2]}") for number in range(1, 8)]
    with world.services.database.read() as connection:
        wanted = AuditSearch(actors=("person:a", "person:b"))
        first = audit_search.search(connection, world.services.tenant.id, wanted, size=4, after=None)
        rest = audit_search.search(connection, world.services.tenant.id, wanted, size=4, after=first.following)

    assert [*first.events, *rest.events] == events[::-1]
    assert rest.following is None


def test_an_event_is_compared_with_what_was_recorded_before(world: AdminWorld, ada: Client) -> None:
    note(world, 1, activity="role.created", details='{"name":"Desk","actions":["read","sync"]}', object_id="r1")
    event = note(
        world, 2, activity="role.changed", details='{"name":"Desk","actions":["read","retire"]}', object_id="r1"
    )
    both = note(world, 3, details='{"before":{"days":30,"same":1},"after":{"days":60,"same":1}}', object_id="r2")
    page, states = ada.get(f"/audit/{event.id}").text, ada.get(f"/audit/{both.id}").text

    assert '<bdi class="before">sync</bdi>' in page
    assert '<bdi class="after">retire</bdi>' in page
    assert "1 entry stayed" in page
    assert '<bdi class="before">30</bdi>' in states
    assert "same" not in states


def test_the_acts_of_one_request_stand_together(ada: Client) -> None:
    status, path = send(ada, "/people", display_name="Grace", user_name="grace@example.org", role="none")
    assert status == 200, path
    page = ada.get("/audit?what=person.created&text=grace").text
    event = ada.get(f"/audit/{rows_of(page)[0]}").text

    assert "Done by the same request" in event


def test_it_is_exported_and_nothing_in_it_is_a_formula(world: AdminWorld, ada: Client) -> None:
    note(world, 1, object_id="x1", details=f'{{"name":"{HOSTILE}"}}')
    for kind, expected in (("csv", "\"'=cmd|"), ("json", '"objectName":"=cmd|')):
        status, work = send(ada, f"/audit/export/{kind}", object="x1")
        assert status == 303
        text = file_of(ada, work).text
        assert "policy.changed" in text
        assert expected in text or expected.strip('"') in text
    assert "<script>" not in ada.get("/audit?object=x1").text
    assert ada.post("/audit/export/exe", data={}).status_code == 403
