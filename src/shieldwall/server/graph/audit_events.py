"""``/deviceManagement/auditEvents``: who did what to what, when; newest first."""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.graph.audit_shapes import CATEGORIES, CATEGORY, FIELDS, audit_event_resource
from shieldwall.server.graph.describing import does, lists, shows
from shieldwall.server.graph.requests import GraphRequest, Services, answer, page_answer, query_of
from shieldwall.server.graph.schemas.audit import AUDIT_EVENT, WORDS
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import audit

_READ: Final = allow("AuditLog.Read.All", "DeviceManagementApps.Read.All", "DeviceManagementApps.ReadWrite.All")
_PATH: Final = "/deviceManagement/auditEvents"
_CATEGORY: Final = "category="


@get(_PATH, opt=_READ | needs(ResourceAction.READ_AUDIT) | lists(AUDIT_EVENT), sync_to_thread=True)
def list_audit_events(services: Services, request: GraphRequest) -> Response[bytes]:
    """List audit events, newest first, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        found = audit.list_events(connection, services.tenant.id, query.page_of(FIELDS))
    rows = [(each.id, audit_event_resource(each)) for each in found]
    return page_answer(services, request, query, rows, FIELDS)


@get(
    _PATH + "/getAuditCategories",
    opt=_READ | needs(ResourceAction.READ_AUDIT, Reach.OPEN) | does(WORDS),
    sync_to_thread=False,
)
def list_audit_categories() -> Response[bytes]:
    """Name the categories that audit events have."""
    return answer({"value": list(CATEGORIES)})


@get(
    _PATH + "/getAuditActivityTypes/{category:str}",
    opt=_READ | needs(ResourceAction.READ_AUDIT, Reach.OPEN) | does(WORDS),
    sync_to_thread=True,
)
def list_audit_activity_types(services: Services, category: FromPath[str]) -> Response[bytes]:
    """Name the activities of a category that the trail of this tenant knows."""
    name = category.removeprefix(_CATEGORY)
    if not category.startswith(_CATEGORY) or name not in CATEGORIES:
        raise NotFoundError(f"There is no such category; there are {', '.join(CATEGORIES)}.")
    with services.database.read() as connection:
        of_category = CATEGORY == name  # noqa: SIM300 - a column compared, not a constant
        found = audit.list_activities(connection, services.tenant.id, of_category)
    return answer({"value": list(found)})


@get(_PATH + "/{event_id:str}", opt=_READ | needs(ResourceAction.READ_AUDIT) | shows(AUDIT_EVENT), sync_to_thread=True)
def get_audit_event(services: Services, request: GraphRequest, event_id: FromPath[str]) -> Response[bytes]:
    """Return one audit event."""
    query = query_of(request)
    with services.database.read() as connection:
        found = audit.find(connection, services.tenant.id, event_id)
    if found is None:
        raise NotFoundError(f"There is no audit event {event_id[:64]!r}.")
    return answer(query.shape(audit_event_resource(found)))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_audit_events,
    list_audit_categories,
    list_audit_activity_types,
    get_audit_event,
)
