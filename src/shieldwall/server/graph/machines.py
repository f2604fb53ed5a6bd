"""``/deviceManagement/machines`` (ours): devices searched, sorted, counted and exported; duplicates merged."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import UUID_PATTERN, DeviceId, parse_device_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.gates import require_devices
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.graph.describing import ORDER_BY, SKIP, answers, does, lists
from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.fields.managed_devices import MACHINE_FIELDS
from shieldwall.server.graph.machine_shapes import device_resources, machine_resources
from shieldwall.server.graph.requests import (
    JSON,
    GraphRequest,
    Services,
    answer,
    body_of,
    page_answer,
    query_of,
)
from shieldwall.server.graph.schemas.devices import MANAGED_DEVICE
from shieldwall.server.graph.schemas.machines import COUNTS, EXPORT, FACET, FITTING, FORMAT, ORDER
from shieldwall.server.inventory import machine_export, machines, twins
from shieldwall.server.inventory.machine_queries import (
    ORDERING,
    PARAMETERS,
    Asked,
    read_facets,
    read_filter,
    read_order,
)
from shieldwall.server.inventory.machines import Wanted
from shieldwall.server.openapi.description import Answer
from shieldwall.server.storage.inventory.inventory_queries import Filter

_READ: Final = allow("DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All")
_WRITE: Final = allow("DeviceManagementManagedDevices.ReadWrite.All")
_PATH: Final = "/deviceManagement/machines"
_LISTING: Final = frozenset({*PARAMETERS, *ORDERING})
_FILE: Final = Answer(status=200, meaning="The file.", content=EXPORT, headers=("Content-Disposition",))


class MergeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which device stays."""

    into: Annotated[str, msgspec.Meta(pattern=UUID_PATTERN)]


@get(
    _PATH,
    opt=_READ
    | needs(ResourceAction.READ_DEVICES, Reach.LISTED)
    | lists(MANAGED_DEVICE, asks=[*FITTING, *ORDER], without=[SKIP, ORDER_BY]),
    sync_to_thread=True,
)
def list_machines(services: Services, request: GraphRequest) -> Response[bytes]:
    """List devices that fit, sorted, in pages (ours)."""
    asked = asked_in(request, _LISTING)
    query = query_of(request, parameters=_LISTING)
    if query.order or query.skip:
        raise InvalidQueryError("This list is sorted by orderBy and descending, and read by following its pages.")
    page = query.page_of(MACHINE_FIELDS)
    seen = _seen(request, read_filter(asked, services.clock.now()))
    fitting = replace(seen, only=(*seen.only, *page.where))
    wanted = Wanted(filter=fitting, order=read_order(asked), cursor=query.after, size=page.size)
    with services.database.read() as connection:
        if page.tally is not None:
            page.tally.total = machines.count_machines(connection, services.tenant.id, fitting)
        found = machines.list_machines(connection, services.tenant.id, wanted)
        resources = machine_resources(connection, services.tenant.id, found, sight_of(request))
    rows = [(each.cursor, resource) for each, resource in zip(found, resources, strict=True)]
    return page_answer(services, request, query, rows, MACHINE_FIELDS)


@get(
    _PATH + "/facets",
    opt=_READ | needs(ResourceAction.READ_DEVICES, Reach.LISTED) | does(COUNTS, asks=[*FITTING, FACET]),
    sync_to_thread=True,
)
def count_machines(services: Services, request: GraphRequest) -> Response[bytes]:
    """Count the devices that fit, all together and by each facet (ours)."""
    parameters = frozenset({*PARAMETERS, "facet"})
    asked = asked_in(request, parameters, only=True)
    fitting = _seen(request, read_filter(asked, services.clock.now()))
    with services.database.read() as connection:
        count = machines.count_machines(connection, services.tenant.id, fitting)
        counts = machines.facets(connection, services.tenant.id, fitting, read_facets(asked))
    return answer({"count": count, "facets": {name: dict(sorted(each.items())) for name, each in counts.items()}})


@get(
    _PATH + "/export",
    opt=_READ | needs(ResourceAction.READ_DEVICES, Reach.LISTED) | answers(_FILE, asks=[*FITTING, *ORDER, FORMAT]),
)
async def export_machines(services: Services, request: GraphRequest) -> Stream:
    """Write all devices that fit as one file, `format` csv or json (ours)."""
    asked = asked_in(request, _LISTING | {"format"}, only=True)
    kind = asked.get("format", ("csv",))
    if kind not in (["csv"], ["json"], ("csv",)):
        raise InvalidQueryError("format is csv or json.")
    fitting = _seen(request, read_filter(asked, services.clock.now()))
    found = machines.all_machines(services.database, services.tenant.id, fitting, read_order(asked))
    is_csv = kind[0] == "csv"
    # Sent as it is read, which is on the loop: that is why this is a coroutine, though it waits for nothing itself.
    return Stream(
        (machine_export.as_csv if is_csv else machine_export.as_json)(found),
        media_type="text/csv" if is_csv else JSON,
        headers={
            "Content-Disposition": f'attachment; filename="devices.{kind[0]}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


@post(
    "/deviceManagement/managedDevices/{device_id:str}/merge",
    opt=_WRITE
    | needs(ResourceAction.DELETE_DEVICES, Reach.OBJECT)
    | does(MANAGED_DEVICE, takes=MergeRequest, fails=[409]),
    sync_to_thread=True,
    status_code=200,
)
def merge_device(services: Services, request: GraphRequest, device_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Let the device `into` take the place of this one: tags, assigned groups and notes; this one retires (ours)."""
    asked, wanted = body_of(request, body, MergeRequest), parse_device_id(device_id)
    with services.database.write() as connection:
        require_devices(connection, request, [DeviceId(asked.into)])
        acting = acting_for(services, request)
        device = twins.merge(connection, acting, wanted, DeviceId(asked.into))
        (resource,) = device_resources(connection, [device], services.clock.now(), sight_of(request))
    return answer(resource)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_machines, count_machines, export_machines, merge_device)


def asked_in(request: GraphRequest, parameters: frozenset[str], *, only: bool = False) -> Asked:
    """Return the parameters of the route; with ``only`` no others may stand there. Raises: InvalidQueryError."""
    given = {name: request.query_params.getall(name) for name in request.query_params}
    if only and (unknown := set(given) - parameters):
        raise InvalidQueryError(f"The parameter {min(unknown)[:64]!r} is not one of this list.")
    return {name: values for name, values in given.items() if name in parameters}


def _seen(request: GraphRequest, fitting: Filter) -> Filter:
    """Leave out the devices that the caller does not see."""
    return replace(fitting, only=sight_of(request).listed_devices())
