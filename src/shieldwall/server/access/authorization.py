"""Who may call which route of the administrators' front doors.

Default-deny: a route that does not declare its audience stops the start-up.

A route carries its declaration in ``opt``: either ``PUBLIC``, or ``allow(...) | needs(...)``: the permissions of which
one suffices, and the action that a person's roles must grant. The guard runs before the handler, on every route, and
the gates after it look at what the path names (``server.admin``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.grants import FULL, Access

PERSON: Final = "person"
PROOF_LIFETIME: Final = timedelta(minutes=10)
"""How long a person's proof of who they are is fresh enough for a sensitive act."""
_PERMISSIONS: Final = "permissions"
_DEMAND: Final = "demand"


class UnauthenticatedError(ShieldwallError):
    """The request carries no token or session that we issued and that is still good."""

    code = "unauthenticated"
    remedy = "Ask the token endpoint for a new access token and send it as 'Authorization: Bearer …'."


class ForbiddenError(ShieldwallError):
    """The caller is known and may not do this."""

    code = "forbidden"
    remedy = "Ask an administrator for one of the permissions named."


class StepUpRequiredError(ShieldwallError):
    """The act is a sensitive one, and it is too long ago that the person proved who they are."""

    code = "stepUpRequired"
    remedy = "Prove again who you are, with your passkey, and repeat the request."


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whoever a token or a session speaks for.

    An application may what its ``permissions`` say. A person may what their roles grant (``access``), through a token
    no more than its ``permissions``, the scopes consented to, let through. ``proved_at`` is when the person last
    showed who they are; applications have none.
    """

    kind: str
    id: str
    display_name: str
    tenant_id: TenantId
    permissions: frozenset[str]
    access: Access = FULL
    proved_at: datetime | None = None
    user_name: str = ""
    """What a person is called that nobody else in the tenant is."""

    @property
    def actor(self) -> str:
        """How the audit trail names this principal."""
        return f"{self.kind}:{self.user_name or self.display_name}"

    @property
    def is_person(self) -> bool:
        """Whether roles decide, beside permissions."""
        return self.kind == PERSON


class Reach(StrEnum):
    """How far a route reaches, which decides what a grant narrowed by scope tags or groups lets through."""

    OPEN = "open"
    """It shows what is the same for all who may: the catalog, the organisation."""
    TENANT = "tenant"
    """It is about the whole tenant: a narrowed grant does not suffice. What is not declared is this."""
    OBJECT = "object"
    """It is about the object that its path names, which is looked at before the handler runs."""
    LISTED = "listed"
    """It lists, and leaves out what the caller does not see."""
    NAMED = "named"
    """It is about objects that the body names; the handler looks at each."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a route asks of a person's roles: to grant ``action`` as far as the route reaches.

    Without an action it is for ``everybody`` who is signed in, whatever their roles grant: their own account.
    """

    action: ResourceAction | None = None
    reach: Reach = Reach.TENANT
    sensitive: bool = False
    everybody: bool = False

    def is_met_by(self, access: Access) -> bool:
        """Tell whether somebody's roles meet it; what the path names is looked at afterwards."""
        if self.everybody:
            return True
        if self.action is None:
            return all(access.may_everywhere(action) for action in ResourceAction)
        return access.may_everywhere(self.action) if self.reach is Reach.TENANT else access.may(self.action)


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a route asks of its caller: one of ``permissions``, or nothing when it is public.

    Of a person it asks what ``demand`` says too. A sensitive route wants a proof of who they are that is not older
    than ``PROOF_LIFETIME``.
    """

    permissions: frozenset[str]
    public: bool = False
    demand: Demand = Demand()

    @property
    def action(self) -> ResourceAction | None:
        """What a person's roles must grant."""
        return self.demand.action

    @property
    def reach(self) -> Reach:
        """How far the route reaches."""
        return self.demand.reach

    def admit(self, principal: Principal | None, now: datetime) -> None:
        """Let the caller pass; what the path names is looked at afterwards.

        Raises:
            UnauthenticatedError: There is no caller and the route is not public.
            ForbiddenError: The caller holds none of the permissions, or no role that grants the action.
            StepUpRequiredError: The person has to prove again who they are.
        """
        if self.public:
            return
        if principal is None:
            raise UnauthenticatedError("The request carries no access token.")
        if not self.permissions & principal.permissions:
            wanted = " or ".join(sorted(self.permissions))
            raise ForbiddenError(f"{principal.display_name} lacks the permission for this: {wanted}.")
        if not self.demand.is_met_by(principal.access):
            wanted = self.action.value if self.action else "every action"
            raise ForbiddenError(f"No role of {principal.display_name} grants this here: {wanted}.")
        if self.demand.sensitive:
            require_fresh_proof(principal, now)


def require_fresh_proof(principal: Principal, now: datetime) -> None:
    """Ask a person to have proved lately who they are; applications prove it with every token.

    Raises:
        StepUpRequiredError: It is too long ago.
    """
    proved = principal.proved_at
    if principal.is_person and (proved is None or now - proved > PROOF_LIFETIME):
        raise StepUpRequiredError("This needs a fresh proof of who you are.")


class UndeclaredRouteError(ShieldwallError):
    """A route does not say who may call it; the server does not start with it."""

    code = "undeclaredRoute"
    remedy = "Give the route opt=allow(...) | needs(...), or opt=PUBLIC."


PUBLIC: Final[Mapping[str, Any]] = {_PERMISSIONS: frozenset[str](), _DEMAND: None}
"""Anybody may come, whoever they are."""


def allow(
    *permissions: str,
    action: ResourceAction | None = None,
    reach: Reach = Reach.TENANT,
    sensitive: bool = False,
) -> dict[str, Any]:
    """Declare the permissions of which one lets a caller in; with an ``action``, what ``needs`` says as well."""
    assert permissions
    demanded = {} if action is None else needs(action, reach, sensitive=sensitive)
    return {_PERMISSIONS: frozenset(permissions), **demanded}


def needs(action: ResourceAction, reach: Reach = Reach.TENANT, *, sensitive: bool = False) -> dict[str, Any]:
    """Declare, beside the permissions, what roles must grant to a person; a route has both in ``opt``."""
    return {_DEMAND: Demand(action, reach, sensitive)}


def everybody(*, sensitive: bool = False) -> dict[str, Any]:
    """Declare that whoever is signed in may come, whatever their roles grant: it is about themselves."""
    return {_DEMAND: Demand(reach=Reach.OPEN, sensitive=sensitive, everybody=True)}


def authorization_of(opt: Mapping[str, Any]) -> Authorization:
    """Read a route's declaration. Raises: UndeclaredRouteError."""
    permissions, demand = opt.get(_PERMISSIONS), opt.get(_DEMAND, Demand())
    if not isinstance(permissions, frozenset):
        raise UndeclaredRouteError("A route does not declare its authorisation.")
    return Authorization(permissions, public=demand is None, demand=demand or Demand())
