"""The report over coverage: settings that nobody sets, and devices that no policy reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from litestar import Response, get
from sqlalchemy import Connection

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, sight_of
from shieldwall.server.inventory import machines
from shieldwall.server.inventory.machines import Machine
from shieldwall.server.manager.coverage import Coverage, Covered, coverage, policies_of_tenant, summary
from shieldwall.server.portal.figures import figures_for
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.paging import PAGE_SIZE, page_of
from shieldwall.server.portal.policies.links import Asked, asked_by
from shieldwall.server.portal.policies.words import FAMILIES, PLATFORMS
from shieldwall.server.portal.reports.pages_of_rows import cut
from shieldwall.server.portal.reports.words import COVERAGE, COVERED, COVERED_STYLES, WITHOUT_POLICY
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.reports import unreached

FILTERS: Final = ("q", "type", "platform", "covered")
_AT_ONCE: Final = 500
_REPORT: Final = SIGNED_IN | needs(ResourceAction.VIEW_REPORTS, Reach.LISTED)


@get(COVERAGE.path, opt=_REPORT, sync_to_thread=True)
def report_coverage(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show which settings policies set, by platform and type, and how many devices no policy reaches."""
    asked = asked_by(request, *FILTERS, "page")
    every = every_setting(services, sight_of(request))
    lines = fitting(every, asked)
    figures = figures_for(services, request)
    shown, around = cut(lines, asked)
    counted = summary(every)
    return rendering.page(
        request,
        "reports/coverage.html",
        section="/reports",
        live=("policies",),
        report=COVERAGE,
        asked=asked,
        lines=shown,
        parts_of_catalog=[
            (platform, family, counted[platform, family])
            for platform in PLATFORMS
            for family in FAMILIES
            if (platform, family) in counted
        ],
        families=FAMILIES,
        platforms=PLATFORMS,
        covered_words=COVERED,
        covered_styles=COVERED_STYLES,
        without_policy=None if figures is None else figures.without_policy,
        is_counting=figures is None,
        as_of=None if figures is None else figures.as_of,
        **around,
    )


@get(WITHOUT_POLICY.path, opt=_REPORT, sync_to_thread=True)
def devices_without_policy(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """List the active devices that no policy reaches."""
    page = page_of(request)
    with services.database.read() as connection:
        found = _without_policy(services, connection, sight_of(request), page)
    following = f"?after={found[-1].device.id}" if len(found) == PAGE_SIZE else ""
    return rendering.page(
        request,
        "reports/without_policy.html",
        section="/reports",
        live=("devices",),
        report=COVERAGE,
        machines=found,
        next_page=following,
        first_page="?" if page.after else "",
    )


HANDLERS: Final[tuple[Any, ...]] = (report_coverage, devices_without_policy)


def every_setting(services: AdminServices, sight: Sight) -> tuple[Coverage, ...]:
    """Return every setting that could be set, laid against the policies that somebody sees."""
    with services.database.read() as connection:
        return coverage(services.catalog, policies_of_tenant(connection, services.tenant.id, sight.policies()))


def fitting(rows: Iterable[Coverage], asked: Asked) -> list[Coverage]:
    """Return the rows that an address asks for, what nobody sets first."""
    order = list(reversed(Covered))
    found = [
        row
        for row in rows
        if asked.one_of("platform", PLATFORMS) in {"", row.platform}
        and asked.one_of("type", FAMILIES) in {"", row.family}
        and asked.one_of("covered", list(Covered)) in {"", row.covered.value}
        and all(word in f"{row.name} {row.category} {row.setting}".casefold() for word in asked["q"].casefold().split())
    ]
    return sorted(found, key=lambda row: order.index(row.covered))


def all_without_policy(services: AdminServices, sight: Sight) -> Iterator[Machine]:
    """Yield every active device that no policy reaches, read in portions."""
    page = Page(size=_AT_ONCE)
    while True:
        with services.database.read() as connection:
            found = _without_policy(services, connection, sight, page)
        yield from found
        if len(found) < _AT_ONCE:
            return
        page = Page(size=_AT_ONCE, after=found[-1].device.id)


def _without_policy(services: AdminServices, connection: Connection, sight: Sight, page: Page) -> list[Machine]:
    where = sight.onboarded_devices()
    asked = Page(size=page.size, after=page.after, where=where)
    ids = unreached.list_unreached(connection, services.tenant.id, asked)
    described = machines.describe(connection, ids, machines.filter_at(services.clock.now()).inactive_before)
    return [described[each] for each in ids if each in described]
