"""Reports as files, written beside the pages with progress: what is narrowed on the page is narrowed in the file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from litestar import post
from litestar.response import Redirect

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, caller_of, sight_of
from shieldwall.server.inventory import machine_export, machines, silence
from shieldwall.server.inventory.machines import Machine
from shieldwall.server.inventory.table_export import Table, extension
from shieldwall.server.manager.figures import Figures
from shieldwall.server.portal.figures import figures_for
from shieldwall.server.portal.forms import InvalidFormError
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Services, Working
from shieldwall.server.portal.policies.links import Asked
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.reports import coverage_pages, device_report_pages, policy_report_pages
from shieldwall.server.portal.reports.policy_rows import ContestLine
from shieldwall.server.portal.reports.words import (
    AGENTS,
    CONFLICTS,
    COVERAGE,
    DRIFT,
    POLICIES,
    SETTINGS,
    STALE,
    WITHOUT_POLICY,
)
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.views import counts_of
from shieldwall.server.portal.work.progress import File, Progress
from shieldwall.server.portal.work.tables import write_table

_STATES: Final = tuple(state.value for state in counts_of({}))
"""In the order in which counts stand."""
_LONGEST: Final = 200


@post("/reports/export", opt=SIGNED_IN | needs(ResourceAction.VIEW_REPORTS, Reach.LISTED), sync_to_thread=True)
def export_report(services: Services, request: PageRequest, works: Working, form: Form) -> Redirect:
    """Begin to write a report to a file: ``report`` is the path of its page, ``format`` is csv or json."""
    check_form(services, request, form)
    kind, path = extension(form.get("format", "")), form.get("report", "")
    asked = Asked({name: value.strip()[:_LONGEST] for name, value in form.items()})
    sight, figures = sight_of(request), figures_for(services, request)
    title, table = _table(services, sight, figures, path, asked)

    def write(progress: Progress) -> File:
        return write_table(progress, table, kind)

    work = works.start(caller_of(request), title, write, origin=path)
    return redirect(f"/work/{work.id}")


HANDLERS: Final[tuple[Any, ...]] = (export_report,)


def _table(
    services: AdminServices, sight: Sight, figures: Figures | None, path: str, asked: Asked
) -> tuple[str, Table]:
    """Return what is written of a report. Raises: InvalidFormError."""
    match path:
        case POLICIES.path:
            lines = policy_report_pages.policies_asked(services, sight, figures, asked)
            columns = ("id", "name", "profile", "platform", "isAssigned", "devices", *_STATES)
            rows: Iterable[tuple[Any, ...]] = [
                (each.id, each.name, each.profile, each.platform, each.is_assigned, each.devices, *each.counts.values())
                for each in lines
            ]
            return POLICIES.title, Table("policy-status", columns, rows)
        case SETTINGS.path:
            found = policy_report_pages.settings_asked(services, sight, figures, asked)
            columns = ("setting", "name", "category", "policyId", "policyName", "devices", *_STATES)
            rows = [
                (
                    each.setting,
                    each.name,
                    each.category,
                    each.policy.id,
                    each.policy.name,
                    each.devices,
                    *each.counts.values(),
                )
                for each in found
            ]
            return SETTINGS.title, Table("setting-status", columns, rows)
        case CONFLICTS.path:
            contests = policy_report_pages.contests_asked(services, sight, figures, asked)
            columns = ("setting", "name", "family", "isConflict", "devices", "wanted", "value", "why", "waysOut")
            return CONFLICTS.title, Table("conflicts", columns, map(_contest, contests))
        case COVERAGE.path:
            settings = coverage_pages.fitting(coverage_pages.every_setting(services, sight), asked)
            columns = ("platform", "family", "setting", "name", "category", "covered", "policies")
            rows = [
                (
                    each.platform,
                    each.family,
                    each.setting,
                    each.name,
                    each.category,
                    each.covered.value,
                    [policy.name for policy in each.policies],
                )
                for each in settings
            ]
            return COVERAGE.title, Table("coverage", columns, rows)
        case AGENTS.path:
            versions = [] if figures is None else device_report_pages.agent_lines(figures)
            rows = [(each.version, each.devices) for each in versions]
            return AGENTS.title, Table("agent-versions", ("agentVersion", "devices"), rows)
        case _:
            return _devices(services, sight, path, asked)


def _devices(services: AdminServices, sight: Sight, path: str, asked: Asked) -> tuple[str, Table]:
    now, tenant = services.clock.now(), services.tenant.id
    found: Iterable[Machine]
    match path:
        case DRIFT.path:
            fitting = device_report_pages.drifted(services, sight, asked["q"])
            found = machines.all_machines(services.database, tenant, fitting, device_report_pages.MOST_DRIFTED)
            title, name = DRIFT.title, "drift"
        case STALE.path:
            days = device_report_pages.days_of(asked)
            found = silence.all_stale(services.database, tenant, now, days, sight.onboarded_devices())
            title, name = STALE.title, "stale-devices"
        case WITHOUT_POLICY.path:
            found = coverage_pages.all_without_policy(services, sight)
            title, name = WITHOUT_POLICY.title, "devices-without-policy"
        case _:
            raise InvalidFormError("Report: one of the reports stands here.")
    rows = (tuple(machine_export.row_of(each).values()) for each in found)
    return title, Table(name, machine_export.COLUMNS, rows)


def _contest(line: ContestLine) -> tuple[Any, ...]:
    wanted = [f"{each.name}: {', '.join(each.lines)}" for each in line.wanting]
    ways = [f"{way.rule}: {', '.join(way.lines)}" for way in line.ways_out if way.solves]
    return (
        line.setting,
        line.name,
        line.family,
        line.is_conflict,
        line.devices,
        wanted,
        list(line.lines),
        line.why,
        ways,
    )
