"""The audit log: who did what to what, when; searched, compared with what was before, exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory.audit_trail import (
    Change,
    apart,
    changes_in,
    compared,
    details_of,
    in_words,
    name_in,
)
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.paging import PAGE_SIZE, page_of
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.audit_asking import asked_in, search_of
from shieldwall.server.portal.settings.audit_export import KINDS, exporting
from shieldwall.server.portal.words import plain
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import audit, audit_search
from shieldwall.server.storage.events.audit_search import Found
from shieldwall.server.storage.records import AuditEvent

_READ: Final = SIGNED_IN | needs(ResourceAction.READ_AUDIT)
_LONGEST: Final = 4_096
"""Characters of one value on the page."""
_ACTORS: Final = {"person": marked("person"), "app": marked("app"), "device": marked("device")}
_PAGES: Final[Mapping[str, str]] = {
    "alert": "/alerts",
    "app": "/apps/",
    "device": "/devices/",
    "group": "/groups/",
    "identityProvider": "/identity-providers/",
    "package": "/packages/",
    "person": "/people/",
    "policy": "/policies/",
    "roleAssignment": "/role-assignments/",
    "roleDefinition": "/roles/",
    "scopeTag": "/scope-tags/",
    "webhook": "/webhooks/",
}
"""Where the objects of a kind are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event in a list."""

    event: AuditEvent
    actor_kind: str
    actor: str
    activity: str
    name: str
    path: str
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """One detail, as it was and as it is; of lists only what differs."""

    name: str
    gone: tuple[str, ...]
    new: tuple[str, ...]
    kept: int = 0


@get("/audit", opt=_READ, sync_to_thread=True)
def show_audit(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show what was done, newest first, as far as it fits what is asked for."""
    asked, problem, found = asked_in(request.query_params), None, Found(events=())
    page = page_of(request)
    with services.database.read() as connection:
        known = audit_search.activities(connection, services.tenant.id)
        try:
            wanted = search_of(connection, services.tenant, asked)
            found = audit_search.search(connection, services.tenant.id, wanted, size=PAGE_SIZE, after=page.after)
        except ShieldwallError as error:
            problem = error
    return rendering.page(
        request,
        "settings/audit.html",
        status=200 if problem is None else 400,
        section="/audit",
        rows=[_row(each) for each in found.events],
        asked=asked,
        typed=asked.typed,
        areas=_areas(known),
        following=f"?{asked.query(after=found.following)}" if found.following else None,
        looked_back_to=found.looked_back_to,
        first=f"/audit?{asked.query()}" if page.after else None,
        problem=problem,
        live=() if page.after else ("audit",),
    )


@get("/audit/{event_id:str}", opt=_READ, sync_to_thread=True)
def show_event(services: Services, rendering: Renderer, request: PageRequest, event_id: FromPath[str]) -> Response[str]:
    """Show one event: who from where, what was before and after, and what the same request did beside it."""
    with services.database.read() as connection:
        event = audit.find(connection, services.tenant.id, event_id)
        if event is None:
            raise NotFoundError(f"There is no audit event {event_id[:64]!r}.")
        details = details_of(event)
        has_both = isinstance(details.get("before"), dict) and isinstance(details.get("after"), dict)
        earlier = None if has_both else audit_search.before(connection, event)
        together = audit_search.together(connection, event)
    changes = list(changes_in(details)) if earlier is None else compared(details_of(earlier), _told(details))
    return rendering.page(
        request,
        "settings/audit_event.html",
        section="/audit",
        row=_row(event),
        changes=[_change(each) for each in changes],
        earlier=earlier,
        has_before=has_both or earlier is not None,
        together=[_row(each) for each in together],
    )


@post("/audit/export/{kind:str}", opt=_READ, sync_to_thread=True)
def export_audit(services: Services, request: PageRequest, works: Working, form: Form, kind: FromPath[str]) -> Redirect:
    """Write what fits into a file, as long as it takes; it can be left meanwhile."""
    check_form(services, request, form)
    if kind not in KINDS:
        raise NotFoundError(f"There is no such form of the audit log: {', '.join(KINDS)}.")
    asked = asked_in(form)
    with services.database.read() as connection:
        wanted = search_of(connection, services.tenant, asked)
    work = works.start(
        caller_of(request),
        marked("Exporting the audit log"),
        exporting(services, wanted, kind),
        origin=f"/audit?{asked.query()}",
    )
    return redirect(f"/work/{work.id}")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_audit, show_event, export_audit)


def _row(event: AuditEvent) -> EventRow:
    kind, _, name = event.actor.partition(":")
    details = details_of(event)
    is_known = kind in _ACTORS and bool(name)
    place = _PAGES.get(event.object_kind, "")
    return EventRow(
        event=event,
        actor_kind=_ACTORS[kind] if is_known else "",
        actor=name if is_known else event.actor,
        activity=in_words(event.activity),
        name=name_in(details) or event.object_id,
        path=place + event.object_id if place.endswith("/") else place,
        changed=tuple(dict.fromkeys(each.name for each in changes_in(details))),
    )


def _areas(known: tuple[str, ...]) -> dict[str, list[tuple[str, str]]]:
    """Group the activities by what they are about, each with its words."""
    found: dict[str, list[tuple[str, str]]] = {}
    for each in known:
        found.setdefault(each.partition(".")[0], []).append((each, in_words(each)))
    return {area: [(f"{area}.*", in_words(area)), *each] for area, each in found.items()}


def _told(details: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in details.items() if name not in {"name", "title"} or len(details) == 1}


def _change(change: Change) -> ChangeRow:
    if isinstance(change.before, list) and isinstance(change.after, list):
        gone, new, kept = apart(change.before, change.after)
        return ChangeRow(name=change.name, gone=_lines(gone), new=_lines(new), kept=kept)
    return ChangeRow(name=change.name, gone=_lines(change.before), new=_lines(change.after))


def _lines(value: Any) -> tuple[str, ...]:
    """Write a value in lines: nothing, one, or one for each of a list."""
    if value is None:
        return ()
    return tuple(plain(each)[:_LONGEST] for each in (value if isinstance(value, list) else [value]))
