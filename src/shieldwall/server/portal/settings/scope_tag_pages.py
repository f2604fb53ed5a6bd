"""Scope tags: what carries them, to whom they open it, and which devices get them by their groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.access.grants import DEFAULT_TAG
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory import scope_tags
from shieldwall.server.directory.naming import named_groups
from shieldwall.server.portal.forms import lines
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.meanwhile import SEEN, ChangedMeanwhileError, require_seen, state_of, status_with
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.following import audited
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.access import role_assignments
from shieldwall.server.storage.access import scope_tags as stored_tags
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.groups import groups

_PATH: Final = "/scope-tags"
_ONE: Final = _PATH + "/{tag_id:str}"
_CREATE: Final = SIGNED_IN | needs(ResourceAction.CREATE_ROLES, sensitive=True)
_UPDATE: Final = SIGNED_IN | needs(ResourceAction.UPDATE_ROLES, sensitive=True)
_DELETE: Final = SIGNED_IN | needs(ResourceAction.DELETE_ROLES, sensitive=True)
_ASSIGN: Final = SIGNED_IN | needs(ResourceAction.ASSIGN_ROLES, sensitive=True)


@get(_PATH, opt=SIGNED_IN | needs(ResourceAction.READ_ROLES, Reach.LISTED), sync_to_thread=True)
def list_tags(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the scope tags that the caller sees."""
    return _list_page(services, rendering, request)


@post(_PATH, opt=_CREATE, sync_to_thread=True)
def create_tag(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str] | Redirect:
    """Make a scope tag."""
    check_form(services, request, form)
    name, description = form.get("display_name", "").strip(), form.get("description", "").strip()
    try:
        with services.database.write() as connection:
            tag = scope_tags.create_tag(connection, acting_at(services, request), name, description)
    except ShieldwallError as problem:
        return _list_page(services, rendering, request, form=form, problem=problem)
    return redirect(f"{_PATH}/{tag.id}")


@get(_ONE, opt=SIGNED_IN | needs(ResourceAction.READ_ROLES, Reach.OBJECT), sync_to_thread=True)
def show_tag(services: Services, rendering: Renderer, request: PageRequest, tag_id: FromPath[str]) -> Response[str]:
    """Show what carries a tag, and whose roles are narrowed by it."""
    return _one_page(services, rendering, request, tag_id)


@post(_ONE, opt=_UPDATE, sync_to_thread=True)
def save_tag(
    services: Services, rendering: Renderer, request: PageRequest, tag_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Rename a tag or describe it anew."""
    check_form(services, request, form)
    name, description = form.get("display_name", "").strip(), form.get("description", "").strip()
    with services.database.read() as connection:
        scope_tags.get_tag(connection, services.tenant.id, tag_id)
    try:
        with services.database.write() as connection:
            scope_tags.update_tag(connection, acting_at(services, request), tag_id, name, description)
    except ShieldwallError as problem:
        return _one_page(services, rendering, request, tag_id, form=form, problem=problem)
    return redirect(f"{_PATH}/{tag_id}")


@post(_ONE + "/groups", opt=_ASSIGN, sync_to_thread=True)
def save_groups(
    services: Services, rendering: Renderer, request: PageRequest, tag_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Let the members of these groups, and of no others, have a tag."""
    check_form(services, request, form)
    with services.database.read() as connection:
        tag = scope_tags.get_tag(connection, services.tenant.id, tag_id)
    try:
        with services.database.write() as connection:
            targets.lock(connection)  # nobody else changes them until these are saved
            present = stored_tags.groups_of(connection, services.tenant.id, tag_id)
            require_seen(form, state_of(sorted(present)), tag.display_name)
            wanted = named_groups(connection, services.tenant.id, lines(form, "groups"))
            scope_tags.assign_tag(connection, acting_at(services, request), tag_id, wanted)
    except ChangedMeanwhileError as problem:
        return _one_page(services, rendering, request, tag_id, problem=problem)
    except ShieldwallError as problem:
        return _one_page(services, rendering, request, tag_id, form=form, problem=problem)
    return redirect(f"{_PATH}/{tag_id}")


@get(_ONE + "/delete", opt=SIGNED_IN | needs(ResourceAction.DELETE_ROLES), sync_to_thread=True)
def ask_to_delete_tag(
    services: Services, rendering: Renderer, request: PageRequest, tag_id: FromPath[str]
) -> Response[str]:
    """Say what deleting a tag would do."""
    with services.database.read() as connection:
        tag = scope_tags.get_tag(connection, services.tenant.id, tag_id)
    return rendering.page(
        request,
        "settings/confirm_act.html",
        section="/roles",
        label=marked("Delete the scope tag"),
        subject=tag.display_name,
        effect=(
            marked("Devices that have it by a group or by themselves lose it, and are seen by others then."),
            marked("It can be deleted only while no policy, filter, role or assignment names it."),
        ),
        action=f"{_PATH}/{tag.id}/delete",
        back=f"{_PATH}/{tag.id}",
    )


@post(_ONE + "/delete", opt=_DELETE, sync_to_thread=True)
def delete_tag(services: Services, request: PageRequest, tag_id: FromPath[str], form: Form) -> Redirect:
    """Delete a tag that nothing names."""
    check_form(services, request, form)
    with services.database.write() as connection:
        scope_tags.delete_tag(connection, acting_at(services, request), tag_id)
    return redirect(_PATH)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_tags,
    create_tag,
    show_tag,
    save_tag,
    save_groups,
    ask_to_delete_tag,
    delete_tag,
)


def _list_page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    *,
    form: Mapping[str, str] | None = None,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    access = caller_of(request).access
    sees_all = access.may_everywhere(ResourceAction.READ_ROLES)
    with services.database.read() as connection:
        tags = scope_tags.all_tags(connection, services.tenant.id)
        seen = [tag for tag in tags if access.sees(ResourceAction.READ_ROLES, (tag.id,))]
        assigned = role_assignments.all_of_tenant(connection, services.tenant.id) if sees_all else ()
    return rendering.page(
        request,
        "settings/scope_tags.html",
        status=200 if problem is None else 400,
        section="/roles",
        tags=seen,
        narrowed={tag.id: sum(tag.id in each.role_scope_tag_ids for each in assigned) for tag in seen},
        sees_all=sees_all,
        typed=form or {},
        problem=problem,
        live=audited(request),
    )


def _one_page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    tag_id: str,
    *,
    form: Mapping[str, str] | None = None,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    sees_all = caller_of(request).access.may_everywhere(ResourceAction.READ_ROLES)
    with services.database.read() as connection:
        tag = scope_tags.get_tag(connection, services.tenant.id, tag_id)
        by = stored_tags.groups_of(connection, services.tenant.id, tag.id) if sees_all else ()
        names = groups.names(connection, by)
        every = role_assignments.all_of_tenant(connection, services.tenant.id) if sees_all else ()
        uses = stored_tags.carriers(connection, services.tenant.id, tag.id) if sees_all else None
    return rendering.page(
        request,
        "settings/scope_tag.html",
        status=status_with(problem),
        section="/roles",
        tag=tag,
        is_built_in=tag.id == DEFAULT_TAG,
        groups=[(each, names.get(each, each)) for each in by],
        assigned=[each for each in every if tag.id in each.role_scope_tag_ids],
        uses=uses,
        sees_all=sees_all,
        seen=(form or {}).get(SEEN) or state_of(sorted(by)),
        typed=form or {},
        problem=problem,
        live=audited(request),
    )
