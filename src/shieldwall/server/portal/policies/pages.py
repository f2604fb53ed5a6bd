"""The list of policies, and one policy."""

from __future__ import annotations

from sqlalchemy import Connection

from shieldwall.server.manager import assignments, policies, statuses
from shieldwall.server.portal.views import (
    PolicyRow,
    counts_of,
)
from shieldwall.server.services import AdminServices
from shieldwall.server.sight import Sight
from shieldwall.server.storage.records import Page, Policy


def policy_rows(services: AdminServices, connection: Connection, page: Page, sight: Sight) -> list[PolicyRow]:
    """Return policies as rows of a list, each with how many devices stand where."""
    tenant, catalog = services.tenant.id, services.catalog
    return [
        PolicyRow(
            policy=policy,
            profile=_profile(services, policy),
            is_assigned=bool(assignments.assignments_of(connection, tenant, policy.id)),
            counts=counts_of(
                statuses.policy_counts(connection, catalog, tenant, policy.id, sight.reported_devices()).devices
            ),
        )
        for policy in policies.list_policies(connection, tenant, page)
    ]


def _profile(services: AdminServices, policy: Policy) -> str:
    return services.catalog.template(policy.template_id).display_name
