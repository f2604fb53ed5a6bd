"""``/api/machines``: read, tagged, told to leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final, Literal

import msgspec
from litestar import Response, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import DeviceId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import devices
from shieldwall.server.graph.defender.describing import ACTION, DEFENDER, MACHINE, MACHINES
from shieldwall.server.graph.defender.shapes import action_resource, machine_fields, machine_resource
from shieldwall.server.graph.describing import asked, changes, creates, does, lists
from shieldwall.server.graph.errors import InvalidQueryError, InvalidRequestError, NotSupportedError
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    number_of,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import Json
from shieldwall.server.inventory.machine_ids import device_id_of
from shieldwall.server.inventory.machine_orders import order_offboarding
from shieldwall.server.inventory.machines import describe, filter_at
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.errors import NotFoundError

READ: Final = allow("Machine.Read.All", "Machine.ReadWrite.All")
WRITE: Final = allow("Machine.ReadWrite.All")
_OFFBOARD: Final = allow("Machine.Offboard")
PATH: Final = "/machines"
_ONE: Final = PATH + "/{machine_id:str}"
_TOP: Final = "$top"
MOST_ON_A_PAGE: Final = 10_000
MOST_TAGGED: Final = 500
_MANY: Final = asked(
    _TOP, "How many machines a page holds.", {"type": "integer", "minimum": 1, "maximum": MOST_ON_A_PAGE}
)
UNSUPPORTED: Final = (
    "collectInvestigationPackage",
    "isolate",
    "restrictCodeExecution",
    "runAntiVirusScan",
    "runliveresponse",
    "startInvestigation",
    "StopAndQuarantineFile",
    "unisolate",
    "unrestrictCodeExecution",
)
"""Published actions that need a sensor on the machine; this channel brings settings and no commands."""
_Comment = Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]
_Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class TagRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """A tag to be given or taken away."""

    value: _Tag
    action: Literal["Add", "Remove"]


class TagManyRequest(TagRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """The same for several machines."""

    machine_ids: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MOST_TAGGED)]


class MachinePatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What may be changed of a machine: tags are added to those it has."""

    machine_tags: tuple[_Tag, ...] = ()
    device_value: Literal["Normal", "Low", "High"] | None = None


class OffboardRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """Why a machine shall leave."""

    comment: _Comment


@get(
    PATH,
    opt=READ | needs(ResourceAction.READ_DEVICES) | lists(MACHINE, asks=[_MANY], door=DEFENDER),
    sync_to_thread=True,
)
def list_machines(services: Services, request: GraphRequest) -> Response[bytes]:
    """List machines, in pages of up to 10,000."""
    query = query_of(request, parameters=frozenset({_TOP}))
    top = number_of(request, _TOP)
    if top is not None and not 1 <= top <= MOST_ON_A_PAGE:
        raise InvalidQueryError(f"$top must be a number from 1 to {MOST_ON_A_PAGE}.")
    query = replace(query, top=top or MOST_ON_A_PAGE)
    silent_since = filter_at(services.clock.now()).inactive_before
    fields = machine_fields(silent_since)
    with services.database.read() as connection:
        found = devices.list_devices(connection, services.tenant.id, query.page_of(fields))
        described = describe(connection, [each.id for each in found], silent_since)
    rows = [(each.id, machine_resource(described[each.id])) for each in found]
    return page_answer(services, request, query, rows, fields)


@get(
    _ONE,
    opt=READ | needs(ResourceAction.READ_DEVICES, Reach.OBJECT) | does(MACHINE, door=DEFENDER),
    sync_to_thread=True,
)
def get_machine(services: Services, machine_id: FromPath[str]) -> Response[bytes]:
    """Return one machine."""
    wanted = named_machine(machine_id)
    with services.database.read() as connection:
        resource = _shown(services, connection, devices.get_device(connection, services.tenant.id, wanted))
    return answer(resource)


@patch(
    _ONE,
    opt=WRITE
    | needs(ResourceAction.UPDATE_DEVICES, Reach.OBJECT)
    | changes(MACHINE, takes=MachinePatch, door=DEFENDER),
    sync_to_thread=True,
)
def change_machine(
    services: Services, request: GraphRequest, machine_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Give a machine more tags."""
    asked, wanted = body_of(request, body, MachinePatch), named_machine(machine_id)
    if asked.device_value not in {None, "Normal"}:
        raise InvalidRequestError("deviceValue is Normal of every machine here.")
    with services.database.write() as connection:
        device = devices.change_tags(connection, acting_for(services, request), wanted, add=asked.machine_tags)
        resource = _shown(services, connection, device)
    return answer(resource)


@post(
    _ONE + "/tags",
    opt=WRITE | needs(ResourceAction.UPDATE_DEVICES, Reach.OBJECT) | does(MACHINE, takes=TagRequest, door=DEFENDER),
    sync_to_thread=True,
    status_code=200,
)
def tag_machine(services: Services, request: GraphRequest, machine_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Give a machine a tag, or take one away."""
    asked, wanted = body_of(request, body, TagRequest), named_machine(machine_id)
    with services.database.write() as connection:
        device = _tag(services, request, connection, wanted, asked)
        resource = _shown(services, connection, device)
    return answer(resource)


@post(
    PATH + "/AddOrRemoveTagForMultipleMachines",
    opt=WRITE | needs(ResourceAction.UPDATE_DEVICES) | does(MACHINES, takes=TagManyRequest, fails=[404], door=DEFENDER),
    sync_to_thread=True,
    status_code=200,
)
def tag_machines(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Give several machines a tag, or take one away: all of them or none."""
    asked = body_of(request, body, TagManyRequest)
    wanted = dict.fromkeys(named_machine(each) for each in asked.machine_ids)
    with services.database.write() as connection:
        tagged = [_tag(services, request, connection, each, asked) for each in wanted]
        shown = [_shown(services, connection, device) for device in tagged]
    return answer({"@odata.context": f"{services.settings.public_url}/api/$metadata#Machines", "value": shown})


@post(
    _ONE + "/offboard",
    opt=_OFFBOARD
    | needs(ResourceAction.OFFBOARD_DEVICES, Reach.OBJECT, sensitive=True)
    | creates(ACTION, takes=OffboardRequest, fails=[409], door=DEFENDER),
    sync_to_thread=True,
)
def offboard_machine(
    services: Services, request: GraphRequest, machine_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Tell a machine to leave management, on every operating system; the order can be followed and taken back."""
    asked, wanted = body_of(request, body, OffboardRequest), named_machine(machine_id)
    with services.database.write() as connection:
        action = order_offboarding(connection, acting_for(services, request), wanted, asked.comment)
    return answer(action_resource(action), status=201)


def _refusing(action: str) -> HTTPRouteHandler:
    @post(
        f"{_ONE}/{action}",
        opt=WRITE | needs(ResourceAction.OFFBOARD_DEVICES, Reach.OBJECT) | does(fails=[501], door=DEFENDER),
        sync_to_thread=True,
        status_code=204,
    )
    def refuse_machine_action(services: Services, machine_id: FromPath[str]) -> Response[None]:
        """Refuse a published action that needs a sensor on the machine."""
        with services.database.read() as connection:
            device = devices.get_device(connection, services.tenant.id, named_machine(machine_id))
        raise NotSupportedError(
            f"{action} cannot be done on {device.display_name!r}: this channel brings settings and no commands."
        )

    return refuse_machine_action


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_machines,
    get_machine,
    change_machine,
    tag_machine,
    tag_machines,
    offboard_machine,
    *map(_refusing, UNSUPPORTED),
)


def named_machine(machine_id: str) -> DeviceId:
    """Read the id of a machine; what cannot be one names nothing. Raises: NotFoundError."""
    try:
        return device_id_of(machine_id)
    except InvalidIdError:
        raise NotFoundError(f"There is no machine {machine_id[:64]!r}.") from None


def _tag(
    services: AdminServices, request: GraphRequest, connection: Connection, device_id: DeviceId, asked: TagRequest
) -> Device:
    given, taken = ((asked.value,), ()) if asked.action == "Add" else ((), (asked.value,))
    return devices.change_tags(connection, acting_for(services, request), device_id, add=given, remove=taken)


def _shown(services: AdminServices, connection: Connection, device: Device) -> Json:
    described = describe(connection, [device.id], filter_at(services.clock.now()).inactive_before)
    context = f"{services.settings.public_url}/api/$metadata#Machines/$entity"
    return {"@odata.context": context, **machine_resource(described[device.id])}
