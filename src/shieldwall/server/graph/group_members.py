"""``/groups/{id}/members``: who belongs to a group, as resources and as references."""

from __future__ import annotations

from operator import itemgetter
from typing import Final

from litestar import Response, delete, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.ids import GroupId, parse_group_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import (
    ForbiddenError,
    Principal,
    Reach,
    allow,
    needs,
    require_fresh_proof,
)
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.gates import require_named
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, showing
from shieldwall.server.directory import assigned_members, groups
from shieldwall.server.directory.role_assigning import carries_roles
from shieldwall.server.graph.describing import does, lists, removes
from shieldwall.server.graph.directory_shapes import device_resource
from shieldwall.server.graph.fields.directory import DEVICE_FIELDS
from shieldwall.server.graph.fields.people import USER_FIELDS
from shieldwall.server.graph.groups import READ
from shieldwall.server.graph.references import member_named, named_by, person_named
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    empty,
    list_answer,
    members_of,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.directory import DEVICE
from shieldwall.server.graph.schemas.groups import MEMBER_REFERENCE, REFERENCE
from shieldwall.server.graph.schemas.people import MEMBER, USER
from shieldwall.server.graph.user_shapes import USER_TYPE, user_resource
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.records import Page

_WRITE: Final = allow("GroupMember.ReadWrite.All", "Group.ReadWrite.All")
_READ: Final = READ | needs(ResourceAction.READ_GROUPS, Reach.LISTED) | showing(Sight.listed_devices)
_KIND: Final = {"@odata.type": "#microsoft.graph.device"}
MOST_PEOPLE: Final = 10_000
"""People of one group that are listed by themselves, which is held as a whole."""
GIVING: Final = "DeviceManagementRBAC.ReadWrite.All"
"""What lets a caller assign roles, be it by a group that carries them."""
_OTHER_KINDS: Final = ("group", "servicePrincipal")
"""What may belong to a group elsewhere, and does not here."""


def list_devices(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[bytes]:
    """List the devices of a group; groups do not belong to groups."""
    query = query_of(request)
    with services.database.read() as connection:
        rows = _devices(connection, services, query.page_of(DEVICE_FIELDS), group_id)
    return page_answer(services, request, query, rows, DEVICE_FIELDS)


def list_members(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[bytes]:
    """List the devices and people of a group, by id; what asks about properties of devices finds devices alone."""
    query = query_of(request)
    page = query.page_of(DEVICE_FIELDS)
    with services.database.read() as connection:
        rows = _devices(connection, services, page, group_id)
        if _sees_people(request) and not (page.where or page.order or page.skip):
            rows = sorted([*rows, *_people(connection, services, page, group_id)], key=itemgetter(0))[: page.size]
            if page.tally is not None and page.tally.total is not None:
                page.tally.total += people.count_members(connection, parse_group_id(group_id))
    return page_answer(services, request, query, rows, DEVICE_FIELDS)


def list_people(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[bytes]:
    """List the people of a group."""
    query = query_of(request)
    with services.database.read() as connection:
        wanted = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
        everybody = Page(size=MOST_PEOPLE if _sees_people(request) else 0)
        found = [row for _, row in _people(connection, services, everybody, wanted.id)]
    return list_answer(services, request, query, found, USER_FIELDS)


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
    """Let a device or a person belong to a group, named by ``@odata.id``."""
    named = named_by(members_of(request, body, annotations=True).get("@odata.id"))
    with services.database.write() as connection:
        if (person := person_named(services, connection, named)) is not None:
            _require_may_give_roles(connection, services, request, group := parse_group_id(group_id))
            assigned_members.join_person(connection, acting_for(services, request), group, person)
            return empty()
        require_named(connection, request, "member_id", [named])
        device = member_named(services, connection, named)
        assigned_members.join_members(connection, acting_for(services, request), parse_group_id(group_id), [device])
    return empty()


@delete(
    "/groups/{group_id:str}/members/{member_id:str}/$ref",
    opt=_WRITE | needs(ResourceAction.UPDATE_GROUPS, Reach.OBJECT) | removes(fails=[409]),
    sync_to_thread=True,
)
def remove_member(
    services: Services, request: GraphRequest, group_id: FromPath[str], member_id: FromPath[str]
) -> Response[None]:
    """Let a device or a person belong to a group no more."""
    with services.database.write() as connection:
        if (person := person_named(services, connection, member_id)) is not None:
            _require_may_give_roles(connection, services, request, group := parse_group_id(group_id))
            assigned_members.leave_person(connection, acting_for(services, request), group, person)
            return empty()
        device = member_named(services, connection, member_id)
        assigned_members.remove_member(connection, acting_for(services, request), parse_group_id(group_id), device)
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *(
        get(f"/groups/{{group_id:str}}/{members}", opt=_READ | lists(MEMBER), sync_to_thread=True)(list_members)
        for members in ("members", "transitiveMembers")
    ),
    *(
        get(f"/groups/{{group_id:str}}/{members}/device", opt=_READ | lists(DEVICE), sync_to_thread=True)(list_devices)
        for members in ("members", "transitiveMembers")
    ),
    *(
        get(f"/groups/{{group_id:str}}/{members}/user", opt=_READ | lists(USER), sync_to_thread=True)(list_people)
        for members in ("members", "transitiveMembers")
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


def _devices(connection: Connection, services: AdminServices, page: Page, group_id: str) -> list[tuple[str, Json]]:
    found = groups.members(connection, services.tenant.id, parse_group_id(group_id), page)
    seen = check_ins.find_many(connection, [each.id for each in found])
    return [(each.id, _KIND | device_resource(each, seen.get(each.id))) for each in found]


def _people(connection: Connection, services: AdminServices, page: Page, group_id: str) -> list[tuple[str, Json]]:
    found = people.members_of(connection, parse_group_id(group_id), page)
    return [(each.id, {"@odata.type": USER_TYPE} | user_resource(each, services.tenant)) for each in found]


def _require_may_give_roles(
    connection: Connection, services: AdminServices, request: GraphRequest, group_id: GroupId
) -> None:
    """Ask for what assigning roles asks for where a group carries some: that permission, and of people a fresh proof.

    That the caller's own roles reach as far is asked by ``directory.assigned_members``; those of an application reach
    everywhere.

    Raises:
        ForbiddenError: The caller lacks the permission.
        StepUpRequiredError: The person has to prove again who they are.
    """
    caller: Principal = request.scope["user"]
    if not carries_roles(connection, services.tenant.id, group_id):
        return
    if GIVING not in caller.permissions:
        raise ForbiddenError(f"The group carries roles, and {caller.display_name} lacks the permission {GIVING}.")
    require_fresh_proof(caller, services.clock.now())


def _sees_people(request: GraphRequest) -> bool:
    caller: Principal = request.scope["user"]
    return caller.access.may_everywhere(ResourceAction.READ_PEOPLE)
