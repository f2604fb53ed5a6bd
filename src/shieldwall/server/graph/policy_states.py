"""``…/configurationPolicies/{id}/statusSummary`` and ``deviceStates``: how a policy stands on its devices."""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_policy_id
from shieldwall.contract.status import SettingState
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.sight import Sight, showing, sight_of
from shieldwall.server.graph.describing import lists, shows
from shieldwall.server.graph.fields.policies import (
    POLICY_DEVICE_FIELDS,
)
from shieldwall.server.graph.policy_access import (
    ONE,
    READ,
)
from shieldwall.server.graph.policy_shapes import policy_device_resource
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    page_answer,
    query_of,
)
from shieldwall.server.graph.schemas.policies import (
    POLICY_DEVICE,
    STATUS_SUMMARY,
)
from shieldwall.server.manager import policies, statuses


@get(
    ONE + "/statusSummary",
    opt=READ | needs(ResourceAction.VIEW_REPORTS, Reach.LISTED) | shows(STATUS_SUMMARY),
    sync_to_thread=True,
)
def status_summary(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """Count the devices of a policy by state (ours)."""
    query, sight = query_of(request), sight_of(request)
    with services.fleet_view() as (connection, fleet):
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        if fleet is not None and fleet.has_only(policy.id, policy.digest):
            counts = fleet.counts_of_policy(policy.id, scopes=sight.access.scopes(ResourceAction.VIEW_REPORTS))
        else:
            seen = sight.reported_devices()
            counts = statuses.policy_counts(connection, services.catalog, policy.tenant_id, policy.id, seen)
    return answer(query.shape({str(state): counts.devices.get(state, 0) for state in SettingState}))


@get(
    ONE + "/deviceStates",
    opt=READ
    | needs(ResourceAction.VIEW_REPORTS, Reach.LISTED)
    | showing(Sight.reported_devices)
    | lists(POLICY_DEVICE),
    sync_to_thread=True,
)
def device_states(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """List the devices of a policy with their states (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        page = query.page_of(POLICY_DEVICE_FIELDS)
        found = statuses.policy_devices(connection, services.catalog, policy.tenant_id, policy.id, page)
    rows = [(each.device_id, policy_device_resource(each)) for each in found]
    return page_answer(services, request, query, rows, POLICY_DEVICE_FIELDS)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (status_summary, device_states)
