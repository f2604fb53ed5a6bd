"""The pages of groups: the list, one group with its members and its history, and following its rule or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, GroupId, TenantId, parse_group_id
from shieldwall.policy.membership import parse_rule
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import Reach, needs
from shieldwall.server.directory import groups
from shieldwall.server.directory.group_rules import preview_rule
from shieldwall.server.directory.groups import DynamicGroupError, GroupDraft
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.paging import page_of, paging
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.views import GroupRow
from shieldwall.server.sight import Sight, sight_of
from shieldwall.server.storage import fleets
from shieldwall.server.storage import groups as stored_groups
from shieldwall.server.storage.records import Group, Page, ProcessingState
from shieldwall.server.storage.schema import group_members

_HISTORY: Final = 20
_ONE: Final = "/groups/{group_id:str}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRow:
    """A device that joined a group or left it."""

    at: datetime
    device_id: DeviceId
    device_name: str
    happened: str
    cause: str
    actor: str


@get("/groups", opt=SIGNED_IN | needs(ResourceAction.READ_GROUPS, Reach.LISTED), sync_to_thread=True)
def list_groups(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the groups."""
    sight = sight_of(request)
    members = sight.devices(group_members.c.device_id)
    with services.database.read() as connection:
        found = groups.list_groups(connection, services.tenant.id, replace(page_of(request), where=sight.groups()))
        rows = [
            GroupRow(group=group, member_count=stored_groups.count_members(connection, group.id, members))
            for group in found
        ]
    return rendering.page(
        request, "groups/groups.html", section="/groups", groups=rows, **paging(request, [group.id for group in found])
    )


@get(_ONE, opt=SIGNED_IN | needs(ResourceAction.READ_GROUPS, Reach.OBJECT), sync_to_thread=True)
def show_group(services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]) -> Response[str]:
    """Show one group: its rule, who belongs to it, who came and went."""
    tenant, wanted, sight = services.tenant.id, parse_group_id(group_id), sight_of(request)
    with services.database.read() as connection:
        group = groups.get_group(connection, tenant, wanted)
        count = stored_groups.count_members(connection, wanted, sight.devices(group_members.c.device_id))
        found = groups.members(connection, tenant, wanted, replace(page_of(request), where=sight.listed_devices()))
        history = _history(connection, tenant, wanted, sight)
    return rendering.page(
        request,
        "groups/group.html",
        section="/groups",
        group=group,
        is_paused=group.processing_state is ProcessingState.PAUSED,
        member_count=count,
        devices=found,
        history=history,
        **paging(request, [device.id for device in found]),
    )


@get(_ONE + "/pause", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS), sync_to_thread=True)
def ask_to_pause(
    services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]
) -> Response[str]:
    """Ask before the rule of a group is not followed any more."""
    with services.database.read() as connection:
        group = _dynamic(connection, services.tenant.id, group_id)
    effect = [
        "The members stay as they are: neither devices nor another rule change them, until somebody resumes it.",
        "Only a device that leaves management leaves the group.",
    ]
    return _confirming(rendering, request, group, "Pause", effect)


@get(_ONE + "/resume", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS), sync_to_thread=True)
def ask_to_resume(
    services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]
) -> Response[str]:
    """Ask before the rule of a group is followed again, and say whom that moves."""
    with services.database.read() as connection:
        group = _dynamic(connection, services.tenant.id, group_id)
        rule = parse_rule(group.membership_rule or "")
        moves = preview_rule(connection, services.tenant.id, group.id, rule)
    effect = [
        "The group becomes at once what its rule says now, and follows it from then on.",
        f"{len(moves.gained)} devices would join, {len(moves.lost)} would leave; it would have {moves.members} then.",
    ]
    return _confirming(rendering, request, group, "Resume", effect)


@post(_ONE + "/pause", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS), sync_to_thread=True)
def pause_group(services: Services, request: PageRequest, group_id: FromPath[str], form: Form) -> Redirect:
    """Follow the rule of a group no more; its members stay."""
    return _processed(services, request, group_id, form, ProcessingState.PAUSED)


@post(_ONE + "/resume", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS), sync_to_thread=True)
def resume_group(services: Services, request: PageRequest, group_id: FromPath[str], form: Form) -> Redirect:
    """Follow the rule of a group again."""
    return _processed(services, request, group_id, form, ProcessingState.ON)


HANDLERS: Final[tuple[Any, ...]] = (
    list_groups,
    show_group,
    ask_to_pause,
    ask_to_resume,
    pause_group,
    resume_group,
)


def draft_of(group: Group, *, rule: str | None, state: ProcessingState) -> GroupDraft:
    """Return a group as it is, with another rule or state. Raises: InvalidGroupError, InvalidRuleError."""
    return GroupDraft(
        display_name=group.display_name,
        description=group.description,
        mail_nickname=group.mail_nickname,
        membership_rule=rule,
        processing_state=state,
    )


def _processed(services: Services, request: PageRequest, group_id: str, form: Form, state: ProcessingState) -> Redirect:
    check_form(services, request, form)
    with services.database.write() as connection:
        group = _dynamic(connection, services.tenant.id, group_id)
        acting = services.acting(request.scope["user"].actor)
        groups.update_group(connection, acting, group.id, draft_of(group, rule=group.membership_rule, state=state))
    return redirect(f"/groups/{group.id}")


def _dynamic(connection: Connection, tenant_id: TenantId, group_id: str) -> Group:
    group = groups.get_group(connection, tenant_id, parse_group_id(group_id))
    if not group.is_dynamic:
        raise DynamicGroupError(f"{group.display_name} has no rule that could be followed or not.")
    return group


def _confirming(
    rendering: Renderer, request: PageRequest, group: Group, label: str, effect: list[str]
) -> Response[str]:
    return rendering.page(
        request,
        "settings/confirm.html",
        section="/groups",
        label=label,
        subject=group.display_name,
        effect=effect,
        action=f"/groups/{group.id}/{label.lower()}",
        back=f"/groups/{group.id}",
    )


def _history(connection: Connection, tenant_id: TenantId, group_id: GroupId, sight: Sight) -> list[MoveRow]:
    page = Page(size=_HISTORY, where=sight.moved_devices())
    events = groups.history_of_group(connection, tenant_id, group_id, page)
    names = fleets.names(connection, {event.device_id for event in events})
    return [
        MoveRow(
            at=event.at,
            device_id=event.device_id,
            device_name=names.get(event.device_id, ""),
            happened="joined" if event.joined else "left",
            cause=event.cause.value,
            actor=event.actor,
        )
        for event in events
    ]
