"""The editor of a group's rule: checked to the character, tried on devices, previewed, and only then saved.

As with the enforcement scope, saving is offered below the preview alone, and what the preview said is checked again at
that moment. A rule that comes to an assigned group takes the choice of its members away; an empty one gives it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, parse_group_id
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.policy.rule_verdicts import Verdict
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, sight_of
from shieldwall.server.directory import groups
from shieldwall.server.directory.group_rules import Moves, checked_rule, evaluate, preview_rule
from shieldwall.server.portal.forms import InvalidFormError, lines, named_devices
from shieldwall.server.portal.groups.group_pages import draft_of
from shieldwall.server.portal.groups.rule_forms import (
    Fault,
    Named,
    Said,
    choices,
    fault_of,
    on_one_line,
    rule_of,
    samples,
    what_is_said,
    with_condition,
)
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.records import Group, ProcessingState

_PATH: Final = "/groups/{group_id:str}/rule"
_MOST_TRIED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A device and what the rule says of it."""

    device_id: DeviceId
    name: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a rule would do: whom it moves, some of them by name, and what it says of the devices tried."""

    moves: Moves
    gained: Named
    lost: Named
    tried: tuple[Tried, ...]


@get(_PATH, opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS), sync_to_thread=True)
def edit_rule(services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]) -> Response[str]:
    """Show the rule of a group, to be changed."""
    with services.database.read() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
        rule = on_one_line(group.membership_rule or "")
        said = what_is_said(services, connection, sight_of(request), group.id, rule)
    return _page(rendering, request, group, rule=rule, said=said)


@post(_PATH + "/preview", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS), sync_to_thread=True, status_code=200)
def preview_group_rule(
    services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str], form: Form
) -> Response[str]:
    """Say what is wrong with a rule, or else what it says of the devices chosen and which ones would come and go."""
    check_form(services, request, form)
    rule, names, sight = rule_of(form), "\n".join(lines(form, "devices")), sight_of(request)
    moves = None if "add" in form else services.rule_moves(parse_group_id(group_id), rule)
    with services.database.read() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
        try:
            if "add" in form:
                rule = with_condition(connection, sight, rule, form)
                said = what_is_said(services, connection, sight, group.id, rule)
                return _page(rendering, request, group, rule=rule, names=names, said=said)
            preview = _preview(services, connection, sight, group, rule, names=lines(form, "devices"), moves=moves)
        except ShieldwallError as error:
            said = Said(fault=fault_of(rule, error))
            return _page(rendering, request, group, rule=rule, names=names, said=said, fault=said.fault)
    return _page(rendering, request, group, rule=rule, names=names, preview=preview)


@post(_PATH, opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS), sync_to_thread=True)
def save_rule(
    services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Give a group the rule of the form, if that moves whom its preview said."""
    check_form(services, request, form)
    rule = rule_of(form)
    with services.database.write() as connection:
        targets.lock(connection)
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
        preview = _preview(services, connection, sight_of(request), group, rule)
        told = (form.get("seen"), form.get("moves"))
        if told != (_seen(group), _digest(preview)):
            return _page(rendering, request, group, rule=rule, preview=preview, is_stale=True)
        state = group.processing_state if rule else ProcessingState.ON
        draft = draft_of(group, rule=rule or None, state=state)
        groups.update_group(connection, acting_for(services, request), group.id, draft)
    return redirect(f"/groups/{group.id}")


HANDLERS: Final[tuple[Any, ...]] = (edit_rule, preview_group_rule, save_rule)


def _page(
    rendering: Renderer,
    request: PageRequest,
    group: Group,
    *,
    rule: str,
    names: str = "",
    preview: Preview | None = None,
    said: Said | None = None,
    fault: Fault | None = None,
    is_stale: bool = False,
) -> Response[str]:
    return rendering.page(
        request,
        "groups/group_rule.html",
        status=200 if fault is None else 400,
        section="/groups",
        group=group,
        is_paused=group.processing_state is ProcessingState.PAUSED,
        rule=rule,
        names=names.splitlines(),
        preview=preview,
        moves="" if preview is None else _digest(preview),
        seen=_seen(group),
        said=said or Said(),
        fault=fault,
        is_stale=is_stale,
        **choices(),
    )


def _preview(
    services: AdminServices,
    connection: Connection,
    sight: Sight,
    group: Group,
    text: str,
    *,
    names: tuple[str, ...] = (),
    moves: Moves | None = None,
) -> Preview:
    """Try a rule; ``moves`` is what it does, where somebody knows it already.

    Raises:
        InvalidRuleError: It cannot be read.
        InvalidGroupError: It asks for a group that it may not ask for.
        InvalidFormError: Too many devices were named to try it on, or one that is not there.
        NotFoundError: One of them is nobody's to see.
    """
    tenant = services.tenant.id
    if len(names) > _MOST_TRIED:
        raise InvalidFormError(f"Devices to try: {_MOST_TRIED} at most.")
    if not text:  # who belongs is chosen by hand from then on, and nobody goes
        count = group_members.count_members(connection, group.id)
        nobody: frozenset[DeviceId] = frozenset()
        return Preview(moves=Moves(gained=nobody, lost=nobody, members=count), gained=(), lost=(), tried=())
    rule = checked_rule(connection, tenant, group.id, text)
    chosen = named_devices(connection, sight, names, services.clock.now())
    if unseen := {device.id for device in chosen} - sight.devices_among(connection, [each.id for each in chosen]):
        raise NotFoundError(f"There is no device {min(unseen)}.")
    sees = partial(sight.groups_among, connection)
    tried = tuple(
        Tried(
            device_id=device.id,
            name=device.display_name,
            verdict=evaluate(connection, tenant, device.id, rule, sees),
        )
        for device in chosen
    )
    moves = moves or preview_rule(connection, tenant, group.id, rule)
    return Preview(
        moves=moves,
        gained=samples(connection, sight, moves.gained),
        lost=samples(connection, sight, moves.lost),
        tried=tried,
    )


def _seen(group: Group) -> str:
    """Name the group as it was shown: its rule and whether that is followed."""
    return digest_of_bytes(f"{group.processing_state} {group.membership_rule}".encode())


def _digest(preview: Preview) -> str:
    """Name the devices that were shown as moving."""
    moves = preview.moves
    return digest_of_bytes(f"{sorted(moves.gained)} {sorted(moves.lost)}".encode())
