"""``/deviceManagement/roleScopeTags``: marks that say which policies and devices somebody sees."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_group_id
from shieldwall.contract.strict_json import convert
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.directory import scope_tags
from shieldwall.server.directory.invalid_role import InvalidRoleError
from shieldwall.server.graph.describing import answers, changes, creates, does, lists, removes, shows
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    empty,
    list_answer,
    members_of,
    query_of,
)
from shieldwall.server.graph.role_definitions import READ, WRITE
from shieldwall.server.graph.role_shapes import plain, tag_assignments_resource, tag_resource
from shieldwall.server.graph.schemas.roles import (
    HAS_CUSTOM_TAG,
    NEW_TAG,
    TAG,
    TAG_ASSIGNING,
    TAG_ASSIGNMENT,
    TAG_ASSIGNMENTS,
    TAG_CHANGES,
    TAGS_ASKED,
    TAGS_FOUND,
)
from shieldwall.server.openapi.description import JSON, Answer
from shieldwall.server.storage.access import scope_tags as stored_tags

PATH: Final = "/deviceManagement/roleScopeTags"
ONE: Final = PATH + "/{tag_id:str}"


class TagRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A scope tag as somebody wants it."""

    display_name: str | None = None
    description: str | None = None
    is_built_in: bool | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        """Refuse what nobody can make. Raises: InvalidRoleError."""
        if self.is_built_in:
            raise InvalidRoleError("The one built-in scope tag comes with the server.", member="isBuiltIn")


class TagTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A group; filters narrow no scope tag."""

    group_id: str
    device_and_app_management_assignment_filter_id: str | None = None
    device_and_app_management_assignment_filter_type: str | None = None


class TagAssignment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A group whose members have the tag."""

    target: TagTarget
    id: str | None = None


class TagAssignRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """All groups whose members shall have the tag."""

    assignments: tuple[TagAssignment, ...]


class TagsByIdRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which tags are asked for."""

    role_scope_tag_ids: tuple[str, ...]


@get(PATH, opt=READ | needs(ResourceAction.READ_ROLES, Reach.LISTED) | lists(TAG), sync_to_thread=True)
def list_tags(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the scope tags."""
    query, sight = query_of(request), sight_of(request)
    with services.database.read() as connection:
        found = scope_tags.all_tags(connection, services.tenant.id)
    seen = [tag_resource(tag) for tag in found if sight.sees(ResourceAction.READ_ROLES, {tag.id})]
    return list_answer(services, request, query, seen)


@post(
    PATH,
    opt=WRITE | needs(ResourceAction.CREATE_ROLES, sensitive=True) | creates(TAG, takes=NEW_TAG),
    sync_to_thread=True,
)
def create_tag(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Make a scope tag; nothing carries it yet."""
    asked = convert(plain(members_of(request, body)), TagRequest)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        tag = scope_tags.create_tag(connection, acting, asked.display_name or "", asked.description or "")
    return answer(tag_resource(tag), status=201)


@post(
    PATH + "/getRoleScopeTagsById",
    opt=WRITE | needs(ResourceAction.READ_ROLES, Reach.LISTED) | does(TAGS_FOUND, takes=TAGS_ASKED),
    sync_to_thread=True,
    status_code=200,
)
def find_tags(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Return those of these scope tags that are there."""
    asked, sight = set(convert(plain(members_of(request, body)), TagsByIdRequest).role_scope_tag_ids), sight_of(request)
    with services.database.read() as connection:
        found = scope_tags.all_tags(connection, services.tenant.id)
    seen = [tag for tag in found if tag.id in asked and sight.sees(ResourceAction.READ_ROLES, {tag.id})]
    return answer({"value": [tag_resource(tag) for tag in seen]})


@get(
    PATH + "/hasCustomRoleScopeTag",
    opt=READ
    | needs(ResourceAction.READ_ROLES)
    | answers(Answer(status=200, meaning="Whether there is one.", content={JSON: HAS_CUSTOM_TAG})),
    sync_to_thread=True,
)
def has_custom_tag(services: Services) -> Response[bytes]:
    """Say whether the tenant has a scope tag that is not built in."""
    with services.database.read() as connection:
        found = stored_tags.all_of_tenant(connection, services.tenant.id)
    return answer({"value": bool(found)})


@get(ONE, opt=READ | needs(ResourceAction.READ_ROLES, Reach.OBJECT) | shows(TAG), sync_to_thread=True)
def get_tag(services: Services, request: GraphRequest, tag_id: FromPath[str]) -> Response[bytes]:
    """Return one scope tag."""
    query = query_of(request)
    with services.database.read() as connection:
        tag = scope_tags.get_tag(connection, services.tenant.id, tag_id)
    return answer(query.shape(tag_resource(tag)))


@patch(
    ONE,
    opt=WRITE | needs(ResourceAction.UPDATE_ROLES, sensitive=True) | changes(TAG, takes=TAG_CHANGES),
    sync_to_thread=True,
)
def patch_tag(services: Services, request: GraphRequest, tag_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Rename a scope tag, or describe it anew."""
    asked = convert(plain(members_of(request, body)), TagRequest)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        tag = scope_tags.update_tag(connection, acting, tag_id, asked.display_name, asked.description)
    return answer(tag_resource(tag))


@delete(ONE, opt=WRITE | needs(ResourceAction.DELETE_ROLES, sensitive=True) | removes(fails=[409]), sync_to_thread=True)
def delete_tag(services: Services, request: GraphRequest, tag_id: FromPath[str]) -> Response[None]:
    """Delete a scope tag that no policy, filter, role or role assignment names."""
    with services.database.write() as connection:
        scope_tags.delete_tag(connection, acting_for(services, request), tag_id)
    return empty()


@get(ONE + "/assignments", opt=READ | needs(ResourceAction.READ_ROLES) | lists(TAG_ASSIGNMENT), sync_to_thread=True)
def list_tag_assignments(services: Services, request: GraphRequest, tag_id: FromPath[str]) -> Response[bytes]:
    """List the groups whose members have a scope tag."""
    query = query_of(request)
    with services.database.read() as connection:
        tag = scope_tags.get_tag(connection, services.tenant.id, tag_id)
        groups = stored_tags.groups_of(connection, services.tenant.id, tag.id)
    return list_answer(services, request, query, tag_assignments_resource(tag.id, groups))


@post(
    ONE + "/assign",
    opt=WRITE | needs(ResourceAction.ASSIGN_ROLES, sensitive=True) | does(TAG_ASSIGNMENTS, takes=TAG_ASSIGNING),
    sync_to_thread=True,
    status_code=200,
)
def assign_tag(services: Services, request: GraphRequest, tag_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Let the members of these groups, and of no others, have a scope tag."""
    asked = convert(plain(members_of(request, body)), TagAssignRequest)
    groups = [parse_group_id(each.target.group_id) for each in asked.assignments]
    with services.database.write() as connection:
        found = scope_tags.assign_tag(connection, acting_for(services, request), tag_id, groups)
    return answer({"value": tag_assignments_resource(tag_id, found)})


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_tags,
    create_tag,
    find_tags,
    has_custom_tag,
    get_tag,
    patch_tag,
    delete_tag,
    list_tag_assignments,
    assign_tag,
)
