"""People in the admin center: invited with a one-time code, signed in by a session.

A code is good for fifteen minutes and one use; a session ends after fifteen idle minutes, and after eight hours in any
case. Both are 256 random bits of which we keep the SHA-256 alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import Digest
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.access.roles import ADMINISTRATOR, Role
from shieldwall.server.directory.access_of_people import make_administrator
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.names import is_name
from shieldwall.server.storage import invitations, people, sessions
from shieldwall.server.storage.identity_records import Person, ProofMethod, Session
from shieldwall.server.storage.invitations import Invitation

INVITATION_LIFETIME: Final = timedelta(minutes=15)
IDLE_LIFETIME: Final = timedelta(minutes=15)
SESSION_LIFETIME: Final = timedelta(hours=8)
NOTE_EVERY: Final = timedelta(minutes=1)
"""How stale the note of a session's last use may be, so that not every page view writes."""


class InvalidInvitationError(ShieldwallError):
    """The code is unknown, expired or used; which of them is not said."""

    code = "invalidInvitation"
    remedy = "Ask for a new invitation: shieldwall server admin invite."


class InvalidAdministratorError(ShieldwallError):
    """Nobody can be invited under that name."""

    code = "invalidAdministrator"
    remedy = "Give the name of the person you invite."


def new_token() -> str:
    """Make a code or token of 256 random bits."""
    return secrets.token_urlsafe(32)


def invite(
    connection: Connection,
    acting: Acting,
    *,
    display_name: str,
    user_name: str = "",
    sees_tenants: bool = False,
    role: Role = ADMINISTRATOR,
    make_token: Callable[[], str] = new_token,
) -> str:
    """Invite a person and return the code that lets them in once.

    Somebody new, with a ``user_name`` that nobody has, gets the ``role`` in the whole tenant. ``sees_tenants`` lets
    somebody of the server's own tenant see the figures of all others as well.

    Raises:
        InvalidAdministratorError: The name is empty, too long or holds control characters.
    """
    if not is_name(display_name) or not is_name(user_name or display_name):
        raise InvalidAdministratorError("An administrator's name has 1 to 256 plain characters.")
    now = acting.clock.now()
    wanted = Person(
        id=acting.new_id(),
        tenant_id=acting.tenant_id,
        user_name=(user_name or display_name).lower(),
        display_name=display_name,
        sees_tenants=sees_tenants,
        created_at=now,
        valid_from=now,
    )
    person = _person(connection, acting, wanted, role)
    code = make_token()
    invitations.remove_expired(connection, now)
    invitations.add(
        connection,
        Invitation(
            code_digest=_digest(code),
            tenant_id=acting.tenant_id,
            display_name=display_name,
            expires_at=now + INVITATION_LIFETIME,
            person_id=person.id,
        ),
    )
    told = {"seesTenants": True} if sees_tenants else {}
    acting.record(connection, "administrator.invited", "administrator", display_name[:128], **told)
    return code


def _person(connection: Connection, acting: Acting, wanted: Person, role: Role) -> Person:
    """Return the person who has the user name already, else the one wanted, new and with the role."""
    found = people.find_by_user_name(connection, acting.tenant_id, wanted.user_name)
    if found is not None:
        people.change(connection, replace(found, sees_tenants=wanted.sees_tenants or found.sees_tenants))
        return found
    people.add(connection, wanted)
    make_administrator(connection, acting, wanted, role)
    return wanted


def redeem(
    connection: Connection, acting: Acting, code: str, *, make_token: Callable[[], str] = new_token
) -> tuple[Session, str]:
    """Let a person into the tenant of their code; return the session and its token, which we do not keep.

    Raises:
        InvalidInvitationError: The code is unknown, expired or used, or the person is switched off.
    """
    now = acting.clock.now()
    invitation = invitations.use(connection, _digest(code), now)
    person = None if invitation is None else people.find(connection, invitation.person_id)
    if person is None or not person.enabled:
        raise InvalidInvitationError("This sign-in link is not valid any more.")
    token = make_token()
    session = Session(
        token_digest=_digest(token),
        tenant_id=person.tenant_id,
        person_id=person.id,
        display_name=person.display_name,
        created_at=now,
        last_seen_at=now,
        expires_at=now + SESSION_LIFETIME,
        proved_at=now,
        method=ProofMethod.CODE,
    )
    sessions.remove_expired(connection, now)
    sessions.add(connection, session)
    people.signed_in(connection, person.id, now)
    signed_in = acting.within(session.tenant_id)
    signed_in.record(connection, "administrator.signedIn", "administrator", session.display_name[:128])
    return session, token


def session_of(connection: Connection, token: str, *, now: datetime) -> Session | None:
    """Return the session of a token while it lasts, else ``None``."""
    session = sessions.find(connection, _digest(token))
    if session is None or now >= session.expires_at or now >= session.last_seen_at + IDLE_LIFETIME:
        return None
    return session


def needs_note(session: Session, *, now: datetime) -> bool:
    """Whether ``note_use`` should be called, which needs a write transaction."""
    return now >= session.last_seen_at + NOTE_EVERY


def note_use(connection: Connection, session: Session, *, now: datetime) -> None:
    """Note that a session is in use, so that it does not end as idle."""
    sessions.seen(connection, session.token_digest, now)


def sign_out(connection: Connection, acting: Acting, session: Session) -> None:
    """End a session: its token is worth nothing from now on."""
    sessions.remove(connection, session.token_digest)
    signed_out = acting.within(session.tenant_id)
    signed_out.record(connection, "administrator.signedOut", "administrator", session.display_name[:128])


def _digest(text: str) -> Digest:
    return digest_of_bytes(text.encode("utf-8", "replace"))
