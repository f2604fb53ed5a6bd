"""The pages of one group: what it is and is used by, who came and went, and following its rule or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId, parse_group_id
from shieldwall.policy.membership import parse_rule
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.sight import Sight, sight_of
from shieldwall.server.directory import groups, membership
from shieldwall.server.directory.assigned_members import DynamicGroupError
from shieldwall.server.directory.group_rules import Moves, preview_rule
from shieldwall.server.directory.group_uses import GroupUses, uses_of
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.manager.sweeping import still_to_come
from shieldwall.server.portal.groups.words import CAUSES
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.paging import page_of, paging
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.groups.group_members import count_members
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.records import Group, Page, ProcessingState

MOST_COUNTED: Final = 50_000
_MOST_PEOPLE: Final = 100
_ONE: Final = "/groups/{group_id:str}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRow:
    """A device that joined a group or left it; ``cause`` is a marked text."""

    at: datetime
    device_id: DeviceId
    device_name: str
    joined: bool
    cause: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenUses:
    """What a group is used by, as far as somebody sees it; ``unseen`` counts the policies and groups beyond that."""

    uses: GroupUses
    unseen: int
    shows_rights: bool
    are_none: bool
    """Whether nothing names it at all."""


@get(_ONE, opt=SIGNED_IN | needs(ResourceAction.READ_GROUPS, Reach.OBJECT), sync_to_thread=True)
def show_group(services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]) -> Response[str]:
    """Show one group: its rule, how many belong to it, what it is used by."""
    tenant, wanted, sight = services.tenant.id, parse_group_id(group_id), sight_of(request)
    with services.database.read() as connection:
        group = groups.get_group(connection, tenant, wanted)
        only = sight.devices()
        count = count_members(connection, wanted, only, most=MOST_COUNTED + 1)
        is_catching_up = membership.is_catching_up(connection, group)
        sees_all = sight.access.may_everywhere(ResourceAction.READ_DEVICES)
        to_come = still_to_come(connection, tenant) if sees_all else None
        uses = seen_uses(connection, sight, group)
        sees_people = sight.access.may_everywhere(ResourceAction.READ_PEOPLE)
        persons = people.members_of(connection, wanted, Page(size=_MOST_PEOPLE if sees_people else 0))
    return rendering.page(
        request,
        "groups/group.html",
        section="/groups",
        live=(f"group:{group.id}",),
        group=group,
        is_paused=group.processing_state is ProcessingState.PAUSED,
        is_catching_up=is_catching_up,
        to_come=to_come,
        member_count=count,
        most_counted=MOST_COUNTED,
        seen=uses,
        people=persons,
    )


@get(_ONE + "/history", opt=SIGNED_IN | needs(ResourceAction.READ_GROUPS, Reach.OBJECT), sync_to_thread=True)
def show_history(
    services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]
) -> Response[str]:
    """Show who joined a group and left it, newest first."""
    tenant, wanted, sight = services.tenant.id, parse_group_id(group_id), sight_of(request)
    with services.database.read() as connection:
        group = groups.get_group(connection, tenant, wanted)
        page = replace(page_of(request), where=sight.moved_devices())
        events = groups.history_of_group(connection, tenant, wanted, page)
        names = fleets.names(connection, {event.device_id for event in events})
    rows = [
        MoveRow(
            at=event.at,
            device_id=event.device_id,
            device_name=names.get(event.device_id, ""),
            joined=event.joined,
            cause=CAUSES[event.cause],
            actor=event.actor,
        )
        for event in events
    ]
    return rendering.page(
        request,
        "groups/group_history.html",
        section="/groups",
        live=(f"group:{group.id}",),
        group=group,
        history=rows,
        **paging(request, [event.id for event in events]),
    )


@get(_ONE + "/pause", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS), sync_to_thread=True)
def ask_to_pause(
    services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]
) -> Response[str]:
    """Ask before the rule of a group is not followed any more."""
    with services.database.read() as connection:
        group = _dynamic(connection, services.tenant.id, group_id)
    return _asking(rendering, request, group)


@get(_ONE + "/resume", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS), sync_to_thread=True)
def ask_to_resume(
    services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]
) -> Response[str]:
    """Ask before the rule of a group is followed again, and say whom that moves."""
    with services.database.read() as connection:
        group = _dynamic(connection, services.tenant.id, group_id)
        rule = parse_rule(group.membership_rule or "")
        moves = preview_rule(connection, services.tenant.id, group.id, rule)
    return _asking(rendering, request, group, moves)


@post(_ONE + "/pause", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS), sync_to_thread=True)
def pause_group(services: Services, request: PageRequest, group_id: FromPath[str], form: Form) -> Redirect:
    """Follow the rule of a group no more; its members stay."""
    return _processed(services, request, group_id, form, ProcessingState.PAUSED)


@post(_ONE + "/resume", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS), sync_to_thread=True)
def resume_group(services: Services, request: PageRequest, group_id: FromPath[str], form: Form) -> Redirect:
    """Follow the rule of a group again."""
    return _processed(services, request, group_id, form, ProcessingState.ON)


HANDLERS: Final[tuple[Any, ...]] = (
    show_group,
    show_history,
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


def seen_uses(connection: Connection, sight: Sight, group: Group) -> SeenUses:
    """Return what a group is used by, as far as somebody sees it."""
    uses = uses_of(connection, group.tenant_id, group.id)
    seen = sight.policies_among(connection, {each.policy_id for each in uses.policies})
    asking = sight.groups_among(connection, {each.id for each in uses.asking})
    shown = replace(
        uses,
        policies=tuple(each for each in uses.policies if each.policy_id in seen),
        asking=tuple(each for each in uses.asking if each.id in asking),
    )
    unseen = len(uses.policies) - len(shown.policies) + len(uses.asking) - len(shown.asking)
    rights = sight.access.may_everywhere(ResourceAction.READ_ROLES)
    return SeenUses(uses=shown, unseen=unseen, shows_rights=rights, are_none=uses.are_none)


def _processed(services: Services, request: PageRequest, group_id: str, form: Form, state: ProcessingState) -> Redirect:
    check_form(services, request, form)
    with services.database.write() as connection:
        group = _dynamic(connection, services.tenant.id, group_id)
        draft = draft_of(group, rule=group.membership_rule, state=state)
        groups.update_group(connection, acting_for(services, request), group.id, draft)
    return redirect(f"/groups/{group.id}")


def _dynamic(connection: Connection, tenant_id: TenantId, group_id: str) -> Group:
    group = groups.get_group(connection, tenant_id, parse_group_id(group_id))
    if not group.is_dynamic:
        raise DynamicGroupError(f"{group.display_name} has no rule that could be followed or not.")
    return group


def _asking(rendering: Renderer, request: PageRequest, group: Group, moves: Moves | None = None) -> Response[str]:
    return rendering.page(request, "groups/group_processing.html", section="/groups", group=group, moves=moves)
