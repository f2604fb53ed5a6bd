"""Role assignments: to whom a role is given, and where it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory import holdings, role_assigning, roles, scope_tags
from shieldwall.server.directory.naming import named_groups, named_members
from shieldwall.server.directory.role_assigning import AssignmentDraft, draft_of_assignment
from shieldwall.server.portal.forms import choice, description_of, lines, many_fields, ticked
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.meanwhile import SEEN, ChangedMeanwhileError, require_seen, state_of, status_with
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.following import audited
from shieldwall.server.portal.settings.names_of_access import Names, names_of, roles_of
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.access import role_assignments
from shieldwall.server.storage.access_records import RoleAssignment, ScopeType
from shieldwall.server.storage.check_ins import targets

_PATH: Final = "/role-assignments"
_MOST_FIELDS: Final = scope_tags.MOST_TAGS + 20
_ONE: Final = _PATH + "/{assignment_id:str}"
_READ: Final = SIGNED_IN | needs(ResourceAction.READ_ROLES)
_MAY: Final = SIGNED_IN | needs(ResourceAction.ASSIGN_ROLES)
_WRITE: Final = SIGNED_IN | needs(ResourceAction.ASSIGN_ROLES, sensitive=True)
_DEVICES: Final = {
    "all": ScopeType.ALL_DEVICES,
    "groups": ScopeType.RESOURCE_SCOPE,
    "none": ScopeType.RESOURCE_SCOPE,
}
"""Where an assignment lets its members act, as the form offers it."""


@get(_PATH, opt=_READ, sync_to_thread=True)
def list_assignments(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show every assignment: which role, to whom, where."""
    with services.database.read() as connection:
        assigned = role_assignments.all_of_tenant(connection, services.tenant.id)
        names = names_of(connection, services.tenant.id, assigned)
        counted = holdings.reached(connection, services.tenant.id, assigned)
    return rendering.page(
        request,
        "settings/role_assignments.html",
        section="/roles",
        assigned=assigned,
        names=names,
        counted=counted,
        live=audited(request),
    )


@get(_PATH + "/new", opt=_MAY, sync_to_thread=True)
def new_assignment(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Ask to whom a role is given, and where; ``?role=`` and ``?member=`` are filled in already."""
    chosen = {name: request.query_params.get(name, "") for name in ("role", "members")}
    return _form_page(services, rendering, request, chosen, assignment=None)


@post(_PATH, opt=_WRITE | many_fields(_MOST_FIELDS), sync_to_thread=True)
def assign_role(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str] | Redirect:
    """Give a role."""
    check_form(services, request, form)
    try:
        with services.database.write() as connection:
            role = choice(form, "role", "Role", roles_of(connection, services.tenant.id))
            draft = _draft_of(connection, services, form)
            acting = acting_at(services, request)
            made = role_assigning.assign_role(connection, acting, caller_of(request).access, role, draft)
    except ShieldwallError as problem:
        return _form_page(services, rendering, request, form, assignment=None, problem=problem)
    return redirect(f"{_PATH}/{made.id}")


@get(_ONE, opt=_READ, sync_to_thread=True)
def show_assignment(
    services: Services, rendering: Renderer, request: PageRequest, assignment_id: FromPath[str]
) -> Response[str]:
    """Show one assignment."""
    with services.database.read() as connection:
        found = role_assigning.get_assignment(connection, services.tenant.id, assignment_id)
        names = names_of(connection, services.tenant.id, [found])
        counted = holdings.reached(connection, services.tenant.id, [found])
    return rendering.page(
        request,
        "settings/role_assignment.html",
        section="/roles",
        each=found,
        role=names.roles.get(found.role_id),
        names=names,
        reached=counted[found.id],
        live=audited(request),
    )


@get(_ONE + "/edit", opt=_MAY, sync_to_thread=True)
def edit_assignment(
    services: Services, rendering: Renderer, request: PageRequest, assignment_id: FromPath[str]
) -> Response[str]:
    """Show an assignment to be changed; which role it gives stays."""
    with services.database.read() as connection:
        found = role_assigning.get_assignment(connection, services.tenant.id, assignment_id)
    return _edit_page(services, rendering, request, found)


@post(_ONE + "/edit", opt=_WRITE | many_fields(_MOST_FIELDS), sync_to_thread=True)
def save_assignment(
    services: Services, rendering: Renderer, request: PageRequest, assignment_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Change to whom a role is given, or where."""
    check_form(services, request, form)
    with services.database.read() as connection:
        found = role_assigning.get_assignment(connection, services.tenant.id, assignment_id)
    try:
        with services.database.write() as connection:
            targets.lock(connection)  # nobody else changes it until this is saved
            found = role_assigning.get_assignment(connection, services.tenant.id, assignment_id)
            require_seen(form, _state(found), found.display_name)
            draft = _draft_of(connection, services, form)
            acting = acting_at(services, request)
            role_assigning.change_assignment(connection, acting, caller_of(request).access, found.id, draft)
    except ChangedMeanwhileError as problem:
        return _edit_page(services, rendering, request, found, problem)
    except ShieldwallError as problem:
        return _form_page(services, rendering, request, form, assignment=found, problem=problem)
    return redirect(f"{_PATH}/{found.id}")


@get(_ONE + "/delete", opt=_MAY, sync_to_thread=True)
def ask_to_unassign(
    services: Services, rendering: Renderer, request: PageRequest, assignment_id: FromPath[str]
) -> Response[str]:
    """Say what taking the role away would do."""
    with services.database.read() as connection:
        found = role_assigning.get_assignment(connection, services.tenant.id, assignment_id)
    return rendering.page(
        request,
        "settings/confirm_act.html",
        section="/roles",
        label=marked("Delete the assignment"),
        subject=found.display_name,
        effect=(
            marked("Its members lose the role at once, also where they are signed in now."),
            marked("The last Global Administrator of the tenant cannot lose that role."),
        ),
        action=f"{_PATH}/{found.id}/delete",
        back=f"{_PATH}/{found.id}",
    )


@post(_ONE + "/delete", opt=_WRITE, sync_to_thread=True)
def unassign_role(services: Services, request: PageRequest, assignment_id: FromPath[str], form: Form) -> Redirect:
    """Take a role away from all members of an assignment."""
    check_form(services, request, form)
    with services.database.write() as connection:
        acting = acting_at(services, request)
        role_assigning.unassign_role(connection, acting, caller_of(request).access, assignment_id)
    return redirect(_PATH)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_assignments,
    new_assignment,
    assign_role,
    show_assignment,
    edit_assignment,
    save_assignment,
    ask_to_unassign,
    unassign_role,
)


def _edit_page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    found: RoleAssignment,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    with services.database.read() as connection:
        names = names_of(connection, services.tenant.id, [found])
    typed = _typed(services, found, names) | {SEEN: _state(found)}
    return _form_page(services, rendering, request, typed, assignment=found, problem=problem)


def _state(assignment: RoleAssignment) -> str:
    return state_of(draft_of_assignment(assignment))


def _draft_of(connection: Connection, services: AdminServices, form: Mapping[str, str]) -> AssignmentDraft:
    """Read the form. Raises: InvalidFormError, InvalidRoleError, UnknownNameError."""
    where = choice(form, "devices", "Devices", _DEVICES)
    known = [tag.id for tag in scope_tags.all_tags(connection, services.tenant.id)]
    return AssignmentDraft(
        display_name=form.get("display_name", "").strip(),
        description=description_of(form),
        members=named_members(connection, services.tenant, lines(form, "members")),
        scope_type=_DEVICES[where],
        scope_groups=named_groups(connection, services.tenant.id, lines(form, "groups")) if where == "groups" else (),
        role_scope_tag_ids=ticked(form, "tag", known),
    )


def _typed(services: AdminServices, found: RoleAssignment, names: Names) -> dict[str, str]:
    """Write an assignment as the form says it; what has no name of its own alone is written as its id."""
    draft = draft_of_assignment(found)
    is_all = found.scope_type.covers_all_devices
    members = [
        names.people[each].principal_name(services.tenant.domain) if each in names.people else each
        for each in draft.members
    ]
    return {
        "display_name": draft.display_name,
        "description": draft.description,
        "members": "\n".join(members),
        "devices": "all" if is_all else "groups" if draft.scope_groups else "none",
        "groups": "\n".join(draft.scope_groups),
        **{f"tag_{each}": "on" for each in draft.role_scope_tag_ids},
    }


def _form_page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    typed: Mapping[str, str],
    *,
    assignment: RoleAssignment | None,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    with services.database.read() as connection:
        tags = scope_tags.all_tags(connection, services.tenant.id)
        every = roles_of(connection, services.tenant.id)
        names = names_of(connection, services.tenant.id, [assignment] if assignment else [])
        role = roles.get_role(connection, services.tenant.id, assignment.role_id) if assignment else None
    return rendering.page(
        request,
        "settings/role_assignment_edit.html",
        status=status_with(problem),
        section="/roles",
        assignment=assignment,
        role=role,
        roles=every.values(),
        tags=tags,
        names=names,
        seen=typed.get(SEEN, ""),
        typed={name: typed.get(name, "") for name in ("role", "display_name", "description", "members", "groups")},
        devices=typed.get("devices") or "all",
        chosen_tags=ticked(typed, "tag", [tag.id for tag in tags]),
        problem=problem,
    )
