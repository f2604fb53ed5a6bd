"""Retention: what is kept how long and why, what would go now, and letting it go at once instead of within the hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from litestar import Response, get, post
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory import access_tokens, following, one_time_codes, refresh_tokens, sessions
from shieldwall.server.directory.acting import Acting
from shieldwall.server.events import keeping
from shieldwall.server.inventory import cleaning
from shieldwall.server.inventory.cleaning import EVENTS_KEPT, SIGHTINGS_KEPT, Cleaning, CleanUp, CleanUpRules
from shieldwall.server.manager import samples, unfinished
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.portal.work.progress import Page, Progress, Run
from shieldwall.server.portal.work.works import KEPT_FOR
from shieldwall.server.storage.events.receivers import DELIVERIES_KEPT

_READ: Final = SIGNED_IN | needs(ResourceAction.READ_DEVICES, Reach.OPEN)
_CLEAN: Final = SIGNED_IN | needs(ResourceAction.DELETE_DEVICES)
ROWS: Final[Mapping[str, str]] = {
    "used_nonces": marked("used numbers of enrolments"),
    "attestation_challenges": marked("questions to TPMs"),
    "sightings": marked("sightings of identities"),
    "device_events": marked("events that devices told of"),
    "membership_events": marked("who joined and left which group"),
    "alerts": marked("resolved alerts"),
    "authorization_codes": marked("codes of sign-ins that are over"),
    "refresh_tokens": marked("refresh tokens that are over"),
    "device_codes": marked("device codes that are over"),
    "cached_reports": marked("cached reports"),
    "export_jobs": marked("exports of reports"),
    "machine_actions": marked("actions on machines"),
}
"""What the kinds of traces are that go by age, by the names of their tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One kind of things: how long it is kept, which is ``None`` for good, and what decides that."""

    what: str
    lasts: timedelta | None
    then: str
    days: int = 0
    """What stands in ``then`` where it names a number of days."""
    by_rule: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptArea:
    """Kinds of things that belong together."""

    name: str
    kept: tuple[Kept, ...]


@get("/retention", opt=_READ, sync_to_thread=True)
def show_retention(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show what is kept how long; with ``?preview=yes`` also count what would go now, which may take a while."""
    may_count = caller_of(request).access.may_everywhere(ResourceAction.READ_DEVICES)
    is_preview = may_count and request.query_params.get("preview") == "yes"
    with services.database.read() as connection:
        rules = cleaning.get_rules(connection, services.tenant.id)
        now = services.clock.now()
        effect = cleaning.preview(connection, services.tenant.id, rules, now) if is_preview else None
    return rendering.page(
        request,
        "settings/retention.html",
        section="/retention",
        areas=_areas(rules),
        deliveries=DELIVERIES_KEPT,
        may_count=may_count,
        effect=effect,
        rows=_named(effect),
    )


@post("/retention/clean-up", opt=_CLEAN, sync_to_thread=True)
def clean_up_now(services: Services, request: PageRequest, works: Working, form: Form) -> Redirect:
    """Follow the rules now; it can be left meanwhile."""
    check_form(services, request, form)
    acting = acting_at(services, request)
    work = works.start(
        caller_of(request), marked("Cleaning up by the rules"), _cleaning(services, acting), origin="/retention"
    )
    return redirect(f"/work/{work.id}")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_retention, clean_up_now)


def _cleaning(services: AdminServices, acting: Acting) -> Run:
    def run(progress: Progress) -> Page:
        progress.expect(1)
        Cleaning(database=services.database, acting=acting, signer=services.signer)()
        progress.advance()
        return Page("/retention?preview=yes")

    return run


def _named(effect: CleanUp | None) -> list[tuple[str, int]]:
    return [] if effect is None else [(ROWS.get(name, name), count) for name, count in effect.rows.items() if count]


def _areas(rules: CleanUpRules) -> tuple[KeptArea, ...]:
    silence, history = rules.retire_inactive_after_days, timedelta(days=rules.history_days)
    return (
        KeptArea(
            name=marked("Devices"),
            kept=(
                Kept(
                    what=marked("Devices that are silent"),
                    lasts=None if silence is None else timedelta(days=silence),
                    then=marked("They retire, and leave their groups."),
                    by_rule=True,
                ),
                Kept(
                    what=marked("Devices that left"),
                    lasts=timedelta(days=rules.remove_retired_after_days),
                    then=marked("They are forgotten, but for the audit log."),
                    by_rule=True,
                ),
                Kept(
                    what=marked("Who was in which group, resolved alerts, actions on machines"),
                    lasts=history,
                    then=marked("They are removed."),
                    by_rule=True,
                ),
                Kept(what=marked("Where identities were seen"), lasts=SIGHTINGS_KEPT, then=marked("They are removed.")),
                Kept(
                    what=marked("Events that devices told of"),
                    lasts=EVENTS_KEPT,
                    then=marked("They are removed; alerts that came of them stay as long as alerts do."),
                ),
            ),
        ),
        KeptArea(
            name=marked("What was done and what happened"),
            kept=(
                Kept(what=marked("Audit log"), lasts=None, then=marked("Nobody can change or remove it here.")),
                Kept(
                    what=marked("Events for webhooks and streams"),
                    lasts=keeping.KEPT,
                    then=marked(
                        "Who did not have them yet gets them for %(days)s days, and then hears how many were missed."
                    ),
                    days=keeping.KEPT_AT_MOST.days,
                ),
                Kept(
                    what=marked("Changes that programs follow (delta queries)"),
                    lasts=following.KEPT,
                    then=marked("Programs that come later begin anew."),
                ),
                Kept(
                    what=marked("Figures of the fleet over time"),
                    lasts=samples.KEPT,
                    then=marked("They thin out with age, and are removed in the end."),
                ),
            ),
        ),
        KeptArea(
            name=marked("Sign-ins"),
            kept=(
                Kept(
                    what=marked("Sessions of the admin center"),
                    lasts=sessions.SESSION_LIFETIME,
                    then=marked("They end, and sooner where nobody uses them."),
                ),
                Kept(
                    what=marked("One-time codes"),
                    lasts=one_time_codes.INVITATION_LIFETIME,
                    then=marked("They are worth nothing any more."),
                ),
                Kept(
                    what=marked("Access tokens"),
                    lasts=access_tokens.LIFETIME,
                    then=marked("Programs ask for new ones."),
                ),
                Kept(
                    what=marked("Refresh tokens"),
                    lasts=refresh_tokens.LONGEST_LIFETIME,
                    then=marked("People sign in again, and after a day in which they were not used."),
                ),
            ),
        ),
        KeptArea(
            name=marked("Work in the admin center"),
            kept=(
                Kept(
                    what=marked("Policies that were begun and not saved"),
                    lasts=unfinished.KEPT_FOR,
                    then=marked("They are removed."),
                ),
                Kept(what=marked("Files of exports"), lasts=KEPT_FOR, then=marked("They are removed.")),
            ),
        ),
    )
