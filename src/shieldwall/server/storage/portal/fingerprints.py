"""Cheap signs that something a page shows may have changed: each is read by an index, however large the tenant is.

A sign that is another one than before says "look again", and nothing more. What changes without an audit event, by a
check-in or a report, is looked for where it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Select, func, select

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.tables.device_schema import alerts, device_events, registrations
from shieldwall.server.storage.tables.schema import (
    audit_events,
    check_ins,
    devices,
    groups,
    inventory,
    membership_events,
    onboarding_packages,
    policies,
)

_RECENT: Final = 50
"""Check-ins that are looked at: a report follows its check-in within seconds, and changes its row alone."""
_SAME_MOMENT: Final = 8
Sign: TypeAlias = Callable[[TenantId, str], Select[*tuple[Any, ...]]]


def _audited(tenant_id: TenantId, _: str) -> Select[*tuple[Any, ...]]:
    query = select(audit_events.c.id).where(audit_events.c.tenant_id == tenant_id)
    return query.order_by(audit_events.c.at.desc()).limit(_SAME_MOMENT)


def _recent(tenant_id: TenantId, _: str) -> Select[*tuple[Any, ...]]:
    query = select(
        check_ins.c.device_id,
        check_ins.c.last_check_in,
        check_ins.c.target_digest,
        check_ins.c.status_digest,
        check_ins.c.status_at,
        check_ins.c.sync_requested_at,
    ).where(check_ins.c.tenant_id == tenant_id)
    return query.order_by(check_ins.c.last_check_in.desc()).limit(_RECENT)


def _registered(tenant_id: TenantId, _: str) -> Select[*tuple[Any, ...]]:
    return select(func.max(inventory.c.registered_at)).where(inventory.c.tenant_id == tenant_id)


def _alerted(tenant_id: TenantId, _: str) -> Select[*tuple[Any, ...]]:
    query = select(alerts.c.id, alerts.c.last_at, alerts.c.times, alerts.c.resolved_at)
    return query.where(alerts.c.tenant_id == tenant_id).order_by(alerts.c.last_at.desc()).limit(_SAME_MOMENT)


def _packages(tenant_id: TenantId, _: str) -> Select[*tuple[Any, ...]]:
    return select(func.count(), func.sum(onboarding_packages.c.uses)).where(
        onboarding_packages.c.tenant_id == tenant_id
    )


def _device(tenant_id: TenantId, device_id: str) -> Select[*tuple[Any, ...]]:
    return select(devices).where(devices.c.tenant_id == tenant_id, devices.c.id == device_id)


def _check_in(tenant_id: TenantId, device_id: str) -> Select[*tuple[Any, ...]]:
    return select(check_ins).where(check_ins.c.tenant_id == tenant_id, check_ins.c.device_id == device_id)


def _registration(tenant_id: TenantId, device_id: str) -> Select[*tuple[Any, ...]]:
    return select(registrations).where(registrations.c.tenant_id == tenant_id, registrations.c.device_id == device_id)


def _happened(_: TenantId, device_id: str) -> Select[*tuple[Any, ...]]:
    return select(func.max(device_events.c.at)).where(device_events.c.device_id == device_id)


def _moved(_: TenantId, device_id: str) -> Select[*tuple[Any, ...]]:
    return select(func.max(membership_events.c.at)).where(membership_events.c.device_id == device_id)


def _members(_: TenantId, group_id: str) -> Select[*tuple[Any, ...]]:
    return select(func.max(membership_events.c.at)).where(membership_events.c.group_id == group_id)


def _group(tenant_id: TenantId, group_id: str) -> Select[*tuple[Any, ...]]:
    return select(groups).where(groups.c.tenant_id == tenant_id, groups.c.id == group_id)


def _policy(tenant_id: TenantId, policy_id: str) -> Select[*tuple[Any, ...]]:
    return select(policies.c.digest, policies.c.modified_at, policies.c.priority).where(
        policies.c.tenant_id == tenant_id, policies.c.id == policy_id
    )


SIGNS: Final[Mapping[str, tuple[Sign, ...]]] = {
    "overview": (_audited, _recent, _registered, _alerted),
    "devices": (_audited, _recent, _registered),
    "policies": (_audited, _recent),
    "groups": (_audited, _registered),
    "alerts": (_audited, _alerted),
    "audit": (_audited,),
    "packages": (_audited, _packages, _registered),
    "device": (_audited, _device, _check_in, _registration, _happened, _moved),
    "policy": (_audited, _recent, _policy),
    "group": (_audited, _group, _members),
}
"""What is looked at for each kind of topic."""


def fingerprint(connection: Connection, tenant_id: TenantId, kind: str, identity: str = "") -> str:
    """Digest the signs of a topic: ``kind`` is a key of ``SIGNS``, ``identity`` names the object where it is of one."""
    digest = sha256()
    for sign in SIGNS[kind]:
        for row in connection.execute(sign(tenant_id, identity)):
            digest.update(repr(tuple(row)).encode())
        digest.update(b";")
    return digest.hexdigest()
