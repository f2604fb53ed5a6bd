from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection
from tests.support.office import Office
from tests.support.samples import NOON, TENANT_ID, a_tenant, counted_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.directory import administrators, sessions
from shieldwall.server.directory.administrators import InvalidAdministratorError
from shieldwall.server.directory.one_time_codes import InvalidInvitationError
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.identity_records import Session
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tenants import tenants


def sign_in(connection: Connection, office: Office) -> tuple[Session, str]:
    code = administrators.invite(connection, office.acting, display_name="Grace")
    return administrators.redeem(connection, office.acting, code)


def test_a_code_lets_one_person_in_once(connection: Connection, office: Office) -> None:
    code = administrators.invite(connection, office.acting, display_name="Grace")
    session, token = administrators.redeem(connection, office.acting, code)
    assert (session.display_name, session.expires_at) == ("Grace", NOON + timedelta(hours=8))
    assert sessions.session_of(connection, token, now=NOON) == session
    with pytest.raises(InvalidInvitationError):
        administrators.redeem(connection, office.acting, code)
    assert [event.activity for event in office.trail(connection)] == [
        "role.assigned",
        "person.codeMade",
        "administrator.invited",
        "administrator.signedIn",
    ]


def test_a_code_expires_after_a_quarter_of_an_hour(connection: Connection, office: Office) -> None:
    code = administrators.invite(connection, office.acting, display_name="Grace")
    office.clock.advance(minutes=15)
    with pytest.raises(InvalidInvitationError):
        administrators.redeem(connection, office.acting, code)


def test_a_code_lets_into_its_own_tenant_and_no_other(connection: Connection, office: Office) -> None:
    other = TenantId(counted_id("1", 1))
    tenants.add(connection, a_tenant(id=other, domain="other.example"))
    code = administrators.invite(connection, office.acting.within(other), display_name="Eve")

    session, _ = administrators.redeem(connection, office.acting, code)

    assert session.tenant_id == other
    events = audit.list_events(connection, other, Page())
    assert {event.activity for event in events} == {
        "administrator.signedIn",
        "administrator.invited",
        "role.assigned",
        "person.codeMade",
    }
    assert audit.list_events(connection, TENANT_ID, Page()) == ()


def test_a_code_of_nobody_lets_nobody_in(connection: Connection, office: Office) -> None:
    for tried in ("", "guess", "\ud800"):
        with pytest.raises(InvalidInvitationError):
            administrators.redeem(connection, office.acting, tried)


def test_nobody_is_invited_without_a_name(connection: Connection, office: Office) -> None:
    for name in ("", "  ", "x" * 257, "a\nb"):
        with pytest.raises(InvalidAdministratorError):
            administrators.invite(connection, office.acting, display_name=name)


def test_neither_code_nor_token_is_kept(connection: Connection, office: Office) -> None:
    code = administrators.invite(connection, office.acting, display_name="Grace")
    _, token = administrators.redeem(connection, office.acting, code)
    for table in ("invitations", "sessions", "audit_events"):
        rows = repr(connection.exec_driver_sql(f"SELECT * FROM {table}").all())  # noqa: S608 - names of ours
        assert code not in rows
        assert token not in rows


def test_an_idle_session_ends_after_a_quarter_of_an_hour(connection: Connection, office: Office) -> None:
    _, token = sign_in(connection, office)
    assert sessions.session_of(connection, token, now=NOON + timedelta(minutes=15, seconds=-1))
    assert sessions.session_of(connection, token, now=NOON + timedelta(minutes=15)) is None


def test_a_session_in_use_lasts_eight_hours_and_no_longer(connection: Connection, office: Office) -> None:
    _, token = sign_in(connection, office)
    now = NOON
    while (session := sessions.session_of(connection, token, now=now)) is not None:
        if sessions.needs_note(session, now=now):
            sessions.note_use(connection, session, now=now)
        now += timedelta(minutes=10)
    assert now == NOON + timedelta(hours=8)


def test_a_use_is_noted_at_most_once_a_minute(connection: Connection, office: Office) -> None:
    session, _ = sign_in(connection, office)
    assert not sessions.needs_note(session, now=NOON + timedelta(seconds=59))
    assert sessions.needs_note(session, now=NOON + timedelta(seconds=60))


def test_a_session_that_was_signed_out_is_over(connection: Connection, office: Office) -> None:
    session, token = sign_in(connection, office)
    _, other_token = sign_in(connection, office)
    sessions.sign_out(connection, office.acting, session)
    assert sessions.session_of(connection, token, now=NOON) is None
    assert sessions.session_of(connection, other_token, now=NOON) is not None
