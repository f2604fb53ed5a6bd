"""The list of policies, and one policy."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.ids import parse_policy_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import Reach, needs
from shieldwall.server.manager import assignments, policies, statuses
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.paging import page_of, paging
from shieldwall.server.portal.views import (
    PolicyRow,
    counts_of,
    setting_rows,
    targets_in_words,
)
from shieldwall.server.services import AdminServices
from shieldwall.server.sight import Sight, sight_of
from shieldwall.server.storage import groups as stored_groups
from shieldwall.server.storage import revisions
from shieldwall.server.storage.records import Page, Policy


@get("/policies", opt=SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.LISTED), sync_to_thread=True)
def list_policies(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the policies."""
    sight = sight_of(request)
    with services.database.read() as connection:
        rows = policy_rows(services, connection, replace(page_of(request), where=sight.policies()), sight)
    return rendering.page(
        request,
        "policies/policies.html",
        section="/policies",
        policies=rows,
        **paging(request, [row.policy.id for row in rows]),
    )


@get(
    "/policies/{policy_id:str}", opt=SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.OBJECT), sync_to_thread=True
)
def show_policy(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """Show one policy: its settings, whom it is assigned to, how it stands on each device."""
    tenant, catalog, sight = services.tenant.id, services.catalog, sight_of(request)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, tenant, parse_policy_id(policy_id))
        document = policies.document_of(revisions.get(connection, policy.id, policy.revision))
        assigned = assignments.assignments_of(connection, tenant, policy.id)
        targets = [each.group_id for each in assigned if each.group_id is not None]
        names = stored_groups.names(connection, sight.groups_among(connection, targets))
        seen = sight.reported_devices()
        counts = counts_of(statuses.policy_counts(connection, catalog, tenant, policy.id, seen).devices)
        found = statuses.policy_devices(connection, catalog, tenant, policy.id, replace(page_of(request), where=seen))
    return rendering.page(
        request,
        "policies/policy.html",
        section="/policies",
        policy=policy,
        profile=_profile(services, policy),
        settings=setting_rows(catalog, document),
        targets=targets_in_words(assigned, names),
        counts=counts,
        devices=found,
        **paging(request, [each.device_id for each in found]),
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_policies, show_policy)


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
