"""Renaming a group, giving it scope tags, and deleting it once nothing names it any more."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import parse_group_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.access.grants import DEFAULT_TAG
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.directory import groups, scope_tags
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.portal.forms import description_of, ticked
from shieldwall.server.portal.groups.group_pages import seen_uses
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.meanwhile import require_seen, state_of
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.access import scoping
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.records import Group

_ONE: Final = "/groups/{group_id:str}"


@get(_ONE + "/edit", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS, Reach.OBJECT), sync_to_thread=True)
def edit_group(services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]) -> Response[str]:
    """Show the name and description of a group, to be changed."""
    with services.database.read() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
    return _edit(rendering, request, group, name=group.display_name, description=group.description)


@post(_ONE + "/edit", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS, Reach.OBJECT), sync_to_thread=True)
def rename_group(
    services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Give a group another name or description."""
    check_form(services, request, form)
    name, description = form.get("name", "").strip(), description_of(form)
    with services.database.read() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
    try:
        with services.database.write() as connection:
            targets.lock(connection)  # nobody else changes its rule between reading and keeping it
            group = groups.get_group(connection, services.tenant.id, group.id)
            draft = GroupDraft(
                display_name=name,
                description=description,
                mail_nickname=group.mail_nickname,
                membership_rule=group.membership_rule,
                processing_state=group.processing_state,
            )
            groups.update_group(connection, acting_for(services, request), group.id, draft)
    except ShieldwallError as error:
        return _edit(rendering, request, group, name=name, description=description, error=error)
    return redirect(f"/groups/{group.id}")


@get(_ONE + "/scope-tags", opt=SIGNED_IN | needs(ResourceAction.ASSIGN_ROLES), sync_to_thread=True)
def edit_tags(services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]) -> Response[str]:
    """Show which scope tags the devices of a group have by it."""
    with services.database.read() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
        chosen = scoping.tags_of_group(connection, group.tenant_id, group.id)
        known = scope_tags.all_tags(connection, group.tenant_id)
    tags = [each for each in known if each.id != DEFAULT_TAG]
    return rendering.page(
        request,
        "groups/group_tags.html",
        section="/groups",
        group=group,
        tags=tags,
        chosen=chosen,
        seen=state_of(sorted(chosen)),
    )


@post(_ONE + "/scope-tags", opt=SIGNED_IN | needs(ResourceAction.ASSIGN_ROLES, sensitive=True), sync_to_thread=True)
def tag_group(services: Services, request: PageRequest, group_id: FromPath[str], form: Form) -> Redirect:
    """Give the devices of a group these scope tags, and by it no others."""
    check_form(services, request, form)
    with services.database.write() as connection:
        targets.lock(connection)  # nobody else changes them until these are saved
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
        present = scoping.tags_of_group(connection, group.tenant_id, group.id)
        require_seen(form, state_of(sorted(present)), f"the scope tags of {group.display_name}")
        known = [each.id for each in scope_tags.all_tags(connection, group.tenant_id)]
        scope_tags.tag_group(connection, acting_for(services, request), group.id, ticked(form, "tag", known))
    return redirect(f"/groups/{group.id}")


@get(_ONE + "/delete", opt=SIGNED_IN | needs(ResourceAction.DELETE_GROUPS), sync_to_thread=True)
def ask_to_delete(
    services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]
) -> Response[str]:
    """Ask before a group is deleted, and say what would have to let go of it first."""
    with services.database.read() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
        uses = seen_uses(connection, sight_of(request), group)
        count = group_members.count_members(connection, group.id)
    return rendering.page(
        request, "groups/group_delete.html", section="/groups", group=group, seen=uses, member_count=count
    )


@post(_ONE + "/delete", opt=SIGNED_IN | needs(ResourceAction.DELETE_GROUPS), sync_to_thread=True)
def delete_group(services: Services, request: PageRequest, group_id: FromPath[str], form: Form) -> Redirect:
    """Delete a group that nothing names."""
    check_form(services, request, form)
    with services.database.write() as connection:
        groups.delete_group(connection, acting_for(services, request), parse_group_id(group_id))
    return redirect("/groups")


HANDLERS: Final[tuple[Any, ...]] = (edit_group, rename_group, edit_tags, tag_group, ask_to_delete, delete_group)


def _edit(
    rendering: Renderer,
    request: PageRequest,
    group: Group,
    *,
    name: str,
    description: str,
    error: ShieldwallError | None = None,
) -> Response[str]:
    return rendering.page(
        request,
        "groups/group_edit.html",
        status=200 if error is None else 400,
        section="/groups",
        group=group,
        name=name,
        description=description,
        error=error,
    )
