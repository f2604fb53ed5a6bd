"""What every act on a policy goes through: the state that was previewed still holds, or the act waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from litestar import Response
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import parse_policy_id
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.authoring import signed_between
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager import policies
from shieldwall.server.manager.change_plans import Change, ChangeSet, Delete
from shieldwall.server.manager.preview import Proposal
from shieldwall.server.manager.seen_states import seen_state
from shieldwall.server.portal.handling import Form, PageRequest, Renderer
from shieldwall.server.portal.meanwhile import ChangedMeanwhileError, status_with
from shieldwall.server.portal.policies.preview_views import ShownEffect, shown_effect
from shieldwall.server.portal.policies.shown import path_of
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.records import Policy

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that may be done, as its page shows it. Texts are marked; ``values`` fill them."""

    title: str
    lead: str
    button: str
    action: str
    """Where the form goes; empty where nothing can be done."""
    back: str
    crumbs: list[tuple[str, str]] = field(default_factory=list)
    """The way to it, from endpoint security on: names that people gave."""
    values: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    previews: bool = True
    """Whether it is only done below a preview."""
    works_out: str = ""
    """Where a large fleet is looked at as work; empty where the preview is made at once."""
    is_dangerous: bool = False
    template: str = "policies/act.html"
    more: Mapping[str, Any] = field(default_factory=dict)
    """What its own template shows beside."""


def act_page(
    rendering: Renderer,
    request: PageRequest,
    act: Act,
    *,
    effect: ShownEffect | None = None,
    problem: ShieldwallError | None = None,
    reason: str = "",
) -> Response[str]:
    """Show what an act would do, and the form that does it; with what went wrong, where it was tried in vain."""
    is_stale = isinstance(problem, ChangedMeanwhileError)
    return rendering.page(
        request,
        act.template,
        status=status_with(problem),
        section="/policies",
        title=act.title,
        lead=act.lead,
        button=act.button,
        action=act.action,
        back=act.back,
        crumbs=act.crumbs,
        values=act.values,
        fields=act.fields,
        previews=act.previews,
        works_out=act.works_out,
        is_dangerous=act.is_dangerous,
        effect=effect,
        problem=None if is_stale else problem,
        is_stale=is_stale,
        reason=reason,
        **act.more,
    )


def crumbs_of(policy: Policy) -> list[tuple[str, str]]:
    """Return the way to a policy, from endpoint security on."""
    return [(path_of(policy.id), policy.name)]


def proposal_of(change: Change) -> Proposal:
    """Propose one change of a policy."""
    return Proposal(change_set=ChangeSet(changes=(change,), expected_deletes=int(isinstance(change, Delete))))


def previewed(services: AdminServices, connection: Connection, request: PageRequest, change: Change) -> ShownEffect:
    """Say what one change of a policy would do. Raises: ShieldwallError, as making it would."""
    return shown_effect(services, connection, request, proposal_of(change))


@signed_between
def do(
    services: AdminServices,
    request: PageRequest,
    form: Form,
    policy_id: str,
    doing: Callable[[AdminServices, Connection, Acting, Policy], T],
) -> T:
    """Do something to a policy where it is still as the form's page showed it, with the services handed to ``doing``.

    That the form is ours is for the handler to see to, before it catches what can be wrong with it: a form of another
    site must not come back as a page of ours.

    Raises:
        ChangedMeanwhileError: It is not.
        NotFoundError: It is gone.
    """
    acting = acting_for(services, request)
    with services.database.write() as connection:
        targets.lock(connection)
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        if form.get("seen") != seen_state(connection, policy):
            raise ChangedMeanwhileError(f"The policy {policy.name} changed meanwhile.")
        return doing(services, connection, acting, policy)
