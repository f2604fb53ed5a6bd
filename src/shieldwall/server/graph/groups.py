"""``/groups``: sets of devices, with assigned members or a membership rule."""

from __future__ import annotations

import re
from typing import Any, Final

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId, parse_device_id, parse_group_id
from shieldwall.contract.strict_json import convert
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import Reach, allow, needs
from shieldwall.server.directory import devices as directory_devices
from shieldwall.server.directory import groups
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.graph.describing import changes, creates, does, lists, removes, shows
from shieldwall.server.graph.directory_shapes import ALTERNATE_KEY, device_resource
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.fields.directory import DEVICE_FIELDS, GROUP_FIELDS
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    acting_for,
    answer,
    empty,
    members_of,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import group_resource
from shieldwall.server.graph.schemas.directory import DEVICE
from shieldwall.server.graph.schemas.groups import GROUP, GROUP_CHANGES, NEW_GROUP, REFERENCE
from shieldwall.server.services import AdminServices
from shieldwall.server.sight import Sight, showing
from shieldwall.server.storage import check_ins
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import Group, ProcessingState

READ: Final = allow("Group.Read.All", "Group.ReadWrite.All")
_WRITE: Final = allow("Group.ReadWrite.All")
_WRITE_MEMBERS: Final = allow("GroupMember.ReadWrite.All", "Group.ReadWrite.All")
_REFERENCE: Final = re.compile(r"/(?:directoryObjects|devices)(?:/|\(')([0-9a-fA-F-]{36})(?:'\))?\Z")
_READ_ONLY: Final = frozenset(
    {"id", "createdDateTime", "deletedDateTime", "mailEnabled", "securityEnabled", "groupTypes", "visibility"}
)
_CHANGEABLE: Final = frozenset(
    {"displayName", "description", "mailNickname", "membershipRule", "membershipRuleProcessingState"}
)


@get(
    "/groups",
    opt=READ | needs(ResourceAction.READ_GROUPS, Reach.LISTED) | showing(Sight.groups) | lists(GROUP),
    sync_to_thread=True,
)
def list_groups(services: Services, request: GraphRequest) -> Response[bytes]:
    """List groups, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        found = groups.list_groups(connection, services.tenant.id, query.page_of(GROUP_FIELDS))
    rows = [(group.id, group_resource(group)) for group in found]
    return page_answer(services, request, query, rows, GROUP_FIELDS)


@post(
    "/groups", opt=_WRITE | needs(ResourceAction.CREATE_GROUPS) | creates(GROUP, takes=NEW_GROUP), sync_to_thread=True
)
def create_group(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Create a group: dynamic with a membership rule, assigned without."""
    members = members_of(request, body)
    _require_security_group(members)
    draft = _draft(members, None)
    with services.database.write() as connection:
        group = groups.create_group(connection, acting_for(services, request), draft)
    return answer(group_resource(group), status=201)


@get(
    "/groups/{group_id:str}",
    opt=READ | needs(ResourceAction.READ_GROUPS, Reach.OBJECT) | shows(GROUP),
    sync_to_thread=True,
)
def get_group(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[bytes]:
    """Return one group."""
    query = query_of(request)
    with services.database.read() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
    return answer(query.shape(group_resource(group), GROUP_FIELDS))


@patch(
    "/groups/{group_id:str}",
    opt=_WRITE | needs(ResourceAction.UPDATE_GROUPS, Reach.OBJECT) | changes(takes=GROUP_CHANGES),
    sync_to_thread=True,
)
def patch_group(services: Services, request: GraphRequest, group_id: FromPath[str], body: RawBody) -> Response[None]:
    """Change the members given."""
    members, wanted = members_of(request, body), parse_group_id(group_id)
    with services.database.write() as connection:
        before = groups.get_group(connection, services.tenant.id, wanted)
        groups.update_group(connection, acting_for(services, request), wanted, _draft(members, before))
    return empty()


@delete(
    "/groups/{group_id:str}",
    opt=_WRITE | needs(ResourceAction.DELETE_GROUPS, Reach.OBJECT) | removes(fails=[409]),
    sync_to_thread=True,
)
def delete_group(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[None]:
    """Delete a group that no policy is assigned to."""
    with services.database.write() as connection:
        groups.delete_group(connection, acting_for(services, request), parse_group_id(group_id))
    return empty()


def list_members(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[bytes]:
    """List the devices of a group; groups do not belong to groups."""
    query = query_of(request)
    with services.database.read() as connection:
        page = query.page_of(DEVICE_FIELDS)
        found = groups.members(connection, services.tenant.id, parse_group_id(group_id), page)
        seen = check_ins.find_many(connection, [each.id for each in found])
    kind = {"@odata.type": "#microsoft.graph.device"}
    rows = [(each.id, kind | device_resource(each, seen.get(each.id))) for each in found]
    return page_answer(services, request, query, rows, DEVICE_FIELDS)


@post(
    "/groups/{group_id:str}/members/$ref",
    opt=_WRITE_MEMBERS | needs(ResourceAction.UPDATE_GROUPS, Reach.OBJECT) | does(takes=REFERENCE),
    sync_to_thread=True,
)
def add_member(services: Services, request: GraphRequest, group_id: FromPath[str], body: RawBody) -> Response[None]:
    """Let a device belong to a group; it is named by ``@odata.id``."""
    reference = members_of(request, body, annotations=True).get("@odata.id")
    match = _REFERENCE.search(reference) if isinstance(reference, str) else None
    if match is None:
        raise InvalidRequestError("@odata.id must end in /directoryObjects/ID or /devices/ID.")
    with services.database.write() as connection:
        device = member_named(services, connection, match[1])
        groups.add_member(connection, acting_for(services, request), parse_group_id(group_id), device)
    return empty()


@delete(
    "/groups/{group_id:str}/members/{member_id:str}/$ref",
    opt=_WRITE_MEMBERS | needs(ResourceAction.UPDATE_GROUPS, Reach.OBJECT) | removes(),
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
    list_groups,
    create_group,
    get_group,
    patch_group,
    delete_group,
    *(
        get(
            f"/groups/{{group_id:str}}/{members}",
            opt=READ | needs(ResourceAction.READ_GROUPS, Reach.LISTED) | showing(Sight.listed_devices) | lists(DEVICE),
            sync_to_thread=True,
        )(list_members)
        for members in ("members", "members/device", "transitiveMembers", "transitiveMembers/device")
    ),
    add_member,
    remove_member,
)


def member_named(services: AdminServices, connection: Connection, text: str) -> DeviceId:
    """Find a device by its object id, as Graph names members, or by its device id. Raises: NotFoundError."""
    wanted = parse_device_id(text.removeprefix(ALTERNATE_KEY))
    device = None
    if not text.startswith(ALTERNATE_KEY):
        device = directory_devices.find_by_object_id(connection, services.tenant.id, wanted)
    if device is None:
        try:
            device = directory_devices.get_device(connection, services.tenant.id, wanted)
        except NotFoundError:
            raise NotFoundError(f"There is no device {wanted}.") from None
    return device.id


def _require_security_group(members: dict[str, Any]) -> None:
    if members.get("mailEnabled") is not False or members.get("securityEnabled") is not True:
        raise InvalidRequestError("Only security groups exist here: mailEnabled is false and securityEnabled true.")
    kinds = convert(members.get("groupTypes", []), list[str])
    if set(kinds) - {"DynamicMembership"}:
        raise InvalidRequestError("groupTypes is empty or names DynamicMembership; other kinds do not exist here.")
    dynamic = bool(kinds)
    if dynamic != (members.get("membershipRule") is not None):
        raise InvalidRequestError("A group of the type DynamicMembership has a membershipRule, and no other has one.")


def _draft(members: dict[str, Any], before: Group | None) -> GroupDraft:
    unknown = set(members) - _CHANGEABLE - _READ_ONLY
    if unknown:
        raise InvalidJsonError(f"The member {min(unknown)!r} is not one of a group.")
    for required in ("displayName", "mailNickname"):
        if before is None and required not in members:
            raise InvalidJsonError(f"The member {required!r} is missing.")
    rule = _text(members, "membershipRule", (before.membership_rule or "") if before else "") or None
    return GroupDraft(
        display_name=_text(members, "displayName", before.display_name if before else ""),
        description=_text(members, "description", before.description if before else ""),
        mail_nickname=_text(members, "mailNickname", before.mail_nickname if before else ""),
        membership_rule=rule,
        processing_state=_processing_state(members, before, rule),
    )


def _processing_state(members: dict[str, Any], before: Group | None, rule: str | None) -> ProcessingState:
    if members.get("membershipRuleProcessingState") is not None:
        return convert(members["membershipRuleProcessingState"], ProcessingState)
    return before.processing_state if before is not None and rule is not None else ProcessingState.ON


def _text(members: dict[str, Any], name: str, otherwise: str) -> str:
    value = members.get(name, otherwise)
    if value is not None and not isinstance(value, str):
        raise InvalidJsonError(f"{name}: expected a string.")
    return value or ""
