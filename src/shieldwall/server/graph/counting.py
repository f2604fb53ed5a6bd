"""``…/$count``: how many resources a listing has, as a number alone. ``$filter`` and ``$search`` narrow it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.sight import Sight, showing
from shieldwall.server.graph.describing import FILTER, GRAPH, SEARCH
from shieldwall.server.graph.directory_devices import READ as READ_DIRECTORY
from shieldwall.server.graph.directory_devices import directory_rows
from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.fields.directory import GROUP_FIELDS
from shieldwall.server.graph.fields.managed_devices import MANAGED_DEVICE_FIELDS
from shieldwall.server.graph.groups import READ as READ_GROUPS
from shieldwall.server.graph.query import Query
from shieldwall.server.graph.requests import GraphRequest, Services, query_of
from shieldwall.server.openapi.description import Answer, Description, described
from shieldwall.server.openapi.shapes import COUNT
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.order_terms import Tally

_READ_MANAGED: Final = allow("DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All")
_TEXT: Final = "text/plain"
_COUNTS: Final = described(
    Description(
        door=GRAPH,
        answers=(Answer(status=200, meaning="How many there are.", content={_TEXT: COUNT}),),
        asks=(FILTER, SEARCH),
    )
)


@get(
    "/groups/$count",
    opt=READ_GROUPS | needs(ResourceAction.READ_GROUPS, Reach.LISTED) | showing(Sight.groups) | _COUNTS,
    sync_to_thread=True,
)
def count_groups(services: Services, request: GraphRequest) -> Response[str]:
    """Count groups."""
    query = _counting(request)
    with services.database.read() as connection:
        groups.list_groups(connection, services.tenant.id, query.page_of(GROUP_FIELDS))
    return _answer(query)


@get(
    "/devices/$count",
    opt=READ_DIRECTORY | needs(ResourceAction.READ_DIRECTORY, Reach.LISTED) | _COUNTS,
    sync_to_thread=True,
)
def count_directory_devices(services: Services, request: GraphRequest) -> Response[str]:
    """Count the devices of the directory and the registrations that none of them uses yet."""
    query = _counting(request)
    with services.database.read() as connection:
        directory_rows(connection, services.tenant.id, query)
    return _answer(query)


@get(
    "/deviceManagement/managedDevices/$count",
    opt=_READ_MANAGED | needs(ResourceAction.READ_DEVICES, Reach.LISTED) | showing(Sight.listed_devices) | _COUNTS,
    sync_to_thread=True,
)
def count_managed_devices(services: Services, request: GraphRequest) -> Response[str]:
    """Count managed devices."""
    query = _counting(request)
    with services.database.read() as connection:
        devices.list_devices(connection, services.tenant.id, query.page_of(MANAGED_DEVICE_FIELDS))
    return _answer(query)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (count_groups, count_directory_devices, count_managed_devices)


def _counting(request: GraphRequest) -> Query:
    """Read what is counted; of what is shown nothing may be asked. Raises: InvalidQueryError."""
    query = query_of(request)
    if query.is_about_pages or query.selection.names:
        raise InvalidQueryError("A count takes $filter and $search alone.")
    return replace(query, top=1, tally=Tally())


def _answer(query: Query) -> Response[str]:
    assert query.tally is not None, "asked for"
    return Response(str(query.tally.total or 0), media_type=_TEXT)
