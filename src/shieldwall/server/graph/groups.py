"""``/groups``: sets of devices, with assigned members or a membership rule."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId, GroupId, parse_group_id
from shieldwall.contract.strict_json import convert
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.gates import require_named
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, showing
from shieldwall.server.directory import assigned_members, groups, membership
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.graph.describing import ETAG, IF_MATCH, changes, creates, lists, removes, shows
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.fields.directory import GROUP_FIELDS
from shieldwall.server.graph.preconditions import require_match, shown, state_of
from shieldwall.server.graph.references import member_named, without_bound
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    empty,
    members_of,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import group_resource, processing_status
from shieldwall.server.graph.schemas.groups import GROUP, GROUP_CHANGES, NEW_GROUP
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.records import Group, ProcessingState

READ: Final = allow("Group.Read.All", "Group.ReadWrite.All")
_WRITE: Final = allow("Group.ReadWrite.All")
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
    "/groups",
    opt=_WRITE | needs(ResourceAction.CREATE_GROUPS) | creates(GROUP, takes=NEW_GROUP, headers=ETAG, fails=[404, 409]),
    sync_to_thread=True,
)
def create_group(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Create a group: dynamic with a membership rule, assigned without."""
    members, bound = without_bound(members_of(request, body, annotations=True))
    _require_security_group(members)
    draft = _draft(members, None)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        group = groups.create_group(connection, acting, draft)
        assigned_members.join_members(connection, acting, group.id, _bound(services, request, connection, bound))
    return answer(group_resource(group), status=201, etag=state_of(group_resource(group)))


_PROCESSING_STATUS: Final = "membershipRuleProcessingStatus"


@get(
    "/groups/{group_id:str}",
    opt=READ | needs(ResourceAction.READ_GROUPS, Reach.OBJECT) | shows(GROUP, headers=ETAG),
    sync_to_thread=True,
)
def get_group(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[bytes]:
    """Return one group; `$select=membershipRuleProcessingStatus` tells whether devices still join by its rule."""
    query = query_of(request)
    with services.database.read() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
        resource = group_resource(group)
        if _PROCESSING_STATUS.lower() in query.selection.names:  # told on request alone, as Graph does
            is_catching_up = membership.is_catching_up(connection, group)
            status = processing_status(is_catching_up=is_catching_up) if group.is_dynamic else None
            resource |= {_PROCESSING_STATUS: status}
    return shown(request, query.shape(resource, GROUP_FIELDS), state_of(group_resource(group)))


@patch(
    "/groups/{group_id:str}",
    opt=_WRITE | needs(ResourceAction.UPDATE_GROUPS) | changes(takes=GROUP_CHANGES, asks=[IF_MATCH], fails=[409]),
    sync_to_thread=True,
)
def patch_group(services: Services, request: GraphRequest, group_id: FromPath[str], body: RawBody) -> Response[None]:
    """Change the members given; those of `members@odata.bind`, at most 20, join it."""
    (members, bound), wanted = without_bound(members_of(request, body, annotations=True)), parse_group_id(group_id)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        before = _matching(services, request, connection, wanted)
        groups.update_group(connection, acting, wanted, _draft(members, before))
        assigned_members.join_members(connection, acting, wanted, _bound(services, request, connection, bound))
    return empty()


@delete(
    "/groups/{group_id:str}",
    opt=_WRITE | needs(ResourceAction.DELETE_GROUPS) | removes(asks=[IF_MATCH], fails=[409]),
    sync_to_thread=True,
)
def delete_group(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[None]:
    """Delete a group that no policy is assigned to."""
    with services.database.write() as connection:
        group = _matching(services, request, connection, parse_group_id(group_id))
        groups.delete_group(connection, acting_for(services, request), group.id)
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_groups,
    create_group,
    get_group,
    patch_group,
    delete_group,
)


def _matching(services: AdminServices, request: GraphRequest, connection: Connection, group_id: GroupId) -> Group:
    """Return the group to be changed, as If-Match names it. Raises: NotFoundError, and as ``require_match``."""
    targets.lock(connection)
    group = groups.get_group(connection, services.tenant.id, group_id)
    require_match(services, request, state_of(group_resource(group)))
    return group


def _bound(
    services: AdminServices, request: GraphRequest, connection: Connection, ids: tuple[str, ...]
) -> frozenset[DeviceId]:
    """Find the devices that a body binds, of those that the caller sees. Raises: NotFoundError."""
    require_named(connection, request, "member_id", ids)
    return frozenset(member_named(services, connection, each) for each in ids)


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
