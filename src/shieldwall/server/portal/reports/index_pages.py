"""All reports with the questions that they answer, and what stands out in each."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.manager.coverage import Covered
from shieldwall.server.manager.figures import Figures
from shieldwall.server.portal.figures import figures_for
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.reports.coverage_pages import every_setting
from shieldwall.server.portal.reports.policy_rows import TROUBLES
from shieldwall.server.portal.reports.words import (
    AGENTS,
    CONFLICTS,
    COVERAGE,
    DRIFT,
    POLICIES,
    REPORTS,
    SETTINGS,
    STALE,
)
from shieldwall.server.storage.inventory.inventory_queries import Health


@get("/reports", opt=SIGNED_IN | needs(ResourceAction.VIEW_REPORTS, Reach.LISTED), sync_to_thread=True)
def list_reports(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the reports, each with the figure that it begins with."""
    figures = figures_for(services, request)
    heads = {} if figures is None else _heads(figures)
    unset = sum(row.covered is not Covered.SET for row in every_setting(services, sight_of(request)))
    heads[COVERAGE.path] = (unset, marked("settings that no assigned policy sets"))
    return rendering.page(
        request,
        "reports/reports.html",
        section="/reports",
        live=("policies", "devices"),
        reports=REPORTS,
        heads=heads,
        is_counting=figures is None,
        as_of=None if figures is None else figures.as_of,
    )


HANDLERS: Final[tuple[Any, ...]] = (list_reports,)


def _heads(figures: Figures) -> dict[str, tuple[int, str]]:
    """Return the figure that each report begins with, and what it counts; of all policies, seen or not, no name."""
    troubled = [counts for counts in figures.policies.values() if any(counts.devices.get(state) for state in TROUBLES)]
    settings = sum(
        any(states.get(state) for state in TROUBLES)
        for counts in figures.policies.values()
        for states in counts.settings.values()
    )
    conflicts = sum(contest.is_conflict for contest in figures.contests)
    return {
        POLICIES.path: (len(troubled), marked("policies with errors or conflicts")),
        SETTINGS.path: (settings, marked("settings with errors or conflicts")),
        CONFLICTS.path: (conflicts, marked("settings that nobody decides")),
        DRIFT.path: (
            figures.drift.repaired_devices + figures.drift.drifted_devices,
            marked("devices that somebody changed"),
        ),
        STALE.path: (figures.health.get(Health.INACTIVE, 0), marked("devices that are inactive")),
        AGENTS.path: (len(figures.agent_versions), marked("versions in use")),
    }
