"""Reports over devices: what drifted, who is stale, which agents are in use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from litestar import Response, get

from shieldwall.contract.ids import SettingId
from shieldwall.policy.words import category_of, name_of
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, sight_of
from shieldwall.server.inventory import machines, silence
from shieldwall.server.inventory.machines import Wanted
from shieldwall.server.manager.figures import Figures
from shieldwall.server.portal.figures import figures_for
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.paging import PAGE_SIZE
from shieldwall.server.portal.policies.links import Asked, asked_by
from shieldwall.server.portal.reports.words import AGENTS, DRIFT, STALE
from shieldwall.server.storage.inventory.inventory_queries import Filter, Order, Sort
from shieldwall.server.storage.inventory.inventory_rows import in_order
from shieldwall.server.storage.records import Page

DRIFT_FILTERS: Final = ("q",)
STALE_FILTERS: Final = ("days",)
MOST_DRIFTED: Final = Order(by=Sort.EXPOSURE, descending=True)
_SETTINGS_SHOWN: Final = 50
_REPORT: Final = SIGNED_IN | needs(ResourceAction.VIEW_REPORTS, Reach.LISTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftLine:
    """A setting, on how many devices it was put back, and on how many it is not what it should be."""

    setting: SettingId
    name: str
    category: str
    repaired: int
    drifted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLine:
    """A version of the agent, and how many devices have it; ``is_newest`` of all that are in use."""

    version: str
    devices: int
    part: float
    is_newest: bool


@get(DRIFT.path, opt=_REPORT, sync_to_thread=True)
def report_drift(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show which settings drift, and the devices that somebody changed, the most changed ones first."""
    asked, figures, sight = asked_by(request, *DRIFT_FILTERS), figures_for(services, request), sight_of(request)
    after = request.query_params.get("after") or None
    wanted = Wanted(filter=drifted(services, sight, asked["q"]), order=MOST_DRIFTED, cursor=after, size=PAGE_SIZE)
    with services.database.read() as connection:
        found = machines.list_machines(connection, services.tenant.id, wanted)
    return rendering.page(
        request,
        "reports/drift.html",
        section="/reports",
        live=("devices",),
        report=DRIFT,
        asked=asked,
        machines=found,
        settings=[] if figures is None else drift_lines(services, figures)[:_SETTINGS_SHOWN],
        drift=None if figures is None else figures.drift,
        next_page=asked.link(after=found[-1].cursor) if len(found) == PAGE_SIZE else "",
        first_page=asked.link() if after else "",
        is_counting=figures is None,
        as_of=None if figures is None else figures.as_of,
    )


@get(STALE.path, opt=_REPORT, sync_to_thread=True)
def report_stale(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the devices that have not been in touch for long, the longest silent ones first."""
    asked, sight, now = asked_by(request, *STALE_FILTERS), sight_of(request), services.clock.now()
    days, only = days_of(asked), sight.onboarded_devices()
    page = Page(size=PAGE_SIZE, after=request.query_params.get("after") or None, where=only)
    with services.database.read() as connection:
        bands = silence.bands(connection, services.tenant.id, now, only)
        found, cursor = silence.list_stale(connection, services.tenant.id, now, days, page)
    return rendering.page(
        request,
        "reports/stale.html",
        section="/reports",
        live=("devices",),
        report=STALE,
        asked=asked,
        days=days,
        choices=silence.DAYS,
        bands=bands,
        highest=max((band.count for band in bands), default=0),
        most_counted=silence.MOST_COUNTED,
        machines=found,
        next_page=asked.link(after=cursor) if cursor else "",
        first_page=asked.link() if page.after else "",
        as_of=now,
    )


@get(AGENTS.path, opt=_REPORT, sync_to_thread=True)
def report_agents(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show which versions of the agent are in use, the newest first."""
    figures = figures_for(services, request)
    return rendering.page(
        request,
        "reports/agents.html",
        section="/reports",
        live=("devices",),
        report=AGENTS,
        lines=[] if figures is None else agent_lines(figures),
        device_count=0 if figures is None else figures.devices,
        is_counting=figures is None,
        as_of=None if figures is None else figures.as_of,
    )


HANDLERS: Final[tuple[Any, ...]] = (report_drift, report_stale, report_agents)


def drift_lines(services: AdminServices, figures: Figures) -> list[DriftLine]:
    """Return the settings that drift, the most common first."""
    catalog = services.catalog
    found = [
        DriftLine(
            setting=setting,
            name=name_of(catalog, setting),
            category=category_of(catalog, setting),
            repaired=counts.repaired,
            drifted=counts.drifted,
        )
        for setting, counts in figures.setting_drift.items()
    ]
    return sorted(found, key=lambda line: (-line.drifted - line.repaired, line.name, line.setting))


def agent_lines(figures: Figures) -> list[AgentLine]:
    """Return the versions in use, the newest first; devices that never named theirs come last."""
    every = max(sum(figures.agent_versions.values()), 1)
    ordered = sorted(figures.agent_versions.items(), key=lambda each: in_order(each[0]), reverse=True)
    newest = ordered[0][0] if ordered else ""
    return [
        AgentLine(version=version, devices=count, part=count / every, is_newest=bool(version) and version == newest)
        for version, count in ordered
    ]


def drifted(services: AdminServices, sight: Sight, search: str) -> Filter:
    """Return which devices are meant by a search among those that drifted."""
    everybody = machines.filter_at(services.clock.now())
    return replace(everybody, is_drifted=True, search=search, only=sight.onboarded_devices())


def days_of(asked: Asked) -> int:
    """Read for how many days devices have to be silent; the fewest there are where it does not say."""
    return int(asked.one_of("days", [str(days) for days in silence.DAYS]) or silence.DAYS[0])
