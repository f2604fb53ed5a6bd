"""Signed in or not: the session cookie, and the proof that a form came from our own page."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.authorization import PERSON, Principal, UnauthenticatedError
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import sessions
from shieldwall.server.directory.access_of_people import access_of
from shieldwall.server.directory.sessions import SESSION_LIFETIME
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity_records import Session

COOKIE: Final = "__Host-shieldwall"
ADMINISTRATOR: Final = "Shieldwall.Portal.Administrator"
"""What a session may do: everything in the admin center of its tenant."""
UNNOTED: Final[dict[str, Any]] = {"unnoted": True}
"""Declares a route that a page asks for by itself: being asked for it does not keep a session alive."""
TENANTS: Final = "Shieldwall.Portal.Tenants"
"""What some sessions of the server's own tenant may do beside: see the figures of all tenants."""

Connection = ASGIConnection[Any, Any, Any, Any]


class ForgedFormError(ShieldwallError):
    """A form that did not come from the page it claims to."""

    code = "forgedForm"
    remedy = "Open the page again and repeat what you did there."


def principal_of(services: AdminServices, connection: Connection, *, unnoted: bool = False) -> Principal:
    """Find who is signed in, and note that the session is in use unless the page asked by itself.

    Raises:
        UnauthenticatedError: Nobody is.
    """
    session = find_session(services, connection)
    if session is None:
        raise UnauthenticatedError("Nobody is signed in.", remedy="Sign in again with a new link.")
    tenant = services.tenancy.get(session.tenant_id)  # and known from here on: no later step of the request waits
    now = services.clock.now()
    refreshing = unnoted or "x-requested-for" in connection.headers  # a page left open must not keep its session alive
    if not refreshing and sessions.needs_note(session, now=now):
        with services.database.write() as transaction:
            sessions.note_use(transaction, session, now=now)
    with services.database.read() as transaction:
        person = people.find(transaction, session.person_id)
        if person is None or not person.enabled or session.created_at < person.valid_from:
            raise UnauthenticatedError("Nobody is signed in.", remedy="Sign in again with a new link.")
        access = access_of(transaction, person)
    sees_tenants = person.sees_tenants and person.tenant_id == services.settings.tenant_id
    return Principal(
        kind=PERSON,
        id=person.id,
        display_name=person.display_name,
        tenant_id=person.tenant_id,
        permissions=frozenset({ADMINISTRATOR, TENANTS} if sees_tenants else {ADMINISTRATOR}),
        access=access,
        proved_at=session.proved_at,
        user_name=person.principal_name(tenant.domain),
    )


def find_session(services: AdminServices, connection: Connection) -> Session | None:
    """Return the session of the cookie while it lasts."""
    token = connection.cookies.get(COOKIE)
    if not token:
        return None
    with services.database.read() as transaction:
        return sessions.session_of(transaction, token, now=services.clock.now())


def session_cookie(token: str, max_age: int = int(SESSION_LIFETIME.total_seconds())) -> Cookie:
    """Make the cookie of a session: for this host alone, out of reach of scripts and of other sites."""
    return Cookie(
        key=COOKIE,
        value=token,
        path="/",
        secure=True,
        httponly=True,
        samesite="strict",
        max_age=max_age,
    )


def form_token(connection: Connection) -> str:
    """Derive the token that every form carries from the session's own."""
    return form_token_of(connection.cookies.get(COOKIE, ""))


def form_token_of(session_token: str) -> str:
    """Derive the token that the forms of a session carry."""
    return hmac.new(session_token.encode(), b"shieldwall form", hashlib.sha256).hexdigest()


def check_form(services: AdminServices, connection: Connection, form: Mapping[str, str]) -> None:
    """Refuse a form that was not on our page. Raises: ForgedFormError."""
    check_origin(services, connection)
    if not hmac.compare_digest(form.get("csrf", "").encode(), form_token(connection).encode()):
        raise ForgedFormError("The form does not belong to this session.")


def check_origin(services: AdminServices, connection: Connection) -> None:
    """Refuse what another site sends. Raises: ForgedFormError."""
    if connection.headers.get("origin") != services.settings.public_url:
        raise ForgedFormError("The form was sent from another site.")
