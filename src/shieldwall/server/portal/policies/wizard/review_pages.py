"""The last step: everything once more, what it would do to the devices, and only then saving it.

Saving is offered below the preview alone. What the preview said is asked again at that moment: where something else
would happen by then, nothing is saved and the new preview is shown.
"""

from __future__ import annotations

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.catalog.findings import Finding, InvalidPolicyError
from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.admin.authoring import changing, server_of, signed_between
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.scope_tags import all_tags
from shieldwall.server.manager import unfinished as keeping
from shieldwall.server.manager.change_plans import ChangeSet
from shieldwall.server.manager.change_sets import Deleted
from shieldwall.server.manager.drafts import MAX_REASON_LENGTH, draft_of, reason_findings
from shieldwall.server.manager.publishing import published
from shieldwall.server.manager.saving import PreconditionFailedError
from shieldwall.server.manager.unfinished import Unfinished
from shieldwall.server.portal.handling import Form, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.policies.long_previews import takes_long
from shieldwall.server.portal.policies.preview_views import ShownEffect
from shieldwall.server.portal.policies.wizard.assignment_pages import (
    assigned_rows,
    assignment_fault,
    filters_offered,
)
from shieldwall.server.portal.policies.wizard.basics_pages import basics_faults
from shieldwall.server.portal.policies.wizard.comparing import compared_settings
from shieldwall.server.portal.policies.wizard.hints import told_settings
from shieldwall.server.portal.policies.wizard.previewing import effect_of_saving, known_effect, start_working_out
from shieldwall.server.portal.policies.wizard.steps import (
    ONE,
    OWN,
    Step,
    asked_step,
    may_assign,
    onward,
    path_to,
    show,
    taken,
)
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.policies import policies

SAVE: Final = "save"
_AGAIN: Final = "again"
_ANEW: Final = "anew"


class OvertakenError(ShieldwallError):
    """What is being saved was saved, discarded or changed by another request meanwhile."""

    code = "overtaken"
    remedy = "Look at the policies: if it is not among them, review it once more and save it then."


@get(ONE + "/review", opt=OWN, sync_to_thread=True)
def show_review(
    services: Services, rendering: Renderer, request: PageRequest, unfinished_id: FromPath[str]
) -> Response[str]:
    """Show what was entered, and on request what it would do."""
    with services.database.read() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
    return _page(services, rendering, request, unfinished, with_preview="preview" in request.query_params)


@post(ONE + "/review", opt=OWN, sync_to_thread=True)
def save_review(  # noqa: PLR0917 - what the framework hands it
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    works: Working,
    unfinished_id: FromPath[str],
    form: Form,
) -> Response[str] | Redirect:
    """Save the policy, if that does what its preview said."""
    check_form(services, request, form)
    with services.database.read() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
    match form.get("do"):
        case "save":
            return _save(services, rendering, request, unfinished, form)
        case "work":
            return redirect(start_working_out(services, request, works, unfinished))
        case "again" | "anew" as wanted if unfinished.policy_id is not None:
            return _begun_again(services, request, unfinished, anew=wanted == _ANEW)
        case _:
            return onward(unfinished, form, asked_step(form) or Step.REVIEW)


def _save(
    services: Services, rendering: Renderer, request: PageRequest, unfinished: Unfinished, form: Form
) -> Response[str] | Redirect:
    reason = form.get("reason", "").strip()
    faults = {each.path: f"{each.message} {each.allowed}" for each in reason_findings(reason)}
    if faults:
        return _page(services, rendering, request, unfinished, reason=reason, faults=faults)
    try:
        agreed = _agreed(services, request, unfinished)
        if agreed is None or agreed.effect.fingerprint != form.get("told"):
            return _page(services, rendering, request, unfinished, reason=reason, is_stale=True)
        if agreed.needs_thought and form.get("meant") != "on":
            return _page(services, rendering, request, unfinished, reason=reason, is_meant=False)
        saved = _saved(services, request, unfinished, reason)
    except PreconditionFailedError:
        return _page(services, rendering, request, unfinished, reason=reason)
    return redirect(f"/policies/{saved}")


def _agreed(services: Services, request: PageRequest, unfinished: Unfinished) -> ShownEffect | None:
    """Ask once more what saving would do; where that takes long, what was worked out lately holds."""
    if not takes_long(services):
        return effect_of_saving(services, request, unfinished)
    known = known_effect(services, request, unfinished)
    return None if known is None else known[1]


@signed_between
def _saved(services: AdminServices, request: PageRequest, unfinished: Unfinished, reason: str) -> str:
    changes = ChangeSet(changes=(unfinished.change(with_assignments=may_assign(request)),), reason=reason)
    with services.database.write() as connection:
        targets.lock(connection)  # nobody changes the policy until this is saved
        # A form that is sent twice makes one policy, and what was entered meanwhile in another window is not lost.
        present = taken(services, request, connection, unfinished.id)
        if present.content.digest != unfinished.content.digest or not keeping.discard(connection, unfinished):
            raise OvertakenError(f"The unfinished policy {unfinished.draft.name} changed while it was being saved.")
        keeping.require_not_overtaken(connection, present)
        (saved,) = changing(services).apply(connection, acting_at(services, request), changes)
        assert not isinstance(saved, Deleted), "the wizard deletes nothing"
    return saved.id


def _begun_again(services: Services, request: PageRequest, unfinished: Unfinished, *, anew: bool) -> Redirect:
    """Take what the policy says now as what to begin with: for what was entered, or in the place of it."""
    assert unfinished.policy_id is not None, "only a policy that is there was changed by somebody else"
    acting = acting_at(services, request)
    with services.database.write() as connection:
        if anew:
            keeping.begin_anew(connection, acting, unfinished)
        else:
            keeping.begin_over(connection, acting, unfinished)
    return redirect(path_to(unfinished, Step.SETTINGS if anew else Step.REVIEW, preview="" if anew else "1"))


def _page(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    unfinished: Unfinished,
    *,
    with_preview: bool = True,
    reason: str = "",
    faults: dict[str, str] | None = None,
    is_stale: bool = False,
    is_meant: bool = True,
) -> Response[str]:
    draft, catalog = unfinished.draft, services.catalog
    with services.database.read() as connection:
        rows = assigned_rows(request, connection, unfinished)
        narrowing = filters_offered(services, request, connection)
        tags = {each.id: each.display_name for each in all_tags(connection, services.tenant.id)}
        present = None if unfinished.policy_id is None else policies.find(connection, unfinished.policy_id)
        is_overtaken = keeping.is_overtaken(connection, unfinished)
        wrong = _wrong(services, request, connection, unfinished)
    effect, problem, as_of = None, None, None
    is_long = not wrong and takes_long(services)
    if is_long:
        if (known := known_effect(services, request, unfinished)) is not None:
            as_of, effect = known
    elif with_preview and not wrong:
        try:
            effect = effect_of_saving(services, request, unfinished)
        except ShieldwallError as error:
            problem = error
    return show(
        services,
        rendering,
        request,
        unfinished,
        Step.REVIEW,
        rows=rows,
        filters=narrowing,
        tags=tags,
        told=told_settings(catalog, draft.settings),
        compared=None if present is None else compared_settings(catalog, draft_of(present).settings, draft.settings),
        former=None if present is None else draft_of(present),
        wrong=wrong,
        effect=effect,
        problem=problem,
        is_long=is_long,
        as_of=as_of,
        with_preview=with_preview,
        reason=reason,
        longest_reason=MAX_REASON_LENGTH,
        faults=faults or {},
        is_stale=is_stale,
        is_meant=is_meant,
        is_overtaken=is_overtaken,
        is_gone=unfinished.policy_id is not None and present is None,
        may_assign=may_assign(request),
    )


def _wrong(
    services: Services, request: PageRequest, connection: Connection, unfinished: Unfinished
) -> list[tuple[Step, str]]:
    """Say what keeps the policy from being saved, by the step where it is put right."""
    found = [(Step.BASICS, message) for message in basics_faults(unfinished.draft).values()]
    try:
        published(connection, services.catalog, services.tenant.id, unfinished.draft, server=server_of(services))
    except InvalidPolicyError as error:
        found += [(Step.SETTINGS, _in_words(each)) for each in error.findings if each.path.startswith("settings")]
    except ShieldwallError as error:
        found.append((Step.SETTINGS, error.cause))
    if fault := assignment_fault(services, request, connection, unfinished):
        found.append((Step.ASSIGNMENTS, fault))
    return found


def _in_words(finding: Finding) -> str:
    return f"{finding.message} {finding.allowed}".strip()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_review, save_review)
