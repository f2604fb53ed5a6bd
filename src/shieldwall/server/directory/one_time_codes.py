"""One-time codes: how a person gets in who has nothing else, at first and after losing it. Another person makes them.

A code is good for fifteen minutes and one use. It is 256 random bits of which we keep the SHA-256 alone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.sessions import digest_of_token, new_token
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.identity import invitations, passkeys, people
from shieldwall.server.storage.identity.invitations import Invitation
from shieldwall.server.storage.identity_records import Person

INVITATION_LIFETIME: Final = timedelta(minutes=15)
ALERT: Final = "recoveryCode"
"""Kind of the alert that somebody who could sign in by themselves was given a code."""


class InvalidInvitationError(ShieldwallError):
    """The code is unknown, expired or used; which of them is not said."""

    code = "invalidInvitation"
    remedy = "Ask for a new invitation: shieldwall server admin invite."


def make(
    connection: Connection, acting: Acting, person: Person, *, make_token: Callable[[], str] = new_token
) -> tuple[str, Invitation]:
    """Make a code for a person, who has no other from then on; return it with what is kept of it.

    Whoever has a passkey and is given a code has lost it, or is impersonated: all administrators are alerted.
    """
    now = acting.clock.now()
    code = make_token()
    invitations.remove_expired(connection, now)
    invitations.remove_of_person(connection, person.id)
    invitation = Invitation(
        code_digest=digest_of_token(code),
        tenant_id=person.tenant_id,
        display_name=person.display_name,
        expires_at=now + INVITATION_LIFETIME,
        person_id=person.id,
    )
    invitations.add(connection, invitation)
    acting.record(connection, "person.codeMade", "person", person.id, name=person.display_name)
    if passkeys.of_person(connection, person.id):
        _alert(connection, acting, person, now)
    return code, invitation


def use(connection: Connection, acting: Acting, code: str) -> Person:
    """Use a code up and return whose it is.

    Raises:
        InvalidInvitationError: The code is unknown, expired or used, or the person is switched off.
    """
    invitation = invitations.use(connection, digest_of_token(code), acting.clock.now())
    person = None if invitation is None else people.find(connection, invitation.person_id)
    if person is None or not person.enabled:
        raise InvalidInvitationError("This sign-in link is not valid any more.")
    return person


def _alert(connection: Connection, acting: Acting, person: Person, now: datetime) -> None:
    alerts.raise_alert(
        connection,
        Alert(
            id=acting.new_id(),
            tenant_id=person.tenant_id,
            device_id=None,
            kind=ALERT,
            severity=Severity.MEDIUM,
            title=f"A one-time code was made for {person.display_name[:128]}, who has a passkey",
            details=encode({"person": person.id, "by": acting.actor}).decode(),
            first_at=now,
            last_at=now,
        ),
    )
