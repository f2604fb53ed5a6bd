"""``/groups/{id}/members``: who belongs to a group, as resources and as references."""

from __future__ import annotations

from typing import Final

from litestar import Response, delete, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_group_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import Reach, allow, needs
from shieldwall.server.directory import groups
from shieldwall.server.gates import require_named
from shieldwall.server.graph.describing import does, lists, removes
from shieldwall.server.graph.directory_shapes import device_resource
from shieldwall.server.graph.fields.directory import DEVICE_FIELDS
from shieldwall.server.graph.groups import READ
from shieldwall.server.graph.references import member_named, named_by
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    acting_for,
    empty,
    list_answer,
    members_of,
    page_answer,
    query_of,
)
from shieldwall.server.graph.schemas.directory import DEVICE
from shieldwall.server.graph.schemas.groups import MEMBER_REFERENCE, REFERENCE
from shieldwall.server.sight import Sight, showing
from shieldwall.server.storage import check_ins

_WRITE: Final = allow("GroupMember.ReadWrite.All", "Group.ReadWrite.All")
_READ: Final = READ | needs(ResourceAction.READ_GROUPS, Reach.LISTED) | showing(Sight.listed_devices)
_KIND: Final = {"@odata.type": "#microsoft.graph.device"}
_OTHER_KINDS: Final = ("group", "user", "servicePrincipal")
"""What may belong to a group elsewhere, and does not here."""


def list_members(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[bytes]:
    """List the devices of a group; groups do not belong to groups."""
    query = query_of(request)
    with services.database.read() as connection:
        page = query.page_of(DEVICE_FIELDS)
        found = groups.members(connection, services.tenant.id, parse_group_id(group_id), page)
        seen = check_ins.find_many(connection, [each.id for each in found])
    rows = [(each.id, _KIND | device_resource(each, seen.get(each.id))) for each in found]
    return page_answer(services, request, query, rows, DEVICE_FIELDS)


def list_no_members(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[bytes]:
    """List the members of a group that are of a kind which does not belong to groups here: none."""
    query = query_of(request)
    with services.database.read() as connection:
        groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
    return list_answer(services, request, query, [], DEVICE_FIELDS)


@get("/groups/{group_id:str}/members/$ref", opt=_READ | lists(MEMBER_REFERENCE), sync_to_thread=True)
def list_references(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[bytes]:
    """List the addresses of the members of a group."""
    query = query_of(request)
    with services.database.read() as connection:
        page = query.page_of(DEVICE_FIELDS)
        found = groups.members(connection, services.tenant.id, parse_group_id(group_id), page)
    version = request.url.path.split("/")[1]
    base = f"{services.settings.public_url}/{version}/directoryObjects"
    rows = [(each.id, {"@odata.id": f"{base}/{each.object_id}"}) for each in found]
    return page_answer(services, request, query, rows, DEVICE_FIELDS)


@post(
    "/groups/{group_id:str}/members/$ref",
    opt=_WRITE | needs(ResourceAction.UPDATE_GROUPS, Reach.OBJECT) | does(takes=REFERENCE, fails=[409]),
    sync_to_thread=True,
)
def add_member(services: Services, request: GraphRequest, group_id: FromPath[str], body: RawBody) -> Response[None]:
    """Let a device belong to a group; it is named by ``@odata.id``."""
    named = named_by(members_of(request, body, annotations=True).get("@odata.id"))
    with services.database.write() as connection:
        require_named(connection, request, "member_id", [named])
        device = member_named(services, connection, named)
        groups.join_members(connection, acting_for(services, request), parse_group_id(group_id), [device])
    return empty()


@delete(
    "/groups/{group_id:str}/members/{member_id:str}/$ref",
    opt=_WRITE | needs(ResourceAction.UPDATE_GROUPS, Reach.OBJECT) | removes(),
    sync_to_thread=True,
)
def remove_member(
    services: Services, request: GraphRequest, group_id: FromPath[str], member_id: FromPath[str]
) -> Response[None]:
    """Let a device belong to a group no more."""
    with services.database.write() as connection:
        device = member_named(services, connection, member_id)
        groups.remove_member(connection, acting_for(services, request), parse_group_id(group_id), device)
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *(
        get(f"/groups/{{group_id:str}}/{members}", opt=_READ | lists(DEVICE), sync_to_thread=True)(list_members)
        for members in ("members", "members/device", "transitiveMembers", "transitiveMembers/device")
    ),
    *(
        get(f"/groups/{{group_id:str}}/{members}/{kind}", opt=_READ | lists(DEVICE), sync_to_thread=True)(
            list_no_members
        )
        for members in ("members", "transitiveMembers")
        for kind in _OTHER_KINDS
    ),
    list_references,
    add_member,
    remove_member,
)
