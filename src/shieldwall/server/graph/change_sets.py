"""``configurationPolicies/changeSet``: several changes of policies that take effect together, or not at all (ours)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from litestar import Response, post
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.authoring import changing, signed_between
from shieldwall.server.admin.gates import require_named
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.change_set_bodies import read_change_set
from shieldwall.server.graph.describing import REASON, does
from shieldwall.server.graph.policy_access import EXPANDABLE, PATH, WRITE, reason_of, resource_of
from shieldwall.server.graph.requests import GraphRequest, Services, answer, members_of
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.revisions import CHANGE_SET, CHANGED
from shieldwall.server.manager.change_plans import ChangeSet, Delete, Update
from shieldwall.server.manager.change_sets import Deleted, Outcome


@post(
    PATH + "/changeSet",
    opt=WRITE
    | needs(ResourceAction.UPDATE_POLICIES, Reach.NAMED)
    | does(CHANGED, takes=CHANGE_SET, asks=[REASON], fails=[404, 412]),
    sync_to_thread=True,
    status_code=200,
)
@signed_between
def apply_change_set(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Make several changes of policies as one: all of them or none, with at most one revision a policy (ours)."""
    change_set = read_change_set(members_of(request, body), reason_of(request))
    with services.database.write() as connection:
        require_named(connection, request, "policy_id", _named(change_set))
        applying = changing(services)
        outcomes = applying.apply(connection, acting_for(services, request), change_set)
        resources = [_resource(services, connection, outcome) for outcome in outcomes]
    return answer({"value": resources})


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (apply_change_set,)


def _named(change_set: ChangeSet) -> Iterator[str]:
    """Yield the policies that are there already and that a set names."""
    for change in change_set.changes:
        match change:
            case Update(policy=str() as policy_id) | Delete(policy_id=policy_id):
                yield policy_id


def _resource(services: AdminServices, connection: Connection, outcome: Outcome) -> Json:
    if isinstance(outcome, Deleted):
        return {"id": outcome.policy_id, "name": outcome.name, "@removed": {"reason": "deleted"}}
    return resource_of(services, connection, outcome, EXPANDABLE)
