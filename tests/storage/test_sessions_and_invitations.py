from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.samples import NOON, TENANT_ID, counted_id

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.identity import invitations, people, sessions
from shieldwall.server.storage.identity.invitations import Invitation
from shieldwall.server.storage.identity_records import Person, ProofMethod, Session

LATER = NOON + timedelta(minutes=15)
TOKEN, CODE = digest_of_bytes(b"token"), digest_of_bytes(b"code")
ADA = Person(
    id=counted_id("8", 1),
    tenant_id=TENANT_ID,
    user_name="ada",
    display_name="Ada",
    created_at=NOON,
    valid_from=NOON,
)
SESSION = Session(
    token_digest=TOKEN,
    tenant_id=TENANT_ID,
    person_id=ADA.id,
    proved_at=NOON,
    method=ProofMethod.CODE,
    display_name="Ada",
    created_at=NOON,
    last_seen_at=NOON,
    expires_at=LATER,
)
INVITATION = Invitation(code_digest=CODE, tenant_id=TENANT_ID, display_name="Ada", expires_at=LATER, person_id=ADA.id)


@pytest.fixture(autouse=True)
def ada(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        people.add(connection, ADA)


def test_a_session_lives_until_it_is_removed(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        sessions.add(connection, SESSION)
        assert sessions.find(connection, TOKEN) == SESSION
        assert sessions.find(connection, CODE) is None
        sessions.remove(connection, TOKEN)
        sessions.remove(connection, TOKEN)
        assert sessions.find(connection, TOKEN) is None


def test_a_session_is_never_seen_earlier_than_before(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        sessions.add(connection, SESSION)
        sessions.seen(connection, TOKEN, LATER)
        sessions.seen(connection, TOKEN, NOON)
        assert sessions.find(connection, TOKEN) == replace(SESSION, last_seen_at=LATER)


def test_only_sessions_past_their_end_are_forgotten(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        sessions.add(connection, SESSION)
        assert sessions.remove_expired(connection, LATER - timedelta(seconds=1)) == 0
        assert sessions.remove_expired(connection, LATER) == 1


def test_an_invitation_is_used_once_and_in_time(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        invitations.add(connection, INVITATION)
        assert invitations.use(connection, TOKEN, NOON) is None
        assert invitations.use(connection, CODE, LATER) is None
        assert invitations.use(connection, CODE, NOON) == replace(INVITATION, used_at=NOON)
        assert invitations.use(connection, CODE, NOON) is None


def test_of_many_in_parallel_one_uses_an_invitation(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        invitations.add(connection, INVITATION)

    def use(_: int) -> Invitation | None:
        with tenant_database.write() as connection:
            return invitations.use(connection, CODE, NOON)

    with ThreadPoolExecutor(max_workers=10) as pool:
        assert sum(used is not None for used in pool.map(use, range(20))) == 1


def test_only_expired_invitations_are_forgotten(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        invitations.add(connection, INVITATION)
        assert invitations.remove_expired(connection, NOON) == 0
        assert invitations.remove_expired(connection, LATER) == 1


def test_neither_shows_its_secret() -> None:
    assert TOKEN not in repr(SESSION)
    assert CODE not in repr(INVITATION)
