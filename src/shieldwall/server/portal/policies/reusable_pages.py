"""Reusable settings: addresses under one name, to which the firewall rules of many policies refer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import ReusableSettingId, SettingId, parse_reusable_setting_id
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.authoring import reusing, signed_between
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.manager import reusable_settings
from shieldwall.server.manager.change_plans import ChangeSet, Update
from shieldwall.server.manager.drafts import draft_of
from shieldwall.server.manager.preview import Proposal
from shieldwall.server.manager.reusable_settings import ReusableDraft
from shieldwall.server.portal.forms import choice, description_of, lines
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.meanwhile import ChangedMeanwhileError, status_with
from shieldwall.server.portal.policies import addresses
from shieldwall.server.portal.policies.links import asked_by, following, page_after
from shieldwall.server.portal.policies.preview_views import ShownEffect, shown_effect
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.records import Policy, ReusableSetting

_LISTS: Final = SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.OPEN)
_READS: Final = SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.OPEN)
_CREATES: Final = SIGNED_IN | needs(ResourceAction.CREATE_POLICIES)
_WRITES: Final = SIGNED_IN | needs(ResourceAction.UPDATE_POLICIES)
_DELETES: Final = SIGNED_IN | needs(ResourceAction.DELETE_POLICIES)


@get("/reusable-settings", opt=_LISTS, sync_to_thread=True)
def list_reusable(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """List the reusable settings, each with how many policies refer to it."""
    asked = asked_by(request)
    with services.database.read() as connection:
        found = reusable_settings.list_settings(connection, services.tenant.id, page_after(asked))
        counts = reusable_settings.reference_counts(connection, [each.id for each in found])
    return rendering.page(
        request,
        "policies/reusables.html",
        section="/policies",
        found=found,
        counts=counts,
        sizes={each.id: len(addresses.read(each.setting_instance)) for each in found},
        **following(asked, [each.id for each in found]),
    )


@get("/reusable-settings/new", opt=_CREATES, sync_to_thread=True)
def new_reusable(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the form of a new reusable setting."""
    return _page(services, rendering, request, None, {})


@post("/reusable-settings/new", opt=_CREATES, sync_to_thread=True, status_code=303)
def create_reusable(
    services: Services, rendering: Renderer, request: PageRequest, form: Form
) -> Response[str] | Redirect:
    """Save a new reusable setting; it does nothing until a policy refers to it."""
    check_form(services, request, form)
    try:
        draft, reason = _draft(services, form, None), form.get("reason", "").strip()
        with services.database.write() as connection:
            made = reusing(services).create(connection, acting_for(services, request), draft, reason=reason)
    except ShieldwallError as problem:
        return _page(services, rendering, request, None, form, problem=problem)
    return redirect(f"/reusable-settings/{made.id}")


@get("/reusable-settings/{setting_id:str}", opt=_READS, sync_to_thread=True)
def show_reusable(
    services: Services, rendering: Renderer, request: PageRequest, setting_id: FromPath[str]
) -> Response[str]:
    """Show a reusable setting, the policies that refer to it, and the form that changes it."""
    kept = _kept(services, setting_id)
    return _page(services, rendering, request, kept, _fields(kept))


@post("/reusable-settings/{setting_id:str}/preview", opt=_WRITES, sync_to_thread=True, status_code=200)
def preview_reusable(
    services: Services, rendering: Renderer, request: PageRequest, form: Form, setting_id: FromPath[str]
) -> Response[str]:
    """Show what other addresses would do to the devices of every policy that refers to them."""
    check_form(services, request, form)
    return _page(services, rendering, request, _kept(services, setting_id), form, previews=True)


@post("/reusable-settings/{setting_id:str}", opt=_WRITES, sync_to_thread=True, status_code=303)
def save_reusable(
    services: Services, rendering: Renderer, request: PageRequest, form: Form, setting_id: FromPath[str]
) -> Response[str] | Redirect:
    """Save a reusable setting as it was previewed, and every policy that refers to it."""
    check_form(services, request, form)
    kept = _kept(services, setting_id)
    try:
        _save(services, request, form, kept.id)
    except ShieldwallError as problem:
        return _page(services, rendering, request, _kept(services, setting_id), form, previews=True, problem=problem)
    return redirect(f"/reusable-settings/{kept.id}")


@post("/reusable-settings/{setting_id:str}/delete", opt=_DELETES, sync_to_thread=True, status_code=303)
def delete_reusable(services: Services, request: PageRequest, form: Form, setting_id: FromPath[str]) -> Redirect:
    """Delete a reusable setting to which no policy refers."""
    check_form(services, request, form)
    with services.database.write() as connection:
        reusing(services).delete(connection, acting_for(services, request), parse_reusable_setting_id(setting_id))
    return redirect("/reusable-settings")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_reusable,
    new_reusable,
    create_reusable,
    show_reusable,
    preview_reusable,
    save_reusable,
    delete_reusable,
)


def _kept(services: AdminServices, setting_id: str) -> ReusableSetting:
    with services.database.read() as connection:
        return reusable_settings.get_setting(connection, services.tenant.id, parse_reusable_setting_id(setting_id))


@signed_between
def _save(services: AdminServices, request: PageRequest, form: Form, setting_id: ReusableSettingId) -> None:
    with services.database.write() as connection:
        targets.lock(connection)
        present = reusable_settings.get_setting(connection, services.tenant.id, setting_id)
        if form.get("seen") != _state(connection, services, present):
            raise ChangedMeanwhileError(f"{present.display_name} changed meanwhile.")
        draft, reason = _draft(services, form, present), form.get("reason", "").strip()
        reusing(services).update(connection, acting_for(services, request), setting_id, draft, reason=reason)


def _page(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    kept: ReusableSetting | None,
    form: Mapping[str, str],
    *,
    previews: bool = False,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    effect: ShownEffect | None = None
    with services.database.read() as connection:
        referring = (
            () if kept is None else reusable_settings.referring_policies(connection, services.tenant.id, kept.id)
        )
        seen_policies = sight_of(request).policies_among(connection, [each.id for each in referring])
        seen = "" if kept is None else _state(connection, services, kept)
        if previews and kept is not None:
            try:
                draft = _draft(services, form, kept)
                effect = shown_effect(services, connection, request, _proposal(connection, services, kept.id, draft))
            except ShieldwallError as wrong:
                problem = problem or wrong
    is_stale = isinstance(problem, ChangedMeanwhileError)
    return rendering.page(
        request,
        "policies/reusable.html",
        status=status_with(problem),
        section="/policies",
        kept=kept,
        kinds=addresses.kinds_of(services.catalog),
        is_editable=kept is None or addresses.is_editable(services.catalog, kept.setting_instance),
        form={name: form.get(name, "") for name in ("display_name", "description", "addresses", "kind", "reason")},
        referring=[each for each in referring if each.id in seen_policies],
        unseen=len(referring) - len(seen_policies),
        seen=seen,
        effect=effect,
        problem=None if is_stale else problem,
        is_stale=is_stale,
    )


def _proposal(
    connection: Connection, services: AdminServices, setting_id: ReusableSettingId, draft: ReusableDraft
) -> Proposal:
    """Propose a reusable setting with every policy that refers to it, which would be published anew."""
    referring = _referring(connection, services, setting_id)
    changes = tuple(Update(policy=each.id, draft=draft_of(each)) for each in referring)
    return Proposal(
        change_set=ChangeSet(changes=changes) if changes else None, reusable={setting_id: draft.setting_instance}
    )


def _draft(services: AdminServices, form: Mapping[str, str], kept: ReusableSetting | None) -> ReusableDraft:
    """Read a reusable setting; the kind of one that is there stays. Raises: InvalidFormError."""
    known: list[SettingId] = [kind for kind, _ in addresses.kinds_of(services.catalog)]
    kind = choice(form, "kind", "Kind", known) if kept is None else kept.setting_definition_id
    return ReusableDraft(
        display_name=form.get("display_name", "").strip(),
        description=description_of(form),
        setting_instance=addresses.written(services.catalog, kind, lines(form, "addresses")),
    )


def _fields(kept: ReusableSetting) -> dict[str, str]:
    return {
        "display_name": kept.display_name,
        "description": kept.description,
        "kind": kept.setting_definition_id,
        "addresses": "\n".join(addresses.read(kept.setting_instance)),
    }


def _state(connection: Connection, services: AdminServices, kept: ReusableSetting) -> str:
    """Name the state that somebody saw: what it says, and which revisions refer to it."""
    referring = _referring(connection, services, kept.id)
    told = [f"{each.id} {each.revision}" for each in referring]
    return digest_of_bytes(f"{kept.version} {kept.modified_at.isoformat()} {told}".encode())


def _referring(connection: Connection, services: AdminServices, setting_id: ReusableSettingId) -> tuple[Policy, ...]:
    return reusable_settings.referring_policies(connection, services.tenant.id, setting_id)
