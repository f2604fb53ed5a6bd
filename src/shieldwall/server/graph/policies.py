"""``/deviceManagement/configurationPolicies``: policies and their settings, as they are authored."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec
from litestar import Response, delete, get, patch, post, put
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_policy_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.authoring import authoring, server_of, signed_between
from shieldwall.server.admin.sight import Sight, showing
from shieldwall.server.graph.describing import ETAG, IF_MATCH, REASON, changes, creates, does, lists, removes, shows
from shieldwall.server.graph.fields.policies import (
    SETTING_FIELDS,
    policy_fields,
)
from shieldwall.server.graph.policy_access import (
    BELOW,
    EXPANDABLE,
    MOST_DEFINED,
    ONE,
    PATH,
    READ,
    WRITE,
    defined,
    etag_of,
    matching,
    reason_of,
    resource_of,
)
from shieldwall.server.graph.policy_bodies import read_description, read_draft, read_name
from shieldwall.server.graph.policy_shapes import settings_resource
from shieldwall.server.graph.preconditions import shown
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    list_answer,
    members_of,
    page_answer,
    query_of,
    resources_of,
)
from shieldwall.server.graph.schemas.policies import (
    NEW_POLICY,
    POLICY,
    POLICY_CHANGES,
)
from shieldwall.server.graph.schemas.settings import SETTING
from shieldwall.server.manager import policies
from shieldwall.server.manager.policies import draft_of
from shieldwall.server.manager.publishing import published


class CopyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a copy is called; without a description it keeps that of the original."""

    display_name: str
    description: str | None = None


class ReorderRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The priority a policy shall have."""

    priority: int


@get(
    PATH,
    opt=READ
    | needs(ResourceAction.READ_POLICIES, Reach.LISTED)
    | showing(Sight.policies)
    | lists(POLICY, expand=EXPANDABLE),
    sync_to_thread=True,
)
def list_policies(services: Services, request: GraphRequest) -> Response[bytes]:
    """List policies, in pages; with the definitions of their settings a page is small."""
    query, fields = query_of(request, expandable=BELOW), policy_fields(services.catalog)
    if defines := query.expands("settings", "settingDefinitions"):
        query = replace(query, top=min(query.size, MOST_DEFINED))
    with services.database.read() as connection:
        found = policies.list_policies(connection, services.tenant.id, query.page_of(fields))
        rows = [(policy.id, resource_of(services, connection, policy, query.expand)) for policy in found]
    if defines:
        for policy, (_, resource) in zip(found, rows, strict=True):
            resource["settings"] = defined(resources_of(request), policy, resource["settings"])
    return page_answer(services, request, query, rows, fields)


@post(
    PATH,
    opt=WRITE
    | needs(ResourceAction.CREATE_POLICIES, Reach.NAMED)
    | creates(POLICY, takes=NEW_POLICY, headers=ETAG, asks=[REASON]),
    sync_to_thread=True,
)
@signed_between
def create_policy(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Create a policy."""
    draft = read_draft(members_of(request, body))
    with services.database.write() as connection:
        policy = authoring(services).create(connection, acting_for(services, request), draft, reason=reason_of(request))
        resource, etag = resource_of(services, connection, policy, EXPANDABLE), etag_of(connection, policy)
    return answer(resource, status=201, etag=etag)


@post(
    PATH + "/validate",
    opt=WRITE | needs(ResourceAction.CREATE_POLICIES, Reach.OPEN) | does(takes=NEW_POLICY),
    sync_to_thread=True,
    status_code=204,
)
def validate_policy(services: Services, request: GraphRequest, body: RawBody) -> Response[None]:
    """Say everything that is wrong with a policy without creating it (ours)."""
    draft = read_draft(members_of(request, body))
    with services.database.read() as connection:
        published(connection, services.catalog, services.tenant.id, draft, server=server_of(services))
    return empty()


@get(
    ONE,
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OBJECT) | shows(POLICY, expand=EXPANDABLE, headers=ETAG),
    sync_to_thread=True,
)
def get_policy(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """Return one policy."""
    query = query_of(request, expandable=BELOW)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        resource, etag = resource_of(services, connection, policy, query.expand), etag_of(connection, policy)
    if query.expands("settings", "settingDefinitions"):
        resource["settings"] = defined(resources_of(request), policy, resource["settings"])
    return shown(request, query.shape(resource, policy_fields(services.catalog)), etag)


@patch(
    ONE,
    opt=WRITE
    | needs(ResourceAction.UPDATE_POLICIES, Reach.OBJECT)
    | changes(POLICY, takes=POLICY_CHANGES, headers=ETAG, asks=[IF_MATCH, REASON]),
    sync_to_thread=True,
)
@signed_between
def patch_policy(services: Services, request: GraphRequest, policy_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Change the members given."""
    members, wanted = members_of(request, body), parse_policy_id(policy_id)
    with services.database.write() as connection:
        draft = read_draft(members, draft_of(matching(services, request, connection, wanted)))
        policy = authoring(services).update(
            connection, acting_for(services, request), wanted, draft, reason=reason_of(request)
        )
        resource, etag = resource_of(services, connection, policy, EXPANDABLE), etag_of(connection, policy)
    return answer(resource, etag=etag)


@put(
    ONE,
    opt=WRITE
    | needs(ResourceAction.UPDATE_POLICIES, Reach.OBJECT)
    | changes(takes=NEW_POLICY, headers=ETAG, asks=[IF_MATCH, REASON]),
    sync_to_thread=True,
)
@signed_between
def put_policy(services: Services, request: GraphRequest, policy_id: FromPath[str], body: RawBody) -> Response[None]:
    """Replace a policy as a whole, as backup tools do."""
    members, wanted = members_of(request, body), parse_policy_id(policy_id)
    draft = read_draft(members)
    with services.database.write() as connection:
        before = matching(services, request, connection, wanted)
        if "priorityMetaData" not in members:  # tools that do not know it take no priority away
            draft = replace(draft, priority=before.priority)
        policy = authoring(services).update(
            connection, acting_for(services, request), wanted, draft, reason=reason_of(request)
        )
        etag = etag_of(connection, policy)
    return empty(etag=etag)


@delete(
    ONE,
    opt=WRITE | needs(ResourceAction.DELETE_POLICIES, Reach.OBJECT) | removes(status=200, asks=[IF_MATCH, REASON]),
    sync_to_thread=True,
    status_code=200,
)
def delete_policy(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """Delete a policy; the devices return to what their other policies say."""
    wanted = parse_policy_id(policy_id)
    with services.database.write() as connection:
        matching(services, request, connection, wanted)
        authoring(services).delete(connection, acting_for(services, request), wanted, reason=reason_of(request))
    return Response(b"", status_code=200, media_type="application/json")


@get(
    ONE + "/settings",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OBJECT) | lists(SETTING, expand=["settingDefinitions"]),
    sync_to_thread=True,
)
def list_settings(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """List the settings of a policy."""
    query = query_of(request, expandable={"settingDefinitions": {}})
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
    settings = settings_resource(policy)
    if "settingDefinitions" in query.expand:
        settings = defined(resources_of(request), policy, settings)
    return list_answer(services, request, query, settings, SETTING_FIELDS)


@post(
    ONE + "/createCopy",
    opt=WRITE
    | needs(ResourceAction.CREATE_POLICIES, Reach.OBJECT)
    | does(POLICY, takes=CopyRequest, headers=ETAG, asks=[IF_MATCH, REASON]),
    sync_to_thread=True,
    status_code=200,
)
@signed_between
def copy_policy(services: Services, request: GraphRequest, policy_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Create a policy with the content of another; it is assigned to nobody."""
    asked, wanted = body_of(request, body, CopyRequest), parse_policy_id(policy_id)
    name = read_name("displayName", asked.display_name)
    description = None if asked.description is None else read_description("description", asked.description)
    with services.database.write() as connection:
        matching(services, request, connection, wanted)
        acting = acting_for(services, request)
        policy = authoring(services).create_copy(
            connection, acting, wanted, name, description, reason=reason_of(request)
        )
        resource, etag = resource_of(services, connection, policy, EXPANDABLE), etag_of(connection, policy)
    return answer(resource, etag=etag)


@post(
    ONE + "/reorder",
    opt=WRITE
    | needs(ResourceAction.UPDATE_POLICIES)
    | does(takes=ReorderRequest, headers=ETAG, asks=[IF_MATCH, REASON]),
    sync_to_thread=True,
    status_code=204,
)
@signed_between
def reorder_policy(
    services: Services, request: GraphRequest, policy_id: FromPath[str], body: RawBody
) -> Response[None]:
    """Give a policy another priority, 1 the best."""
    asked, wanted = body_of(request, body, ReorderRequest), parse_policy_id(policy_id)
    with services.database.write() as connection:
        matching(services, request, connection, wanted)
        acting = acting_for(services, request)
        policy = authoring(services).reorder(connection, acting, wanted, asked.priority, reason=reason_of(request))
        etag = etag_of(connection, policy)
    return empty(etag=etag)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_policies,
    create_policy,
    validate_policy,
    get_policy,
    patch_policy,
    put_policy,
    delete_policy,
    list_settings,
    copy_policy,
    reorder_policy,
)
