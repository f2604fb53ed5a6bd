"""The pages of the admin center: each loads what it shows in one transaction and renders it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy import Connection

from shieldwall.contract.ids import parse_policy_id
from shieldwall.contract.status import SettingState
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import Reach, allow, everybody, needs
from shieldwall.server.inventory.machines import facets, filter_at
from shieldwall.server.manager import assignments, policies, statuses
from shieldwall.server.portal.paging import PAGE_SIZE, page_of, paging
from shieldwall.server.portal.rendering import Rendering
from shieldwall.server.portal.sessions import ADMINISTRATOR
from shieldwall.server.portal.standing import fleet
from shieldwall.server.portal.views import (
    PolicyRow,
    counts_of,
    setting_rows,
    targets_in_words,
)
from shieldwall.server.services import AdminServices
from shieldwall.server.sight import Sight, sight_of
from shieldwall.server.storage import alerts, revisions
from shieldwall.server.storage import devices as stored_devices
from shieldwall.server.storage import groups as stored_groups
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.inventory import Health
from shieldwall.server.storage.records import Page, Policy

PageRequest: TypeAlias = Request[Any, Any, State]
Services: TypeAlias = NamedDependency[AdminServices]
Renderer: TypeAlias = NamedDependency[Rendering]
Form: TypeAlias = NamedDependency[Mapping[str, str]]
SIGNED_IN: Final = allow(ADMINISTRATOR)
_AWAITING: Final = (
    ("state", DeviceState.PENDING.value, "waiting to be let in"),
    ("state", DeviceState.QUARANTINED.value, "in quarantine"),
    ("health", Health.INACTIVE.value, "inactive"),
)
"""What the first page counts: the facet, its value, and how that is said."""


@get("/", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def overview(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show how the tenant stands."""
    sight = sight_of(request)
    with services.database.read() as connection:
        rows = _policy_rows(services, connection, Page(size=PAGE_SIZE, where=sight.policies()), sight)
        count = stored_devices.count(connection, services.tenant.id, sight.devices())
        standing = fleet(connection, services.tenant.id, only=sight.reported_devices())
        alert_count = alerts.count_open(connection, services.tenant.id, sight.alerts())
        awaiting: list[tuple[int, str, str]] = []
        if "x-requested-for" not in request.headers:  # a refresh takes the fleet alone
            awaiting = _awaiting(connection, services, sight)
    return rendering.page(
        request,
        "overview.html",
        section="/",
        policies=sorted(rows, key=_trouble, reverse=True),
        device_count=count,
        fleet=standing,
        alert_count=alert_count,
        awaiting=awaiting,
        counts=counts_of(standing.counts),
    )


@get("/policies", opt=SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.LISTED), sync_to_thread=True)
def list_policies(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the policies."""
    sight = sight_of(request)
    with services.database.read() as connection:
        rows = _policy_rows(services, connection, replace(page_of(request), where=sight.policies()), sight)
    return rendering.page(
        request,
        "policies.html",
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
        "policy.html",
        section="/policies",
        policy=policy,
        profile=_profile(services, policy),
        settings=setting_rows(catalog, document),
        targets=targets_in_words(assigned, names),
        counts=counts,
        devices=found,
        **paging(request, [each.device_id for each in found]),
    )


def _awaiting(connection: Connection, services: AdminServices, sight: Sight) -> list[tuple[int, str, str]]:
    """Count the devices that wait for somebody's decision or fell silent, each with where they are listed."""
    fitting = replace(filter_at(services.clock.now()), only=sight.listed_devices())
    counted = facets(connection, services.tenant.id, fitting, ("state", "health"))
    found = [(counted[facet].get(word, 0), words, f"/devices?{facet}={word}") for facet, word, words in _AWAITING]
    return [each for each in found if each[0]]


def _policy_rows(services: AdminServices, connection: Connection, page: Page, sight: Sight) -> list[PolicyRow]:
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


def _trouble(row: PolicyRow) -> tuple[int, int]:
    return row.counts[SettingState.ERROR], row.counts[SettingState.CONFLICT]
