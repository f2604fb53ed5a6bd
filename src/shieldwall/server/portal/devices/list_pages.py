"""The list of devices: searched, filtered, sorted, with the columns that somebody chose and the views they keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from litestar import Response, get
from sqlalchemy import Connection

from shieldwall.contract.enrollment import status_in_words
from shieldwall.contract.ids import TenantId, parse_group_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.sight import caller_of, sight_of
from shieldwall.server.inventory import machines
from shieldwall.server.inventory.machines import Wanted
from shieldwall.server.manager.figures import Figures
from shieldwall.server.manager.summaries import summaries
from shieldwall.server.portal.devices import device_words as words
from shieldwall.server.portal.devices.asking import Asked, read_query
from shieldwall.server.portal.figures import figures_for
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.views import machine_row
from shieldwall.server.portal.words import STATES
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.inventory.inventory_queries import Filter
from shieldwall.server.storage.portal import saved_views

PAGE_SIZE: Final = 50
PATH: Final = "/devices"
MOST_COUNTED: Final = 10_001
"""Nobody reads further than this, so nothing is counted further for a page."""
_GONE: Final = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A filter that is set: in words, and the address of the list without it. ``is_ours`` where the words are ours."""

    label: str
    value: str
    without: str
    is_ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many devices fit: exactly, or at least so many; ``as_of`` where it was counted beside the page."""

    number: int
    is_bounded: bool = False
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What filters offer: values with their words and, where it is known, how many devices of the fleet have them."""

    os: tuple[tuple[str, int | None], ...]
    managed_by: tuple[tuple[str, int | None], ...]
    enrollment_codes: tuple[tuple[int, str, int | None], ...]
    agent_versions: tuple[str, ...]


@get(PATH, opt=SIGNED_IN | needs(ResourceAction.READ_DEVICES, Reach.LISTED), sync_to_thread=True)
def list_devices(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the devices that fit what is asked; to a script that asks for a part, the list alone."""
    asked = asked_of(request)
    tenant, caller = services.tenant.id, caller_of(request)
    wanted = Wanted(
        filter=seen(request, asked.filter(services.clock.now())), order=asked.order, cursor=asked.after, size=PAGE_SIZE
    )
    with services.database.read() as connection:
        searched = machines.search(connection, tenant, wanted, MOST_COUNTED)
        found = searched.found
        standing = summaries(connection, [each.device for each in found])
        views = saved_views.of_person(connection, tenant, caller.id, PATH)
        named = _groups_named(connection, tenant, request, asked)
    figures = figures_for(services, request)
    return rendering.page(
        request,
        "devices/device_list.html" if "hx-request" in request.headers else "devices/devices.html",
        section=PATH,
        live=("devices",),
        devices=[machine_row(each, standing[each.device.id]) for each in found],
        asked=asked,
        chips=list(_chips(asked, named)),
        counted=_count(asked, searched.count, figures),
        looked=searched.looked,
        everywhere=asked.following(machines.EVERYWHERE) if searched.named else None,
        choices=_choices(figures),
        columns=words.COLUMNS,
        words=words,
        state_words=STATES,
        views=views,
        view=next((view for view in views if view.query == asked.query), None),
        following=None if searched.following is None else asked.following(searched.following),
    )


def asked_of(request: PageRequest) -> Asked:
    """Read what a request asks for. Raises: InvalidMachineQueryError."""
    return read_query(request.scope.get("query_string", b"").decode("latin-1"))


def seen(request: PageRequest, fitting: Filter, action: ResourceAction = ResourceAction.READ_DEVICES) -> Filter:
    """Leave out the devices with which the caller may not do this."""
    return replace(fitting, only=sight_of(request).listed_devices(action))


def _count(asked: Asked, counted: int, figures: Figures | None) -> Count:
    if counted < MOST_COUNTED:
        return Count(number=counted)
    if asked.is_whole and figures is not None:
        return Count(number=figures.devices, as_of=figures.as_of)
    return Count(number=MOST_COUNTED - 1, is_bounded=True)


def _chips(asked: Asked, named: Mapping[str, str]) -> Iterable[Chip]:
    for name, values in asked.filters.items():
        for value in values:
            said, is_ours = _in_words(name, value, named)
            yield Chip(label=words.FILTERS[name], value=said, without=asked.without(name, value), is_ours=is_ours)


def _in_words(name: str, value: str, named: Mapping[str, str]) -> tuple[str, bool]:
    ours: Mapping[str, Mapping[Any, str]] = {
        "health": words.HEALTHS,
        "policyState": STATES,
        "state": words.LIFE,
        "attestation": words.ATTESTATION,
        "drifted": words.YES_NO,
        "duplicate": words.YES_NO,
        "includeRetired": words.YES_NO,
    }
    if name in ours:
        return ours[name][value], True
    if name == "group":
        return named.get(value, _GONE), False
    return value, False


def _groups_named(connection: Connection, tenant_id: TenantId, request: PageRequest, asked: Asked) -> dict[str, str]:
    """Name the groups that are filtered for, as far as the caller sees them."""
    wanted = [parse_group_id(value) for value in asked.all("group")]
    if not wanted:
        return {}
    seen_groups = sight_of(request).groups_among(connection, wanted)
    return {
        group.id: group.display_name
        for group in groups.find_many(connection, wanted)
        if group.id in seen_groups and group.tenant_id == tenant_id
    }


def _choices(figures: Figures | None) -> Choices:
    if figures is None:
        return Choices(
            os=tuple((each, None) for each in words.SYSTEMS),
            managed_by=(("MDE", None),),
            enrollment_codes=(),
            agent_versions=(),
        )
    systems = {**dict.fromkeys(words.SYSTEMS, 0), **figures.platforms}
    return Choices(
        os=tuple(systems.items()),
        managed_by=tuple((name, count) for name, count in sorted(figures.managed_by.items()) if name),
        enrollment_codes=tuple(
            (code, status_in_words(code), count) for code, count in sorted(figures.enrollment_codes.items())
        ),
        agent_versions=tuple(figures.agent_versions),
    )


HANDLERS: Final[tuple[Any, ...]] = (list_devices,)
