"""``/directoryObjects``: whatever has an id in the directory, by that id alone; and which groups it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.ids import GroupId, parse_device_id, parse_group_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.directory import groups
from shieldwall.server.graph.describing import does, lists, shows
from shieldwall.server.graph.directory_shapes import device_resource, registration_resource
from shieldwall.server.graph.fields.directory import GROUP_FIELDS
from shieldwall.server.graph.groups import READ
from shieldwall.server.graph.references import member_named
from shieldwall.server.graph.requests import GraphRequest, Services, answer, body_of, list_answer, query_of
from shieldwall.server.graph.resources import Json, group_resource
from shieldwall.server.graph.schemas.directory_objects import DIRECTORY_OBJECT, DIRECTORY_OBJECTS, GROUP_IDS
from shieldwall.server.graph.schemas.groups import GROUP
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import devices as device_rows
from shieldwall.server.storage.devices import registrations as registration_rows
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.groups import groups as group_rows

_READ: Final = allow("Directory.Read.All") | needs(ResourceAction.READ_DIRECTORY)
_READ_DEVICES: Final = allow("Device.Read.All", "Device.ReadWrite.All")
MOST_IDS: Final = 1_000
MOST_ASKED: Final = 20
"""Published: as many groups are asked about at once."""
_KINDS: Final = frozenset({"device", "directoryObject", "group", "servicePrincipal", "user"})

Ids = Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_IDS)]
Asked = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MOST_ASKED)]


class ByIdsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which objects are wanted, and of which types; without types, of any."""

    ids: Ids
    types: Annotated[tuple[str, ...], msgspec.Meta(max_length=32)] | None = None


class CheckGroupsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which groups are asked about."""

    group_ids: Asked


class CheckObjectsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which groups are asked about, under the name that other objects have as well."""

    ids: Asked


class GetGroupsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Whether only security groups are wanted: all groups are."""

    security_enabled_only: bool | None = None


@get("/directoryObjects/{object_id:str}", opt=_READ | shows(DIRECTORY_OBJECT), sync_to_thread=True)
def get_object(services: Services, request: GraphRequest, object_id: FromPath[str]) -> Response[bytes]:
    """Return one object of the directory: a device or a group."""
    query_of(request)
    wanted = parse_device_id(object_id)
    with services.database.read() as connection:
        found = _objects(services, connection, [wanted])
    if not found:
        raise NotFoundError(f"There is no object {wanted} in the directory.")
    return answer(found[0])


@post(
    "/directoryObjects/getByIds",
    opt=_READ | does(DIRECTORY_OBJECTS, takes=ByIdsRequest),
    sync_to_thread=True,
    status_code=200,
)
def get_by_ids(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Return those of these objects that are there, of the types asked for; at most 1,000."""
    asked = body_of(request, body, ByIdsRequest)
    wanted = dict.fromkeys(parse_device_id(each) for each in asked.ids)
    types = {kind.removeprefix("microsoft.graph.") for kind in asked.types or ()} & _KINDS
    with services.database.read() as connection:
        found = _objects(services, connection, list(wanted))
    if asked.types and "directoryObject" not in types:
        found = [each for each in found if each["@odata.type"].removeprefix("#microsoft.graph.") in types]
    version = request.url.path.split("/")[1]
    context = f"{services.settings.public_url}/{version}/$metadata#directoryObjects"
    return answer({"@odata.context": context, "value": found})


def check_member_groups(
    services: Services, request: GraphRequest, device_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Say to which of these groups, at most 20, a device belongs."""
    asked = [parse_group_id(each) for each in body_of(request, body, CheckGroupsRequest).group_ids]
    return _ids(services, request, set(_groups_of(services, request, device_id)).intersection(asked))


def check_member_objects(
    services: Services, request: GraphRequest, device_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Say to which of these objects, at most 20, a device belongs: only groups have members."""
    asked = [parse_group_id(each) for each in body_of(request, body, CheckObjectsRequest).ids]
    return _ids(services, request, set(_groups_of(services, request, device_id)).intersection(asked))


def get_member_groups(
    services: Services, request: GraphRequest, device_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Return the ids of all groups that a device belongs to."""
    body_of(request, body, GetGroupsRequest)
    return _ids(services, request, _groups_of(services, request, device_id))


def list_no_groups(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[bytes]:
    """List the groups that a group belongs to: none, groups do not belong to groups."""
    query = query_of(request)
    with services.database.read() as connection:
        groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
    return list_answer(services, request, query, [], GROUP_FIELDS)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    get_object,
    get_by_ids,
    *(
        post(
            f"/devices/{{device_id:str}}/{action}",
            opt=_READ_DEVICES | needs(ResourceAction.READ_DIRECTORY, Reach.OBJECT) | does(GROUP_IDS, takes=body),
            sync_to_thread=True,
            status_code=200,
        )(handler)
        for action, handler, body in (
            ("checkMemberGroups", check_member_groups, CheckGroupsRequest),
            ("checkMemberObjects", check_member_objects, CheckObjectsRequest),
            ("getMemberGroups", get_member_groups, GetGroupsRequest),
            ("getMemberObjects", get_member_groups, GetGroupsRequest),
        )
    ),
    *(
        get(
            f"/groups/{{group_id:str}}/{groups_of}",
            opt=READ | needs(ResourceAction.READ_GROUPS, Reach.OBJECT) | lists(GROUP),
            sync_to_thread=True,
        )(list_no_groups)
        for groups_of in ("memberOf", "transitiveMemberOf")
    ),
)


def _groups_of(services: AdminServices, request: GraphRequest, device: str) -> list[GroupId]:
    """Return the groups of a device that the caller sees, in the order of their ids. Raises: NotFoundError."""
    with services.database.read() as connection:
        device_id = member_named(services, connection, device)
        found = sorted(group_members.memberships(connection, [device_id])[device_id])
        return sorted(sight_of(request).groups_among(connection, found))


def _ids(services: AdminServices, request: GraphRequest, ids: Iterable[str]) -> Response[bytes]:
    version = request.url.path.split("/")[1]
    context = f"{services.settings.public_url}/{version}/$metadata#Collection(Edm.String)"
    return answer({"@odata.context": context, "value": sorted(ids)})


def _objects(services: AdminServices, connection: Connection, ids: list[str]) -> list[Json]:
    """Return those of these objects that are there, each with its type, in the order asked for."""
    tenant_id = services.tenant.id
    found: dict[str, Json] = {}
    for registration in registration_rows.find_unused_objects(connection, tenant_id, ids):
        found[registration.object_id] = {"@odata.type": "#microsoft.graph.device"} | registration_resource(registration)
    present: tuple[Device, ...] = device_rows.find_objects(connection, tenant_id, ids)
    seen = check_ins.find_many(connection, [device.id for device in present])
    for device in present:
        resource = device_resource(device, seen.get(device.id))
        found[device.object_id] = {"@odata.type": "#microsoft.graph.device"} | resource
    for group in group_rows.find_many(connection, list(map(GroupId, ids))):
        if group.tenant_id == tenant_id:
            found[group.id] = {"@odata.type": "#microsoft.graph.group"} | group_resource(group)
    return [found[each] for each in ids if each in found]
