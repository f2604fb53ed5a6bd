"""``/deviceManagement/configurationPolicies``: authored, assigned, and how they stand on devices."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, delete, get, patch, post, put
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.catalog.validate import check
from shieldwall.contract.ids import PolicyId, parse_policy_id
from shieldwall.contract.status import SettingState
from shieldwall.server.authorization import allow
from shieldwall.server.graph.policy_bodies import read_assignments, read_draft
from shieldwall.server.graph.requests import (
    GraphRequest,
    Resources,
    Services,
    acting_for,
    answer,
    empty,
    list_answer,
    members_of,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import (
    Json,
    assignments_resource,
    policy_device_resource,
    policy_resource,
    settings_resource,
)
from shieldwall.server.manager import assignments, policies, statuses
from shieldwall.server.manager.policies import Policies, PreconditionFailedError, draft_of
from shieldwall.server.services import AdminServices
from shieldwall.server.storage import targets
from shieldwall.server.storage.records import Policy

READ: Final = allow("DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All")
WRITE: Final = allow("DeviceManagementConfiguration.ReadWrite.All")

_PATH: Final = "/deviceManagement/configurationPolicies"
_ONE: Final = _PATH + "/{policy_id:str}"
_EXPANDABLE: Final = frozenset({"settings", "assignments"})


@get(_PATH, opt=READ, sync_to_thread=True)
def list_policies(services: Services, request: GraphRequest) -> Response[bytes]:
    """List policies, in pages."""
    query = query_of(request, expandable=_EXPANDABLE)
    with services.database.read() as connection:
        found = policies.list_policies(connection, services.tenant.id, query.page)
        rows = [(policy.id, _resource(services, connection, policy, query.expand)) for policy in found]
    return page_answer(services, request, query, rows)


@post(_PATH, opt=WRITE, sync_to_thread=True)
def create_policy(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Create a policy."""
    draft = read_draft(members_of(request, body))
    with services.database.write() as connection:
        policy = _authoring(services).create(connection, acting_for(services, request), draft)
        resource = _resource(services, connection, policy, _EXPANDABLE)
    return answer(resource, status=201, etag=etag_of(policy))


@post(_PATH + "/validate", opt=WRITE, sync_to_thread=True, status_code=204)
def validate_policy(services: Services, request: GraphRequest, body: RawBody) -> Response[None]:
    """Say everything that is wrong with a policy without creating it (ours)."""
    draft = read_draft(members_of(request, body))
    check(services.catalog, draft.template_id, draft.platforms, draft.technologies, draft.settings)
    return empty()


@get(_ONE, opt=READ, sync_to_thread=True)
def get_policy(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """Return one policy."""
    query = query_of(request, expandable=_EXPANDABLE)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        resource = _resource(services, connection, policy, query.expand)
    return answer(query.shape(resource), etag=etag_of(policy))


@patch(_ONE, opt=WRITE, sync_to_thread=True)
def patch_policy(services: Services, request: GraphRequest, policy_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Change the members given."""
    members, wanted = members_of(request, body), parse_policy_id(policy_id)
    with services.database.write() as connection:
        draft = read_draft(members, draft_of(_matching(services, request, connection, wanted)))
        policy = _authoring(services).update(connection, acting_for(services, request), wanted, draft)
        resource = _resource(services, connection, policy, _EXPANDABLE)
    return answer(resource, etag=etag_of(policy))


@put(_ONE, opt=WRITE, sync_to_thread=True)
def put_policy(services: Services, request: GraphRequest, policy_id: FromPath[str], body: RawBody) -> Response[None]:
    """Replace a policy as a whole, as backup tools do."""
    draft, wanted = read_draft(members_of(request, body)), parse_policy_id(policy_id)
    with services.database.write() as connection:
        _matching(services, request, connection, wanted)
        _authoring(services).update(connection, acting_for(services, request), wanted, draft)
    return empty()


@delete(_ONE, opt=WRITE, sync_to_thread=True, status_code=200)
def delete_policy(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """Delete a policy; the devices return to what their other policies say."""
    wanted = parse_policy_id(policy_id)
    with services.database.write() as connection:
        _matching(services, request, connection, wanted)
        _authoring(services).delete(connection, acting_for(services, request), wanted)
    return Response(b"", status_code=200, media_type="application/json")


@get(_ONE + "/settings", opt=READ, sync_to_thread=True)
def list_settings(
    services: Services, resources: Resources, request: GraphRequest, policy_id: FromPath[str]
) -> Response[bytes]:
    """List the settings of a policy."""
    query = query_of(request, expandable=frozenset({"settingDefinitions"}))
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
    settings = settings_resource(policy)
    if "settingDefinitions" in query.expand:
        for setting, instance in zip(settings, policy.settings, strict=True):
            setting["settingDefinitions"] = resources.below(instance.definition)
    return list_answer(services, request, query, settings)


@get(_ONE + "/assignments", opt=READ, sync_to_thread=True)
def list_assignments(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """List whom a policy is assigned to."""
    query = query_of(request)
    with services.database.read() as connection:
        found = assignments.assignments_of(connection, services.tenant.id, parse_policy_id(policy_id))
    return list_answer(services, request, query, assignments_resource(found))


@post(_ONE + "/assign", opt=WRITE, sync_to_thread=True, status_code=200)
def assign_policy(
    services: Services, request: GraphRequest, policy_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Replace the assignments of a policy."""
    assigned, wanted = read_assignments(members_of(request, body)), parse_policy_id(policy_id)
    with services.database.write() as connection:
        _matching(services, request, connection, wanted)
        found = assignments.assign(connection, acting_for(services, request), wanted, assigned)
    return answer({"value": assignments_resource(found)})


@get(_ONE + "/statusSummary", opt=READ, sync_to_thread=True)
def status_summary(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """Count the devices of a policy by state (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        counts = statuses.policy_counts(connection, services.catalog, policy.tenant_id, policy.id)
    return answer(query.shape({str(state): counts.devices.get(state, 0) for state in SettingState}))


@get(_ONE + "/deviceStates", opt=READ, sync_to_thread=True)
def device_states(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """List the devices of a policy with their states (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        found = statuses.policy_devices(connection, services.catalog, policy.tenant_id, policy.id, query.page)
    return page_answer(services, request, query, [(each.device_id, policy_device_resource(each)) for each in found])


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_policies,
    create_policy,
    validate_policy,
    get_policy,
    patch_policy,
    put_policy,
    delete_policy,
    list_settings,
    list_assignments,
    assign_policy,
    status_summary,
    device_states,
)


def etag_of(policy: Policy) -> str:
    """Name the state of a policy: its revision, and the moment of the last change, which may make no new revision."""
    return f"{policy.revision}-{policy.modified_at:%Y%m%d%H%M%S%f}"


def _authoring(services: AdminServices) -> Policies:
    return Policies(catalog=services.catalog, signer=services.signer)


def _matching(services: AdminServices, request: GraphRequest, connection: Connection, policy_id: PolicyId) -> Policy:
    """Return the policy to be changed, as nobody else can change it until this transaction ends.

    Raises:
        NotFoundError: There is no such policy.
        PreconditionFailedError: It is not the one that If-Match names any more.
    """
    targets.lock(connection)
    policy = policies.get_policy(connection, services.tenant.id, policy_id)
    named: list[Any] = request.headers.getall("if-match", [])
    tags = {tag.strip().removeprefix("W/").strip('"') for header in named for tag in header.split(",")}
    if tags and "*" not in tags and etag_of(policy) not in tags:
        raise PreconditionFailedError(f"The policy {policy_id} is not in the state that If-Match names.")
    return policy


def _resource(services: AdminServices, connection: Connection, policy: Policy, expand: frozenset[str]) -> Json:
    assigned = assignments.assignments_of(connection, policy.tenant_id, policy.id)
    resource = policy_resource(policy, services.catalog.template(policy.template_id), is_assigned=bool(assigned))
    if "settings" in expand:
        resource["settings"] = settings_resource(policy)
    if "assignments" in expand:
        resource["assignments"] = assignments_resource(assigned)
    return resource
