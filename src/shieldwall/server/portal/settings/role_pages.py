"""Roles: what each allows, in words; making, changing and deleting those of the tenant's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.actions import READING, ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.access.grants import Access
from shieldwall.server.access.roles import Role
from shieldwall.server.access.verdicts import OF_TENANT, Facts, Verdict, judge
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory import roles, scope_tags
from shieldwall.server.directory.roles import RoleDraft
from shieldwall.server.portal.forms import description_of, many_fields, ticked
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.meanwhile import SEEN, ChangedMeanwhileError, require_seen, state_of, status_with
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.action_words import AREAS, chosen_in
from shieldwall.server.portal.settings.following import audited
from shieldwall.server.portal.settings.names_of_access import names_of, roles_of
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.access import role_assignments
from shieldwall.server.storage.check_ins import targets

_CREATE: Final = SIGNED_IN | needs(ResourceAction.CREATE_ROLES, sensitive=True)
_UPDATE: Final = SIGNED_IN | needs(ResourceAction.UPDATE_ROLES, sensitive=True)
_DELETE: Final = SIGNED_IN | needs(ResourceAction.DELETE_ROLES, sensitive=True)
_MOST_FIELDS: Final = len(ResourceAction) + scope_tags.MOST_TAGS + 20
_ONE: Final = "/roles/{role_id:str}"


@get("/roles", opt=SIGNED_IN | needs(ResourceAction.READ_ROLES, Reach.LISTED), sync_to_thread=True)
def list_roles(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the roles, built in and of the tenant's own, with how often each is given."""
    access = caller_of(request).access
    with services.database.read() as connection:
        seen = [role for role in roles_of(connection, services.tenant.id).values() if _is_seen(access, role)]
        counted = _times_assigned(connection, services) if access.may_everywhere(ResourceAction.READ_ROLES) else None
    return rendering.page(
        request,
        "settings/roles.html",
        section="/roles",
        roles=seen,
        counted=counted,
        reading=READING,
        live=audited(request),
    )


@get("/roles/new", opt=SIGNED_IN | needs(ResourceAction.CREATE_ROLES), sync_to_thread=True)
def new_role(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Ask for a role; ``?copy=`` names one to begin with."""
    copied = request.query_params.get("copy")
    with services.database.read() as connection:
        draft = None
        if copied:
            role = roles.get_role(connection, services.tenant.id, copied)
            draft = RoleDraft(display_name=role.display_name, description=role.description, actions=role.actions)
    return _form_page(services, rendering, request, draft, role=None)


@post("/roles", opt=_CREATE | many_fields(_MOST_FIELDS), sync_to_thread=True)
def create_role(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str] | Redirect:
    """Make a role; nobody has it until it is assigned."""
    check_form(services, request, form)
    try:
        draft = _draft_of(services, form)
        with services.database.write() as connection:
            role = roles.create_role(connection, acting_at(services, request), caller_of(request).access, draft)
    except ShieldwallError as problem:
        return _form_page(services, rendering, request, _typed(form), role=None, form=form, problem=problem)
    return redirect(f"/roles/{role.id}")


@get(_ONE, opt=SIGNED_IN | needs(ResourceAction.READ_ROLES, Reach.OBJECT), sync_to_thread=True)
def show_role(services: Services, rendering: Renderer, request: PageRequest, role_id: FromPath[str]) -> Response[str]:
    """Show what a role allows, and to whom it is given where the caller may know."""
    sees_all = caller_of(request).access.may_everywhere(ResourceAction.READ_ROLES)
    with services.database.read() as connection:
        role = roles.get_role(connection, services.tenant.id, role_id)
        given = role_assignments.all_of_tenant(connection, services.tenant.id) if sees_all else ()
        assigned = [each for each in given if each.role_id == role.id]
        names = names_of(connection, services.tenant.id, assigned)
    return rendering.page(
        request,
        "settings/role.html",
        section="/roles",
        role=role,
        areas=chosen_in(AREAS, role.actions),
        assigned=assigned if sees_all else None,
        names=names,
        live=audited(request),
    )


@get(_ONE + "/edit", opt=SIGNED_IN | needs(ResourceAction.UPDATE_ROLES), sync_to_thread=True)
def edit_role(services: Services, rendering: Renderer, request: PageRequest, role_id: FromPath[str]) -> Response[str]:
    """Show a role of the tenant's own to be changed."""
    with services.database.read() as connection:
        role = roles.get_custom(connection, services.tenant.id, role_id).role
    return _form_page(services, rendering, request, roles.draft_of_role(role), role=role)


@post(_ONE + "/edit", opt=_UPDATE | many_fields(_MOST_FIELDS), sync_to_thread=True)
def save_role(
    services: Services, rendering: Renderer, request: PageRequest, role_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Change a role; whoever has it may at once do what it then grants."""
    check_form(services, request, form)
    with services.database.read() as connection:
        role = roles.get_custom(connection, services.tenant.id, role_id).role
    try:
        draft = _draft_of(services, form)
        with services.database.write() as connection:
            targets.lock(connection)  # nobody else changes it until this is saved
            role = roles.get_custom(connection, services.tenant.id, role_id).role
            require_seen(form, _state(role), role.display_name)
            acting = acting_at(services, request)
            roles.update_role(connection, acting, caller_of(request).access, role.id, draft)
    except ChangedMeanwhileError as problem:
        return _form_page(services, rendering, request, roles.draft_of_role(role), role=role, problem=problem)
    except ShieldwallError as problem:
        return _form_page(services, rendering, request, _typed(form), role=role, form=form, problem=problem)
    return redirect(f"/roles/{role.id}")


@get(_ONE + "/delete", opt=SIGNED_IN | needs(ResourceAction.DELETE_ROLES), sync_to_thread=True)
def ask_to_delete_role(
    services: Services, rendering: Renderer, request: PageRequest, role_id: FromPath[str]
) -> Response[str]:
    """Say what deleting a role would do."""
    with services.database.read() as connection:
        role = roles.get_custom(connection, services.tenant.id, role_id).role
    return rendering.page(
        request,
        "settings/confirm_act.html",
        section="/roles",
        label=marked("Delete the role"),
        subject=role.display_name,
        effect=(
            marked("The role is gone for good. It can be deleted only while nobody has it."),
            marked("The audit log keeps what was done with it."),
        ),
        action=f"/roles/{role.id}/delete",
        back=f"/roles/{role.id}",
    )


@post(_ONE + "/delete", opt=_DELETE, sync_to_thread=True)
def delete_role(services: Services, request: PageRequest, role_id: FromPath[str], form: Form) -> Redirect:
    """Delete a role that nobody has."""
    check_form(services, request, form)
    with services.database.write() as connection:
        roles.delete_role(connection, acting_at(services, request), role_id)
    return redirect("/roles")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_roles,
    new_role,
    create_role,
    show_role,
    edit_role,
    save_role,
    ask_to_delete_role,
    delete_role,
)


def _is_seen(access: Access, role: Role) -> bool:
    facts = OF_TENANT if role.is_built_in else Facts(tags=frozenset(role.scope_tag_ids))
    return judge(access, ResourceAction.READ_ROLES, facts, ()) is Verdict.GRANTED


def _times_assigned(connection: Connection, services: AdminServices) -> Mapping[str, int]:
    return Counter(each.role_id for each in role_assignments.all_of_tenant(connection, services.tenant.id))


def _draft_of(services: AdminServices, form: Mapping[str, str]) -> RoleDraft:
    """Read the form. Raises: InvalidRoleError."""
    with services.database.read() as connection:
        known = [tag.id for tag in scope_tags.all_tags(connection, services.tenant.id)]
    return RoleDraft(
        display_name=form.get("display_name", "").strip(),
        description=description_of(form),
        actions=frozenset(ticked(form, "action", ResourceAction)),
        scope_tag_ids=ticked(form, "tag", known) or ("0",),
    )


def _typed(form: Mapping[str, str]) -> RoleDraft:
    """Return what was ticked, to be shown again; names come from the form itself."""
    return RoleDraft(display_name="-", actions=frozenset(ticked(form, "action", ResourceAction)))


def _form_page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    draft: RoleDraft | None,
    *,
    role: Role | None,
    form: Mapping[str, str] | None = None,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    with services.database.read() as connection:
        tags = scope_tags.all_tags(connection, services.tenant.id)
    access = caller_of(request).access
    shown: dict[str, Any] = {
        "display_name": draft.display_name if draft else "",
        "description": draft.description if draft else "",
    }
    if form is not None:
        shown = {name: form.get(name, "") for name in shown}
    return rendering.page(
        request,
        "settings/role_edit.html",
        status=status_with(problem),
        section="/roles",
        role_id=None if role is None else role.id,
        seen=_seen_in(form, role),
        typed=shown,
        chosen=draft.actions if draft else frozenset(),
        chosen_tags=ticked(form, "tag", [tag.id for tag in tags]) if form is not None else _tags_of(draft),
        tags=tags,
        areas=AREAS,
        held=frozenset(action for action in ResourceAction if access.may_everywhere(action)),
        problem=problem,
    )


def _state(role: Role) -> str:
    return state_of(role.display_name, role.description, sorted(role.actions), sorted(role.scope_tag_ids))


def _seen_in(form: Mapping[str, str] | None, role: Role | None) -> str:
    """Name the state that a form speaks of: one with a fault goes on speaking of what its page showed."""
    if form is not None:
        return form.get(SEEN, "")
    return "" if role is None else _state(role)


def _tags_of(draft: RoleDraft | None) -> tuple[str, ...]:
    return ("0",) if draft is None else draft.scope_tag_ids
