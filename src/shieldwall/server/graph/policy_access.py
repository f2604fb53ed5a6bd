"""What every route of a policy needs: its path and audience, the services, who changes it and whether they may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.ids import PolicyId
from shieldwall.server.access.authorization import allow
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.catalog_resources import CatalogResources
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.odata.selection import Expandable
from shieldwall.server.graph.policy_shapes import (
    assignments_resource,
    policy_resource,
    settings_resource,
    standing_resource,
)
from shieldwall.server.graph.preconditions import require_match
from shieldwall.server.graph.requests import GraphRequest
from shieldwall.server.graph.resources import Json
from shieldwall.server.manager import assignments, policies
from shieldwall.server.manager.policies import PreconditionFailedError
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import Policy

READ: Final = allow("DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All")
WRITE: Final = allow("DeviceManagementConfiguration.ReadWrite.All")

PATH: Final = "/deviceManagement/configurationPolicies"
ONE: Final = PATH + "/{policy_id:str}"
REASON: Final = "x-shieldwall-reason"
EXPANDABLE: Final = frozenset({"settings", "assignments", "shieldwall"})
BELOW: Final[Expandable] = {"settings": {"settingDefinitions": {}}, "assignments": {}, "shieldwall": {}}
"""What may be expanded, with what may be expanded below it."""
MOST_DEFINED: Final = 20
"""Policies of one page that shows the definitions of all their settings."""


def etag_of(connection: Connection, policy: Policy) -> str:
    """Name the state of a policy: revision, moment of the last change, which may make none, and whom it is for."""
    assigned = strict_json.digest_of(assignments.assignments_of(connection, policy.tenant_id, policy.id))
    return f"{policy.revision}-{policy.modified_at:%Y%m%d%H%M%S%f}-{assigned[:16]}"


def reason_of(request: GraphRequest) -> str:
    """Read why something is changed, from a header of our own: percent-encoded UTF-8, empty when left out.

    Raises:
        InvalidRequestError: It cannot be read.
    """
    given: list[Any] = request.headers.getall(REASON, [])
    try:
        (reason,) = [unquote(value, errors="strict") for value in given] or [""]
    except ValueError:
        raise InvalidRequestError(f"The header {REASON} must stand once and be percent-encoded UTF-8.") from None
    return reason.strip()


def matching(services: AdminServices, request: GraphRequest, connection: Connection, policy_id: PolicyId) -> Policy:
    """Return the policy to be changed or copied, as nobody else can change it until this transaction ends.

    Raises:
        NotFoundError: There is no such policy.
        PreconditionFailedError: It is not the one that If-Match names any more.
        PreconditionRequiredError: If-Match is missing, and the settings ask for it.
    """
    targets.lock(connection)
    policy = policies.get_policy(connection, services.tenant.id, policy_id)
    require_match(services, request, etag_of(connection, policy))
    return policy


def matching_or_deleted(
    services: AdminServices, request: GraphRequest, connection: Connection, policy_id: PolicyId
) -> None:
    """Do what ``matching`` does where the policy is still there; one that was deleted matches nothing.

    Raises:
        PreconditionFailedError: It is not the one that If-Match names any more.
    """
    try:
        matching(services, request, connection, policy_id)
    except NotFoundError:
        if request.headers.getall("if-match", []):
            raise PreconditionFailedError(f"The policy {policy_id} was deleted.") from None


def defined(resources: CatalogResources, policy: Policy, settings: Sequence[Json]) -> list[Json]:
    """Put beside the settings of a policy their definitions."""
    return [
        setting | {"settingDefinitions": resources.below(instance.definition)}
        for setting, instance in zip(settings, policy.settings, strict=True)
    ]


def resource_of(services: AdminServices, connection: Connection, policy: Policy, expand: frozenset[str]) -> Json:
    """Shape a policy, with what is asked for expanded."""
    assigned = assignments.assignments_of(connection, policy.tenant_id, policy.id)
    resource = policy_resource(policy, services.catalog.template(policy.template_id), is_assigned=bool(assigned))
    if "settings" in expand:
        resource["settings"] = settings_resource(policy)
    if "shieldwall" in expand:
        resource["shieldwall"] = standing_resource(policy)
    if "assignments" in expand:
        resource["assignments"] = assignments_resource(assigned)
    return resource
