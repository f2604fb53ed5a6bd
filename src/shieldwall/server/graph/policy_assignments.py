"""``…/configurationPolicies/{id}/assignments``: whom a policy is assigned to."""

from __future__ import annotations

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_policy_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.graph.describing import ETAG, IF_MATCH, REASON, does, lists
from shieldwall.server.graph.fields.policies import (
    ASSIGNMENT_FIELDS,
)
from shieldwall.server.graph.policy_access import (
    ONE,
    READ,
    WRITE,
    etag_of,
    matching,
    reason_of,
)
from shieldwall.server.graph.policy_bodies import read_assignments
from shieldwall.server.graph.policy_shapes import assignments_resource
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    list_answer,
    members_of,
    query_of,
)
from shieldwall.server.graph.schemas.policies import (
    ASSIGN,
    ASSIGNED,
    ASSIGNMENT,
)
from shieldwall.server.manager import assignments


@get(
    ONE + "/assignments",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OBJECT) | lists(ASSIGNMENT),
    sync_to_thread=True,
)
def list_assignments(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """List whom a policy is assigned to."""
    query = query_of(request)
    with services.database.read() as connection:
        found = assignments.assignments_of(connection, services.tenant.id, parse_policy_id(policy_id))
    return list_answer(services, request, query, assignments_resource(found), ASSIGNMENT_FIELDS)


@post(
    ONE + "/assign",
    opt=WRITE
    | needs(ResourceAction.ASSIGN_POLICIES, Reach.OBJECT)
    | does(ASSIGNED, takes=ASSIGN, headers=ETAG, asks=[IF_MATCH, REASON]),
    sync_to_thread=True,
    status_code=200,
)
def assign_policy(
    services: Services, request: GraphRequest, policy_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Replace the assignments of a policy."""
    assigned, wanted = read_assignments(members_of(request, body)), parse_policy_id(policy_id)
    with services.database.write() as connection:
        policy = matching(services, request, connection, wanted)
        acting = acting_for(services, request)
        found = assignments.assign(connection, acting, wanted, assigned, reason=reason_of(request))
        etag = etag_of(connection, policy)
    return answer({"value": assignments_resource(found)}, etag=etag)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_assignments, assign_policy)
