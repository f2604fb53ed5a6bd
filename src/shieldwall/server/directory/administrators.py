"""Administrators: invited with a one-time code, which lets them in once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.roles import ADMINISTRATOR, Role
from shieldwall.server.directory import one_time_codes, sessions
from shieldwall.server.directory.access_of_people import make_administrator
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.names import is_name
from shieldwall.server.directory.sessions import new_token
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity_records import Person, ProofMethod, Session


class InvalidAdministratorError(ShieldwallError):
    """Nobody can be invited under that name."""

    code = "invalidAdministrator"
    remedy = "Give the name of the person you invite."


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
    code, _ = one_time_codes.make(connection, acting, person, make_token=make_token)
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
    connection: Connection,
    acting: Acting,
    code: str,
    *,
    client: str = "",
    make_token: Callable[[], str] = new_token,
) -> tuple[Session, str]:
    """Let a person into the tenant of their code; return the session and its token, which we do not keep.

    Raises:
        InvalidInvitationError: The code is unknown, expired or used, or the person is switched off.
    """
    person = one_time_codes.use(connection, acting, code)
    return sessions.begin(connection, acting, person, ProofMethod.CODE, client=client, make_token=make_token)
