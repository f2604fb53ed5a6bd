"""The pages of the admin center: each loads what it shows in one transaction and renders it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import UUID_PATTERN, GroupId, parse_package_id, parse_policy_id
from shieldwall.contract.status import SettingState
from shieldwall.server.authorization import allow
from shieldwall.server.directory import groups
from shieldwall.server.inventory import packages
from shieldwall.server.manager import assignments, policies, statuses
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import ADMINISTRATOR, check_form
from shieldwall.server.portal.standing import fleet
from shieldwall.server.portal.views import (
    GroupRow,
    PackageRow,
    PolicyRow,
    counts_of,
    package_state,
    setting_rows,
    targets_in_words,
)
from shieldwall.server.services import AdminServices
from shieldwall.server.storage import alerts, revisions
from shieldwall.server.storage import devices as stored_devices
from shieldwall.server.storage import groups as stored_groups
from shieldwall.server.storage.records import Page, Policy

PageRequest: TypeAlias = Request[Any, Any, State]
Services: TypeAlias = NamedDependency[AdminServices]
Renderer: TypeAlias = NamedDependency[Rendering]
Form: TypeAlias = NamedDependency[Mapping[str, str]]
SIGNED_IN: Final = allow(ADMINISTRATOR)
_PAGE_SIZE: Final = 50


@get("/", opt=SIGNED_IN, sync_to_thread=True)
def overview(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show how the tenant stands."""
    with services.database.read() as connection:
        rows = _policy_rows(services, connection, Page(size=_PAGE_SIZE))
        count = stored_devices.count(connection, services.tenant.id)
        standing = fleet(connection, services.tenant.id)
        alert_count = alerts.count_open(connection, services.tenant.id)
    return rendering.page(
        request,
        "overview.html",
        section="/",
        policies=sorted(rows, key=_trouble, reverse=True),
        device_count=count,
        fleet=standing,
        alert_count=alert_count,
        counts=counts_of(standing.counts),
    )


@get("/policies", opt=SIGNED_IN, sync_to_thread=True)
def list_policies(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the policies."""
    with services.database.read() as connection:
        rows = _policy_rows(services, connection, _page(request))
    return rendering.page(
        request,
        "policies.html",
        section="/policies",
        policies=rows,
        **_paging(request, [row.policy.id for row in rows]),
    )


@get("/policies/{policy_id:str}", opt=SIGNED_IN, sync_to_thread=True)
def show_policy(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """Show one policy: its settings, whom it is assigned to, how it stands on each device."""
    tenant, catalog = services.tenant.id, services.catalog
    with services.database.read() as connection:
        policy = policies.get_policy(connection, tenant, parse_policy_id(policy_id))
        document = policies.document_of(revisions.get(connection, policy.id, policy.revision))
        assigned = assignments.assignments_of(connection, tenant, policy.id)
        names = _group_names(connection, [each.group_id for each in assigned if each.group_id is not None])
        counts = counts_of(statuses.policy_counts(connection, catalog, tenant, policy.id).devices)
        found = statuses.policy_devices(connection, catalog, tenant, policy.id, _page(request))
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
        **_paging(request, [each.device_id for each in found]),
    )


@get("/groups", opt=SIGNED_IN, sync_to_thread=True)
def list_groups(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the groups."""
    with services.database.read() as connection:
        found = groups.list_groups(connection, services.tenant.id, _page(request))
        rows = [
            GroupRow(group=group, member_count=stored_groups.count_members(connection, group.id)) for group in found
        ]
    return rendering.page(
        request, "groups.html", section="/groups", groups=rows, **_paging(request, [group.id for group in found])
    )


@get("/packages", opt=SIGNED_IN, sync_to_thread=True)
def list_packages(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the onboarding packages."""
    with services.database.read() as connection:
        found = packages.list_packages(connection, services.tenant.id, _page(request))
    now = services.clock.now()
    rows = [PackageRow(package=package, state=package_state(package, now)) for package in found]
    return rendering.page(
        request,
        "packages.html",
        section="/packages",
        packages=rows,
        **_paging(request, [package.id for package in found]),
    )


@get("/packages/{package_id:str}", opt=SIGNED_IN, sync_to_thread=True)
def show_package(
    services: Services, rendering: Renderer, request: PageRequest, package_id: FromPath[str]
) -> Response[str]:
    """Show one package: what it allows, who made it, who came with it."""
    wanted, tenant = parse_package_id(package_id), services.tenant.id
    with services.database.read() as connection:
        package = packages.get_package(connection, tenant, wanted)
        found = packages.devices_of_package(connection, tenant, wanted, _page(request))
    return rendering.page(
        request,
        "package.html",
        section="/packages",
        package=package,
        state=package_state(package, services.clock.now()),
        devices=found,
        can_revoke=package.revoked_at is None,
        **_paging(request, [device.id for device in found]),
    )


@post("/packages/{package_id:str}/revoke", opt=SIGNED_IN, sync_to_thread=True)
def revoke_package(services: Services, request: PageRequest, package_id: FromPath[str], form: Form) -> Redirect:
    """Let nobody onboard with a package any more."""
    check_form(services, request, form)
    wanted = parse_package_id(package_id)
    with services.database.write() as connection:
        packages.revoke_package(connection, services.acting(request.scope["user"].actor), wanted)
    return redirect(f"/packages/{wanted}")


def _policy_rows(services: AdminServices, connection: Connection, page: Page) -> list[PolicyRow]:
    tenant, catalog = services.tenant.id, services.catalog
    return [
        PolicyRow(
            policy=policy,
            profile=_profile(services, policy),
            is_assigned=bool(assignments.assignments_of(connection, tenant, policy.id)),
            counts=counts_of(statuses.policy_counts(connection, catalog, tenant, policy.id).devices),
        )
        for policy in policies.list_policies(connection, tenant, page)
    ]


def _profile(services: AdminServices, policy: Policy) -> str:
    return services.catalog.template(policy.template_id).display_name


def _group_names(connection: Connection, wanted: Sequence[GroupId]) -> dict[GroupId, str]:
    return {group: stored_groups.get(connection, group).display_name for group in wanted}


def _trouble(row: PolicyRow) -> tuple[int, int]:
    return row.counts[SettingState.ERROR], row.counts[SettingState.CONFLICT]


def _page(request: PageRequest) -> Page:
    after = request.query_params.get("after")
    if after is not None and not re.match(UUID_PATTERN, after):
        raise InvalidIdError("The link to this page of the list is broken.", remedy="Begin with its first page.")
    return Page(size=_PAGE_SIZE, after=after)


def _paging(request: PageRequest, ids: Sequence[str]) -> dict[str, Any]:
    """Say where the next page of a listing begins, if there is one, and whether this is the first."""
    return {
        "following": f"?after={ids[-1]}" if len(ids) == _PAGE_SIZE else None,
        "paged": "after" in request.query_params,
    }
