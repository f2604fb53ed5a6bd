"""``/deviceManagement/assignmentFilters``: rules that narrow whom an assignment reaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import AssignmentFilterId, parse_assignment_filter_id
from shieldwall.contract.strict_json import convert
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, showing
from shieldwall.server.graph.describing import ETAG, IF_MATCH, changes, creates, lists, removes, shows
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.fields.policies import FILTER_FIELDS
from shieldwall.server.graph.policy_access import READ, WRITE
from shieldwall.server.graph.preconditions import require_match, shown, state_of
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    empty,
    members_of,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.filters import FILTER, FILTER_CHANGES, NEW_FILTER
from shieldwall.server.manager import filters
from shieldwall.server.manager.filters import FilterDraft, draft_of_filter
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.records import AssignmentFilter

PATH: Final = "/deviceManagement/assignmentFilters"
ONE: Final = PATH + "/{filter_id:str}"
_READ_ONLY: Final = frozenset({"id", "createdDateTime", "lastModifiedDateTime", "payloads"})
_AUTHORED: Final = {
    "displayName": "display_name",
    "description": "description",
    "platform": "platform",
    "rule": "rule",
    "roleScopeTags": "role_scope_tag_ids",
}
"""Members that an administrator decides, and the field of a draft each becomes."""

_KIND: Final = "assignmentFilterManagementType"


@get(
    PATH,
    opt=READ | needs(ResourceAction.READ_FILTERS, Reach.LISTED) | showing(Sight.filters) | lists(FILTER),
    sync_to_thread=True,
)
def list_filters(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the assignment filters, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        found = filters.list_filters(connection, services.tenant.id, query.page_of(FILTER_FIELDS))
    rows = [(each.id, _resource(each)) for each in found]
    return page_answer(services, request, query, rows, FILTER_FIELDS)


@post(
    PATH,
    opt=WRITE | needs(ResourceAction.CREATE_FILTERS, Reach.NAMED) | creates(FILTER, takes=NEW_FILTER),
    sync_to_thread=True,
)
def create_filter(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Create an assignment filter; it narrows nothing until an assignment names it."""
    draft = _draft(members_of(request, body), None)
    with services.database.write() as connection:
        made = filters.create_filter(connection, acting_for(services, request), draft)
    return answer(_resource(made), status=201)


@get(
    ONE, opt=READ | needs(ResourceAction.READ_FILTERS, Reach.OBJECT) | shows(FILTER, headers=ETAG), sync_to_thread=True
)
def get_filter(services: Services, request: GraphRequest, filter_id: FromPath[str]) -> Response[bytes]:
    """Return one assignment filter."""
    query, wanted = query_of(request), parse_assignment_filter_id(filter_id)
    with services.database.read() as connection:
        found = filters.get_filter(connection, services.tenant.id, wanted)
    return shown(request, query.shape(_resource(found), FILTER_FIELDS), state_of(_resource(found)))


@patch(
    ONE,
    opt=WRITE
    | needs(ResourceAction.UPDATE_FILTERS, Reach.OBJECT)
    | changes(FILTER, takes=FILTER_CHANGES, headers=ETAG, asks=[IF_MATCH]),
    sync_to_thread=True,
)
def patch_filter(services: Services, request: GraphRequest, filter_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Change the members given; devices of the policies it narrows follow at once."""
    members, wanted = members_of(request, body), parse_assignment_filter_id(filter_id)
    with services.database.write() as connection:
        before = _matching(services, request, connection, wanted)
        draft = _draft(members, draft_of_filter(before))
        changed = filters.update_filter(connection, acting_for(services, request), wanted, draft)
    return answer(_resource(changed), etag=state_of(_resource(changed)))


@delete(
    ONE,
    opt=WRITE | needs(ResourceAction.DELETE_FILTERS, Reach.OBJECT) | removes(asks=[IF_MATCH], fails=[409]),
    sync_to_thread=True,
)
def delete_filter(services: Services, request: GraphRequest, filter_id: FromPath[str]) -> Response[None]:
    """Delete an assignment filter that no assignment names."""
    with services.database.write() as connection:
        kept = _matching(services, request, connection, parse_assignment_filter_id(filter_id))
        filters.delete_filter(connection, acting_for(services, request), kept.id)
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_filters,
    create_filter,
    get_filter,
    patch_filter,
    delete_filter,
)


def _matching(
    services: AdminServices, request: GraphRequest, connection: Connection, filter_id: AssignmentFilterId
) -> AssignmentFilter:
    """Return the filter to be changed, as If-Match names it. Raises: NotFoundError, and as ``require_match``."""
    targets.lock(connection)
    found = filters.get_filter(connection, services.tenant.id, filter_id)
    require_match(services, request, state_of(_resource(found)))
    return found


def _draft(members: Mapping[str, Any], before: FilterDraft | None) -> FilterDraft:
    unknown = set(members) - _AUTHORED.keys() - _READ_ONLY - {_KIND}
    if unknown:
        raise InvalidJsonError(f"The member {min(unknown)[:128]!r} is not one of an assignment filter.")
    if members.get(_KIND) not in (None, "devices"):
        raise InvalidRequestError(f"{_KIND} can only be devices: there are no apps here.")
    drafted: dict[str, Any] = {}
    for name, field in _AUTHORED.items():
        if members.get(name) is not None:
            drafted[field] = _typed(name, members[name])
        elif before is not None:
            drafted[field] = getattr(before, field)
        elif name in {"displayName", "platform", "rule"}:
            raise InvalidJsonError(f"The member {name!r} is missing.")
    return FilterDraft(**drafted)


def _typed(name: str, value: Any) -> str | tuple[str, ...]:
    try:
        return convert(value, tuple[str, ...]) if name == "roleScopeTags" else convert(value, str)
    except InvalidJsonError as error:
        raise InvalidJsonError(f"{name}: {error.cause}") from None


def _resource(kept: AssignmentFilter) -> Json:
    return {
        "id": kept.id,
        "displayName": kept.display_name,
        "description": kept.description,
        "platform": kept.platform,
        "rule": kept.rule,
        "roleScopeTags": list(kept.role_scope_tag_ids),
        "assignmentFilterManagementType": "devices",
        "payloads": [],
        "createdDateTime": moment(kept.created_at),
        "lastModifiedDateTime": moment(kept.modified_at),
    }
