"""Reports over policies: the status of each, that of their settings, and where they contend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, get

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, sight_of
from shieldwall.server.manager.conflict_rules import get_rules
from shieldwall.server.manager.figures import Figures
from shieldwall.server.portal.figures import figures_for
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.policies.links import Asked, asked_by
from shieldwall.server.portal.policies.words import FAMILIES, PLATFORMS
from shieldwall.server.portal.reports.pages_of_rows import cut
from shieldwall.server.portal.reports.policy_rows import (
    ContestLine,
    PolicyLine,
    SettingLine,
    contest_lines,
    policy_lines,
    setting_lines,
    total,
)
from shieldwall.server.portal.reports.words import CONFLICTS, POLICIES, SETTINGS, Report

FILTERS: Final = ("q", "type", "platform", "state")
CONTEST_FILTERS: Final = ("q", "show")
_REPORT: Final = SIGNED_IN | needs(ResourceAction.VIEW_REPORTS, Reach.LISTED)


@get(POLICIES.path, opt=_REPORT, sync_to_thread=True)
def report_policies(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show how each policy stands on its devices."""
    asked, figures = asked_by(request, *FILTERS, "page"), figures_for(services, request)
    lines = policies_asked(services, sight_of(request), figures, asked)
    return rendering.page(
        request, "reports/policies.html", **_shown(POLICIES, asked, lines, figures), totals=total(lines)
    )


@get(SETTINGS.path, opt=_REPORT, sync_to_thread=True)
def report_settings(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show how each setting of each policy stands on its devices."""
    asked, figures = asked_by(request, *FILTERS, "page"), figures_for(services, request)
    lines = settings_asked(services, sight_of(request), figures, asked)
    return rendering.page(
        request, "reports/settings.html", **_shown(SETTINGS, asked, lines, figures), totals=total(lines)
    )


@get(CONFLICTS.path, opt=_REPORT, sync_to_thread=True)
def report_conflicts(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show where policies want different values: who wins and why, or else what the way out is."""
    asked, figures = asked_by(request, *CONTEST_FILTERS, "page"), figures_for(services, request)
    lines = contests_asked(services, sight_of(request), figures, asked)
    count = sum(line.is_conflict for line in lines)
    return rendering.page(
        request, "reports/conflicts.html", **_shown(CONFLICTS, asked, lines, figures), conflict_count=count
    )


HANDLERS: Final[tuple[Any, ...]] = (report_policies, report_settings, report_conflicts)


def policies_asked(services: AdminServices, sight: Sight, figures: Figures | None, asked: Asked) -> list[PolicyLine]:
    """Return the lines of the report over policies that somebody asks for."""
    with services.database.read() as connection:
        return policy_lines(services, connection, sight, figures, known(asked))


def settings_asked(services: AdminServices, sight: Sight, figures: Figures | None, asked: Asked) -> list[SettingLine]:
    """Return the lines of the report over settings that somebody asks for."""
    with services.database.read() as connection:
        return setting_lines(services, connection, sight, figures, known(asked))


def contests_asked(services: AdminServices, sight: Sight, figures: Figures | None, asked: Asked) -> list[ContestLine]:
    """Return the lines of the report over conflicts that somebody asks for."""
    contests = () if figures is None else figures.contests
    with services.database.read() as connection:
        rules = get_rules(connection, services.tenant.id)
        seen = sight.policies_among(connection, {policy for each in contests for policy in each.policies})
    return contest_lines(services, contests, seen=seen, rules=rules, asked=asked)


def known(asked: Asked) -> Asked:
    """Return what is asked for as far as it can be: another type or platform asks for nothing."""
    return Asked(
        {
            **asked.values,
            "type": asked.one_of("type", FAMILIES),
            "platform": asked.one_of("platform", PLATFORMS),
        }
    )


def _shown(report: Report, asked: Asked, lines: Sequence[Any], figures: Figures | None) -> dict[str, Any]:
    shown, around = cut(lines, asked)
    return {
        "section": "/reports",
        "live": ("policies",),
        "report": report,
        "asked": asked,
        "lines": shown,
        "families": FAMILIES,
        "platforms": PLATFORMS,
        "is_counting": figures is None,
        "as_of": None if figures is None else figures.as_of,
        **around,
    }
