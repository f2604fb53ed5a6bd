"""``/deviceManagement/roleDefinitions``: named sets of actions, built in and of the tenant's own."""

from __future__ import annotations

from typing import Final

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.strict_json import convert
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, everybody, needs
from shieldwall.server.access.roles import BUILT_IN, Role
from shieldwall.server.access.verdicts import OF_TENANT, Facts, Verdict, judge
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.gates import require_everywhere
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory import roles
from shieldwall.server.directory.roles import draft_of_role
from shieldwall.server.graph.describing import answers, changes, creates, lists, removes, shows
from shieldwall.server.graph.query import Query
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    empty,
    list_answer,
    members_of,
    query_of,
)
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.role_shapes import RoleRequest, assignment_resource, plain, role_resource
from shieldwall.server.graph.schemas.roles import EFFECTIVE, NEW_ROLE, OPERATION, ROLE, ROLE_CHANGES
from shieldwall.server.openapi.description import JSON, Answer
from shieldwall.server.storage.access import role_assignments
from shieldwall.server.storage.access import roles as stored_roles
from shieldwall.server.storage.errors import NotFoundError

READ: Final = allow("DeviceManagementRBAC.Read.All", "DeviceManagementRBAC.ReadWrite.All")
WRITE: Final = allow("DeviceManagementRBAC.ReadWrite.All")
PATH: Final = "/deviceManagement/roleDefinitions"
ONE: Final = PATH + "/{role_id:str}"
_OPERATIONS: Final = "/deviceManagement/resourceOperations"
_ASSIGNMENTS: Final = "roleAssignments"
_EXPANDABLE: Final = frozenset({_ASSIGNMENTS})


@get(
    PATH,
    opt=READ | needs(ResourceAction.READ_ROLES, Reach.LISTED) | lists(ROLE, expand=_EXPANDABLE),
    sync_to_thread=True,
)
def list_roles(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the roles, built in and of the tenant's own."""
    query, access = _query(request), caller_of(request).access
    with services.database.read() as connection:
        own = [each.role for each in stored_roles.all_of_tenant(connection, services.tenant.id)]
        seen = [
            role
            for role in (*BUILT_IN.values(), *own)
            if judge(access, ResourceAction.READ_ROLES, _facts(role), ()) is Verdict.GRANTED
        ]
        resources = [_resource(services, connection, role, query.expand) for role in seen]
    return list_answer(services, request, query, resources)


@post(
    PATH,
    opt=WRITE | needs(ResourceAction.CREATE_ROLES, sensitive=True) | creates(ROLE, takes=NEW_ROLE),
    sync_to_thread=True,
)
def create_role(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Make a role; nobody has it until it is assigned."""
    draft = convert(plain(members_of(request, body)), RoleRequest).draft(None)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        role = roles.create_role(connection, acting, caller_of(request).access, draft)
    return answer(role_resource(role), status=201)


@get(
    ONE,
    opt=READ | needs(ResourceAction.READ_ROLES, Reach.OBJECT) | shows(ROLE, expand=_EXPANDABLE),
    sync_to_thread=True,
)
def get_role(services: Services, request: GraphRequest, role_id: FromPath[str]) -> Response[bytes]:
    """Return one role."""
    query = _query(request)
    with services.database.read() as connection:
        role = roles.get_role(connection, services.tenant.id, role_id)
        resource = _resource(services, connection, role, query.expand)
    return answer(query.shape(resource))


@patch(
    ONE,
    opt=WRITE | needs(ResourceAction.UPDATE_ROLES, sensitive=True) | changes(ROLE, takes=ROLE_CHANGES),
    sync_to_thread=True,
)
def patch_role(services: Services, request: GraphRequest, role_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Change the members given; whoever has the role may at once do what it then grants."""
    asked = convert(plain(members_of(request, body)), RoleRequest)
    with services.database.write() as connection:
        before = roles.get_custom(connection, services.tenant.id, role_id).role
        draft, acting = asked.draft(draft_of_role(before)), acting_for(services, request)
        role = roles.update_role(connection, acting, caller_of(request).access, role_id, draft)
    return answer(role_resource(role))


@delete(
    ONE,
    opt=WRITE | needs(ResourceAction.DELETE_ROLES, sensitive=True) | removes(fails=[409]),
    sync_to_thread=True,
)
def delete_role(services: Services, request: GraphRequest, role_id: FromPath[str]) -> Response[None]:
    """Delete a role that is assigned to nobody."""
    with services.database.write() as connection:
        roles.delete_role(connection, acting_for(services, request), role_id)
    return empty()


@get(_OPERATIONS, opt=READ | needs(ResourceAction.READ_ROLES, Reach.OPEN) | lists(OPERATION), sync_to_thread=False)
def list_operations(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the actions that roles are made of."""
    resources = [_operation(action) for action in sorted(ResourceAction)]
    return list_answer(services, request, query_of(request), resources)


@get(
    _OPERATIONS + "/{operation_id:str}",
    opt=READ | needs(ResourceAction.READ_ROLES, Reach.OPEN) | shows(OPERATION),
    sync_to_thread=False,
)
def get_operation(request: GraphRequest, operation_id: FromPath[str]) -> Response[bytes]:
    """Return one action that roles are made of."""
    found = {action.value.lower(): action for action in ResourceAction}.get(operation_id.lower())
    if found is None:
        raise NotFoundError(f"There is no resource operation {operation_id[:64]}.")
    return answer(query_of(request).shape(_operation(found)))


@get(
    [
        "/deviceManagement/getEffectivePermissions",
        "/deviceManagement/getEffectivePermissions/{scope_name:str}",
    ],
    opt=READ
    | everybody()
    | answers(Answer(status=200, meaning="What the caller may do.", content={JSON: EFFECTIVE}), fails=[404]),
    sync_to_thread=False,
)
def get_effective_permissions(request: GraphRequest) -> Response[bytes]:
    """Say what the caller may do anywhere, added up over their roles."""
    access = caller_of(request).access
    allowed = sorted(action.value for action in ResourceAction if access.may(action))
    granted = {"allowedResourceActions": allowed, "notAllowedResourceActions": []}
    return answer({"value": [{"actions": allowed, "resourceActions": [granted]}]})


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_roles,
    create_role,
    get_role,
    patch_role,
    delete_role,
    list_operations,
    get_operation,
    get_effective_permissions,
)


def _query(request: GraphRequest) -> Query:
    """Read the query; who has which role is told to those alone who may list that by itself. Raises: ForbiddenError."""
    query = query_of(request, expandable=_EXPANDABLE)
    if _ASSIGNMENTS in query.expand:
        require_everywhere(request)
    return query


def _facts(role: Role) -> Facts:
    return OF_TENANT if role.is_built_in else Facts(tags=frozenset(role.scope_tag_ids))


def _resource(services: AdminServices, connection: Connection, role: Role, expand: frozenset[str]) -> Json:
    resource = role_resource(role)
    if _ASSIGNMENTS in expand:
        assigned = role_assignments.all_of_tenant(connection, services.tenant.id)
        resource[_ASSIGNMENTS] = [assignment_resource(each) for each in assigned if each.role_id == role.id]
    return resource


def _operation(action: ResourceAction) -> Json:
    return {
        "id": action.value,
        "resource": action.resource,
        "resourceName": action.resource,
        "actionName": action.verb,
        "description": f"{action.verb} {action.resource}.",
        "enabledForScopeValidation": True,
    }
