"""``/deviceManagement/roleAssignments``: who has which role, within which scope tags and scope groups."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.strict_json import convert
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory import role_assigning, roles
from shieldwall.server.directory.invalid_role import InvalidRoleError
from shieldwall.server.directory.role_assigning import draft_of_assignment
from shieldwall.server.graph.describing import changes, creates, lists, removes, shows
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    empty,
    list_answer,
    members_of,
    query_of,
)
from shieldwall.server.graph.role_definitions import ONE as ROLE
from shieldwall.server.graph.role_definitions import READ, WRITE
from shieldwall.server.graph.role_shapes import AssignmentRequest, assignment_resource, bound, plain
from shieldwall.server.graph.schemas.roles import ASSIGNMENT, ASSIGNMENT_CHANGES, NEW_ASSIGNMENT
from shieldwall.server.storage.access import role_assignments

PATH: Final = "/deviceManagement/roleAssignments"
ONE: Final = PATH + "/{assignment_id:str}"
_OF_ROLE: Final = ROLE + "/roleAssignments"


@get(PATH, opt=READ | needs(ResourceAction.READ_ROLES) | lists(ASSIGNMENT), sync_to_thread=True)
def list_assignments(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the role assignments."""
    query = query_of(request)
    with services.database.read() as connection:
        found = role_assignments.all_of_tenant(connection, services.tenant.id)
    return list_answer(services, request, query, [assignment_resource(each) for each in found])


@get(_OF_ROLE, opt=READ | needs(ResourceAction.READ_ROLES) | lists(ASSIGNMENT), sync_to_thread=True)
def list_assignments_of_role(services: Services, request: GraphRequest, role_id: FromPath[str]) -> Response[bytes]:
    """List the assignments of a role."""
    query = query_of(request)
    with services.database.read() as connection:
        role = roles.get_role(connection, services.tenant.id, role_id)
        found = role_assignments.all_of_tenant(connection, services.tenant.id)
    return list_answer(
        services, request, query, [assignment_resource(each) for each in found if each.role_id == role.id]
    )


@post(
    PATH,
    opt=WRITE
    | needs(ResourceAction.ASSIGN_ROLES, sensitive=True)
    | creates(ASSIGNMENT, takes=NEW_ASSIGNMENT, fails=[404]),
    sync_to_thread=True,
)
def assign_role(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Give a role; `roleDefinition@odata.bind` or `roleDefinitionId` names it."""
    members = members_of(request, body, annotations=True)
    asked = _asked(members)
    named = bound(members, "roleDefinition") or ((asked.role_definition_id,) if asked.role_definition_id else ())
    if len(named) != 1:
        raise InvalidRoleError("roleDefinition@odata.bind names the role.", member="roleDefinition")
    return _assign(services, request, members, asked, named[0])


@post(
    _OF_ROLE,
    opt=WRITE | needs(ResourceAction.ASSIGN_ROLES, sensitive=True) | creates(ASSIGNMENT, takes=NEW_ASSIGNMENT),
    sync_to_thread=True,
)
def assign_this_role(
    services: Services, request: GraphRequest, role_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Give this role."""
    members = members_of(request, body, annotations=True)
    return _assign(services, request, members, _asked(members), role_id)


@get(ONE, opt=READ | needs(ResourceAction.READ_ROLES) | shows(ASSIGNMENT), sync_to_thread=True)
def get_assignment(services: Services, request: GraphRequest, assignment_id: FromPath[str]) -> Response[bytes]:
    """Return one role assignment."""
    query = query_of(request)
    with services.database.read() as connection:
        found = role_assigning.get_assignment(connection, services.tenant.id, assignment_id)
    return answer(query.shape(assignment_resource(found)))


@patch(
    ONE,
    opt=WRITE
    | needs(ResourceAction.ASSIGN_ROLES, sensitive=True)
    | changes(ASSIGNMENT, takes=ASSIGNMENT_CHANGES, fails=[409]),
    sync_to_thread=True,
)
def patch_assignment(
    services: Services, request: GraphRequest, assignment_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Change whom a role is given to, or where; which role it is stays."""
    members = members_of(request, body, annotations=True)
    asked = _asked(members)
    with services.database.write() as connection:
        before = role_assigning.get_assignment(connection, services.tenant.id, assignment_id)
        if asked.role_definition_id not in (None, before.role_id):
            raise InvalidRoleError("An assignment keeps its role.", member="roleDefinitionId")
        draft = asked.draft(draft_of_assignment(before), bound(members, "roleScopeTags"))
        changed = role_assigning.change_assignment(
            connection, acting_for(services, request), caller_of(request).access, before.id, draft
        )
    return answer(assignment_resource(changed))


@delete(ONE, opt=WRITE | needs(ResourceAction.ASSIGN_ROLES, sensitive=True) | removes(fails=[409]), sync_to_thread=True)
def unassign_role(services: Services, request: GraphRequest, assignment_id: FromPath[str]) -> Response[None]:
    """Take a role away from all members of an assignment."""
    with services.database.write() as connection:
        role_assigning.unassign_role(
            connection, acting_for(services, request), caller_of(request).access, assignment_id
        )
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_assignments,
    list_assignments_of_role,
    assign_role,
    assign_this_role,
    get_assignment,
    patch_assignment,
    unassign_role,
)


def _asked(members: dict[str, Any]) -> AssignmentRequest:
    unknown = {name for name in members if name.endswith("@odata.bind")} - {
        "roleDefinition@odata.bind",
        "roleScopeTags@odata.bind",
    }
    if unknown:
        raise InvalidJsonError(f"The member {min(unknown)[:128]!r} is not one of a role assignment.")
    return convert(plain(members), AssignmentRequest)


def _assign(
    services: AdminServices, request: GraphRequest, members: dict[str, Any], asked: AssignmentRequest, role_id: str
) -> Response[bytes]:
    draft = asked.draft(None, bound(members, "roleScopeTags"))
    with services.database.write() as connection:
        made = role_assigning.assign_role(
            connection, acting_for(services, request), caller_of(request).access, role_id, draft
        )
    return answer(assignment_resource(made), status=201)
