"""``configurationPolicies/import``: what other servers and tools exported becomes a policy here (ours)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from litestar import Response, post
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.catalog.findings import Finding, InvalidPolicyError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.authoring import authoring, server_of, signed_between
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.describing import REASON, does
from shieldwall.server.graph.importing import Imported, import_policy
from shieldwall.server.graph.policy_access import EXPANDABLE, PATH, WRITE, reason_of, resource_of
from shieldwall.server.graph.policy_shapes import draft_resource
from shieldwall.server.graph.requests import GraphRequest, Services, answer, members_of
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.policies import CHECKED_IMPORT, EXPORT, IMPORTED
from shieldwall.server.manager.policies import PolicyDraft
from shieldwall.server.manager.publishing import published
from shieldwall.server.manager.secrets import concealed


@post(
    PATH + "/import",
    opt=WRITE | needs(ResourceAction.CREATE_POLICIES, Reach.NAMED) | does(IMPORTED, takes=EXPORT, asks=[REASON]),
    sync_to_thread=True,
    status_code=200,
)
@signed_between
def import_exported_policy(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Create a policy of an export, without the parts that have no place here; each of them is named (ours)."""
    members = members_of(request, body, annotations=True)
    with services.database.write() as connection:
        imported = _imported(services, connection, members)
        resource = None
        if imported.draft is not None:
            policy = authoring(services).create(
                connection, acting_for(services, request), imported.draft, reason=reason_of(request)
            )
            resource = resource_of(services, connection, policy, EXPANDABLE)
    return answer(_report(imported, resource))


@post(
    PATH + "/import/check",
    opt=WRITE | needs(ResourceAction.CREATE_POLICIES, Reach.OPEN) | does(CHECKED_IMPORT, takes=EXPORT),
    sync_to_thread=True,
    status_code=200,
)
def check_exported_policy(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Say what an import would create and leave out, and create nothing (ours)."""
    members = members_of(request, body, annotations=True)
    with services.database.read() as connection:
        imported = _imported(services, connection, members)
    would_be = None
    if imported.draft is not None:
        draft = replace(imported.draft, settings=concealed(imported.draft.settings))
        would_be = draft_resource(draft, services.catalog.template(draft.template_id))
    return answer(_report(imported, would_be))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (import_exported_policy, check_exported_policy)


def _imported(services: AdminServices, connection: Connection, members: Json) -> Imported:
    def check(draft: PolicyDraft) -> tuple[Finding, ...]:
        try:
            published(connection, services.catalog, services.tenant.id, draft, server=server_of(services))
        except InvalidPolicyError as error:
            return error.findings
        return ()

    return import_policy(services.catalog, members, check)


def _report(imported: Imported, policy: Json | None) -> Json:
    return {"policy": policy, "leftOut": [_part(each) for each in imported.left_out], "ignored": imported.ignored}


def _part(finding: Finding) -> Json:
    return {
        "path": finding.path,
        "code": finding.code,
        "message": finding.message,
        "allowed": finding.allowed,
    }
