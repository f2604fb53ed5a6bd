"""Rules about people that hold whoever comes, on both engines."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import Connection, func, select
from tests.support.office import Office
from tests.support.samples import NOON, TENANT_ID, a_tenant, counted_id
from tests.support.second_tenant import FABRIKAM

from shieldwall.server.access.actions import EVERYTHING, ResourceAction
from shieldwall.server.access.grants import FULL, Access, Grant, Scope
from shieldwall.server.access.roles import ADMINISTRATOR, READ_ONLY_OPERATOR
from shieldwall.server.directory import administrators, challenges, one_time_codes, people, sessions
from shieldwall.server.directory.challenges import SignInExpiredError
from shieldwall.server.directory.people import LastAdministratorError, OutrankedError, PersonDraft
from shieldwall.server.storage.access import role_assignments
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.identity import invitations
from shieldwall.server.storage.identity import people as stored
from shieldwall.server.storage.identity.sign_in_attempts import Purpose
from shieldwall.server.storage.identity_records import Person, ProofMethod
from shieldwall.server.storage.tables.identity_schema import sign_in_attempts
from shieldwall.server.storage.tenants import tenants


def administrator(connection: Connection, office: Office, name: str = "Ada") -> Person:
    administrators.invite(connection, office.acting, display_name=name)
    found = stored.find_by_user_name(connection, TENANT_ID, name.lower())
    assert found is not None
    return found


def plain(connection: Connection, office: Office, name: str = "grace") -> Person:
    return people.create(connection, office.acting, user_name=f"{name}@contoso.example", display_name=name.title())


def test_a_tenant_keeps_its_last_administrator(connection: Connection, office: Office) -> None:
    ada = administrator(connection, office)
    plain(connection, office)
    with pytest.raises(LastAdministratorError):
        people.delete(connection, office.acting, ada)
    with pytest.raises(LastAdministratorError):
        people.change(connection, office.acting, ada, PersonDraft(enabled=False))

    bea = administrator(connection, office, "Bea")
    people.change(connection, office.acting, ada, PersonDraft(enabled=False))
    with pytest.raises(LastAdministratorError):
        people.delete(connection, office.acting, bea)


def test_who_is_gone_is_named_by_no_role_assignment(connection: Connection, office: Office) -> None:
    ada, bea = administrator(connection, office), administrator(connection, office, "Bea")
    (of_ada, of_bea) = role_assignments.all_of_tenant(connection, TENANT_ID)
    role_assignments.put(connection, replace(of_bea, members=(ada.id, bea.id)))

    people.delete(connection, office.acting, ada)

    (left,) = role_assignments.all_of_tenant(connection, TENANT_ID)
    assert (left.id, left.members) == (of_bea.id, (bea.id,))
    assert of_ada.members == (ada.id,)


def test_nobody_gets_hold_of_more_than_they_have(connection: Connection, office: Office) -> None:
    ada, grace = administrator(connection, office), plain(connection, office)
    mine = Access((Grant(frozenset({ResourceAction.UPDATE_PEOPLE, ResourceAction.READ_PEOPLE})),))
    narrowed = Access((Grant(EVERYTHING, Scope(tags=frozenset({"1"}))),))

    people.require_no_less(connection, mine, grace)
    people.require_no_less(connection, FULL, ada)
    for caller in (mine, narrowed):
        with pytest.raises(OutrankedError):
            people.require_no_less(connection, caller, ada)
        with pytest.raises(OutrankedError):
            people.require_no_less(connection, caller, replace(ada, enabled=False))
        with pytest.raises(OutrankedError):
            people.give_role(connection, office.acting, grace, ADMINISTRATOR, giver=caller)
    people.give_role(connection, office.acting, grace, READ_ONLY_OPERATOR, giver=FULL)


def test_switching_off_ends_sessions_and_codes(connection: Connection, office: Office) -> None:
    administrator(connection, office)
    grace = plain(connection, office)
    code, _ = one_time_codes.make(connection, office.acting, grace)
    _, token = sessions.begin(connection, office.acting, grace, ProofMethod.PASSKEY)

    off = people.change(connection, office.acting, grace, PersonDraft(enabled=False))

    assert sessions.session_of(connection, token, now=office.clock.now()) is None
    assert invitations.open_of_person(connection, grace.id, office.clock.now()) == ()
    with pytest.raises(one_time_codes.InvalidInvitationError):
        one_time_codes.use(connection, office.acting, code)
    people.change(connection, office.acting, off, PersonDraft(enabled=True))
    assert sessions.session_of(connection, token, now=office.clock.now()) is None


def test_a_code_works_until_the_next_one_is_made(connection: Connection, office: Office) -> None:
    grace = plain(connection, office)
    first, _ = one_time_codes.make(connection, office.acting, grace)
    second, _ = one_time_codes.make(connection, office.acting, grace)

    with pytest.raises(one_time_codes.InvalidInvitationError):
        one_time_codes.use(connection, office.acting, first)
    assert one_time_codes.use(connection, office.acting, second) == grace


def test_somebody_is_found_by_name_with_the_domain_or_without(connection: Connection, office: Office) -> None:
    tenant, ada, grace = a_tenant(), administrator(connection, office), plain(connection, office)

    for name in ("ada", " ADA ", f"Ada@{tenant.domain}"):
        assert people.named(connection, tenant, name) == ada
    for name in ("grace@contoso.example", "Grace@Contoso.Example"):
        assert people.named(connection, tenant, name) == grace
    assert people.named(connection, tenant, "nobody") is None
    assert people.principal_name(ada, tenant) == f"ada@{tenant.domain}"
    assert people.principal_name(grace, tenant) == "grace@contoso.example"


def test_a_person_of_another_tenant_is_not_there(connection: Connection, office: Office) -> None:
    grace = plain(connection, office)

    with pytest.raises(NotFoundError):
        people.get(connection, FABRIKAM, grace.id)
    with pytest.raises(NotFoundError):
        people.get(connection, TENANT_ID, counted_id("e", 9))


def test_a_question_is_answered_once_by_its_browser_for_its_purpose(connection: Connection, office: Office) -> None:
    grace = plain(connection, office)
    asked = challenges.ask(connection, office.acting, Purpose.CONFIRM, browser="one", person_id=grace.id)

    def answer(purpose: Purpose = Purpose.CONFIRM, browser: str = "one", challenge: str = asked) -> None:
        challenges.answered(connection, office.acting, purpose, browser=browser, challenge=challenge)

    for wrong in ({"purpose": Purpose.SIGN_IN}, {"browser": "other"}, {"browser": ""}, {"challenge": ""}):
        with pytest.raises(SignInExpiredError):
            answer(**wrong)
    answer()
    with pytest.raises(SignInExpiredError):
        answer()


def test_a_question_of_somebody_is_not_answered_by_somebody_else(connection: Connection, office: Office) -> None:
    grace = plain(connection, office)
    asked = challenges.ask(connection, office.acting, Purpose.CONFIRM, browser="one", person_id=grace.id)

    with pytest.raises(SignInExpiredError):
        challenges.answered(
            connection, office.acting, Purpose.CONFIRM, browser="one", challenge=asked, person_id=counted_id("e", 9)
        )


def test_questions_are_forgotten_after_five_minutes(connection: Connection, office: Office) -> None:
    asked = challenges.ask(connection, office.acting, Purpose.SIGN_IN, browser="one")
    office.clock.advance(minutes=5)
    with pytest.raises(SignInExpiredError):
        challenges.answered(connection, office.acting, Purpose.SIGN_IN, browser="one", challenge=asked)
    challenges.ask(connection, office.acting, Purpose.SIGN_IN, browser="one")

    mine = select(func.count()).where(sign_in_attempts.c.tenant_id == TENANT_ID)
    assert connection.execute(mine).scalar_one() == 1


def test_a_proof_does_not_lengthen_a_session(connection: Connection, office: Office) -> None:
    grace = plain(connection, office)
    session, token = sessions.begin(connection, office.acting, grace, ProofMethod.CODE)
    office.clock.advance(minutes=14)

    renewed, other = sessions.prove_again(connection, office.acting, session, ProofMethod.PASSKEY)

    assert (renewed.created_at, renewed.expires_at) == (session.created_at, session.expires_at)
    assert (renewed.proved_at, renewed.method) == (office.clock.now(), ProofMethod.PASSKEY)
    assert sessions.session_of(connection, token, now=office.clock.now()) is None
    assert sessions.session_of(connection, other, now=office.clock.now()) == renewed
    assert session.created_at == NOON


def test_two_administrators_do_not_switch_each_other_off(database: Database, office: Office) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        pair = [administrator(connection, office, name) for name in ("Ada", "Bea")]
    refused: list[BaseException] = []

    def switch_off_the_other() -> None:
        try:
            with database.write() as connection:
                people.change(connection, office.acting, pair[1], PersonDraft(enabled=False))
        except LastAdministratorError as error:
            refused.append(error)

    second = threading.Thread(target=switch_off_the_other)
    with database.write() as connection:
        people.change(connection, office.acting, pair[0], PersonDraft(enabled=False))
        second.start()
        second.join(0.5)  # it has to wait for us, and to see what we did
    second.join(30)

    assert len(refused) == 1
    with database.read() as connection:
        assert people.count_administrators(connection, TENANT_ID) == 1
