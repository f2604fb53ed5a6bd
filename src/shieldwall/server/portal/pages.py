"""The pages of the admin center: each loads what it shows in one transaction and renders it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.response import Redirect
from sqlalchemy import Connection

from shieldwall.contract.ids import GroupId, parse_device_id, parse_policy_id
from shieldwall.server.authorization import allow
from shieldwall.server.directory import devices, groups
from shieldwall.server.inventory import packages
from shieldwall.server.manager import assignments, policies, statuses, sync
from shieldwall.server.manager.summaries import summaries
from shieldwall.server.portal.rendering import Rendering
from shieldwall.server.portal.sessions import ADMINISTRATOR, check_form
from shieldwall.server.portal.views import (
    GroupRow,
    PolicyRow,
    counts_of,
    device_row,
    effective_row,
    managed_by,
    setting_rows,
    targets_in_words,
)
from shieldwall.server.services import AdminServices
from shieldwall.server.storage import devices as stored_devices
from shieldwall.server.storage import groups as stored_groups
from shieldwall.server.storage import revisions
from shieldwall.server.storage.records import Page, Policy

PageRequest = Request[Any, Any, State]
SIGNED_IN: Final = allow(ADMINISTRATOR)
_PAGE_SIZE: Final = 50


@get("/", opt=SIGNED_IN, sync_to_thread=True)
def overview(services: AdminServices, rendering: Rendering, request: PageRequest) -> Response[str]:
    """Show how the tenant stands."""
    with services.database.read() as connection:
        rows = _policy_rows(services, connection, Page(size=_PAGE_SIZE))
        count = stored_devices.count(connection, services.tenant.id)
    return rendering.page(request, "overview.html", section="/", policies=rows, device_count=count)


@get("/policies", opt=SIGNED_IN, sync_to_thread=True)
def list_policies(services: AdminServices, rendering: Rendering, request: PageRequest) -> Response[str]:
    """Show the policies."""
    with services.database.read() as connection:
        rows = _policy_rows(services, connection, _page(request))
    following = _following([row.policy.id for row in rows])
    return rendering.page(request, "policies.html", section="/policies", policies=rows, following=following)


@get("/policies/{policy_id:str}", opt=SIGNED_IN, sync_to_thread=True)
def show_policy(services: AdminServices, rendering: Rendering, request: PageRequest, policy_id: str) -> Response[str]:
    """Show one policy: its settings, whom it is assigned to, how it stands on each device."""
    tenant, catalog = services.tenant.id, services.catalog
    with services.database.read() as connection:
        policy = policies.get_policy(connection, tenant, parse_policy_id(policy_id))
        document = policies.document_of(revisions.get(connection, policy.id, policy.revision))
        assigned = assignments.assignments_of(connection, tenant, policy.id)
        names = _group_names(connection, [each.group_id for each in assigned if each.group_id is not None])
        counts = counts_of(statuses.policy_counts(connection, catalog, tenant, policy.id))
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
        following=_following([each.device_id for each in found]),
    )


@get("/devices", opt=SIGNED_IN, sync_to_thread=True)
def list_devices(services: AdminServices, rendering: Rendering, request: PageRequest) -> Response[str]:
    """Show the devices."""
    with services.database.read() as connection:
        found = devices.list_devices(connection, services.tenant.id, _page(request))
        standing = summaries(connection, [device.id for device in found])
        count = stored_devices.count(connection, services.tenant.id)
    return rendering.page(
        request,
        "devices.html",
        section="/devices",
        devices=[device_row(device, standing[device.id]) for device in found],
        device_count=count,
        following=_following([device.id for device in found]),
    )


@get("/devices/{device_id:str}", opt=SIGNED_IN, sync_to_thread=True)
def show_device(services: AdminServices, rendering: Rendering, request: PageRequest, device_id: str) -> Response[str]:
    """Show one device: what is in effect, who set it, what lost."""
    wanted, tenant = parse_device_id(device_id), services.tenant.id
    with services.database.read() as connection:
        device = devices.get_device(connection, tenant, wanted)
        effect = statuses.effective_of(connection, services.catalog, tenant, wanted)
        memberships = groups.groups_of(connection, tenant, wanted)
    asked = effect.check_in.sync_requested_at is not None
    return rendering.page(
        request,
        "device.html",
        section="/devices",
        device=device,
        managed_by=managed_by(device),
        last_check_in=effect.check_in.last_check_in,
        groups=[group.display_name for group in memberships],
        settings=[effective_row(services.catalog, each) for each in effect.settings],
        notice="The device is asked to check in now." if asked else None,
    )


@post("/devices/{device_id:str}/sync", opt=SIGNED_IN, sync_to_thread=True)
def sync_device(services: AdminServices, request: PageRequest, device_id: str, form: Mapping[str, str]) -> Redirect:
    """Ask a device to check in now."""
    check_form(services, request, form)
    with services.database.write() as connection:
        device = devices.get_device(connection, services.tenant.id, parse_device_id(device_id))
        sync.request_sync(connection, [device.id], services.clock.now())
    return Redirect(f"/devices/{device.id}", status_code=303)


@get("/groups", opt=SIGNED_IN, sync_to_thread=True)
def list_groups(services: AdminServices, rendering: Rendering, request: PageRequest) -> Response[str]:
    """Show the groups."""
    with services.database.read() as connection:
        found = groups.list_groups(connection, services.tenant.id, _page(request))
        rows = [
            GroupRow(group=group, member_count=stored_groups.count_members(connection, group.id)) for group in found
        ]
    following = _following([group.id for group in found])
    return rendering.page(request, "groups.html", section="/groups", groups=rows, following=following)


@get("/packages", opt=SIGNED_IN, sync_to_thread=True)
def list_packages(services: AdminServices, rendering: Rendering, request: PageRequest) -> Response[str]:
    """Show the onboarding packages."""
    with services.database.read() as connection:
        found = packages.list_packages(connection, services.tenant.id, _page(request))
    following = _following([package.id for package in found])
    return rendering.page(request, "packages.html", section="/packages", packages=found, following=following)


def _policy_rows(services: AdminServices, connection: Connection, page: Page) -> list[PolicyRow]:
    tenant, catalog = services.tenant.id, services.catalog
    return [
        PolicyRow(
            policy=policy,
            profile=_profile(services, policy),
            is_assigned=bool(assignments.assignments_of(connection, tenant, policy.id)),
            counts=counts_of(statuses.policy_counts(connection, catalog, tenant, policy.id)),
        )
        for policy in policies.list_policies(connection, tenant, page)
    ]


def _profile(services: AdminServices, policy: Policy) -> str:
    return services.catalog.template(policy.template_id).display_name


def _group_names(connection: Connection, wanted: Sequence[GroupId]) -> dict[GroupId, str]:
    return {group: stored_groups.get(connection, group).display_name for group in wanted}


def _page(request: PageRequest) -> Page:
    after = request.query_params.get("after")
    return Page(size=_PAGE_SIZE, after=after[:64] if after else None)


def _following(ids: Sequence[str]) -> str | None:
    return ids[-1] if len(ids) == _PAGE_SIZE else None
