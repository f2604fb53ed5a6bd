"""Which devices are behind the changes of their tenant, and what those changes were.

A change that reaches many devices raises the version of its tenant and writes nothing of any device. A device whose
row says a lower version is behind: its target and its dynamic groups are as they were before, until it catches up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.server.storage.records import MembershipCause
from shieldwall.server.storage.statements.bulk import is_named, is_one_of, unsought
from shieldwall.server.storage.tables.aims_schema import aims_changes
from shieldwall.server.storage.tables.schema import check_ins, tenants


class ChangeKind(StrEnum):
    """What a change is about."""

    POLICY = "policy"
    """What is assigned to whom, or what a policy says."""
    GROUP = "group"
    """The rule of a dynamic group: beside targets, memberships are others."""
    FILTER = "filter"
    TENANT = "tenant"
    """What holds for all devices of the tenant."""
    DEVICES = "devices"
    """Many devices themselves, whose groups are right already."""


SCOPE: Final = "enforcementScope"
"""What a change of many devices is about where these are still to be decided by the scope of their tenant.

Not a kind of its own: programs of the release before know the kinds that there were.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AimsChange:
    """A change that devices take up one after the other; of one that moves devices, why they join and leave."""

    version: int
    kind: ChangeKind
    object_id: str | None
    at: datetime
    cause: MembershipCause
    actor: str

    @property
    def is_of_scope(self) -> bool:
        """Whether who takes it up is to be decided by the scope of the tenant."""
        return self.kind is ChangeKind.DEVICES and self.object_id == SCOPE


_VERSION: Final = select(tenants.c.aims_version).where(tenants.c.id == bindparam("tenant"))
_RAISE: Final = (
    update(tenants)
    .where(tenants.c.id == bindparam("tenant"))
    .values(aims_version=tenants.c.aims_version + 1)
    .returning(tenants.c.aims_version)
)
_OF_TENANT: Final = aims_changes.c.tenant_id == bindparam("tenant")
_SINCE: Final = (
    select(aims_changes).where(_OF_TENANT, aims_changes.c.version > bindparam("since")).order_by(aims_changes.c.version)
)
_OPEN: Final = select(aims_changes.c.version).where(_OF_TENANT).limit(1)
_OPEN_SCOPE: Final = _OPEN.where(aims_changes.c.kind == ChangeKind.DEVICES.value, aims_changes.c.object_id == SCOPE)
_SET: Final = update(check_ins).where(is_named(check_ins.c.device_id)).values(aims_version=bindparam("reached"))
_ARE_BEHIND: Final = (check_ins.c.tenant_id == bindparam("tenant"), check_ins.c.aims_version < bindparam("newest"))
_BEHIND: Final = select(func.count()).where(*_ARE_BEHIND)
_FIRST_BEHIND: Final = (
    select(check_ins.c.device_id).where(*_ARE_BEHIND).order_by(check_ins.c.aims_version).limit(bindparam("most"))
)


def is_up_to_date() -> ColumnElement[bool]:
    """Say of a row of ``check_ins`` that its device is not behind.

    Not "equal": PostgreSQL may look at the row anew after whoever brought it up to date, while it sees the tenant as it
    was before.
    """
    reached = select(tenants.c.aims_version).where(tenants.c.number == check_ins.c.tenant_id).scalar_subquery()
    return check_ins.c.aims_version >= reached


_THESE_BEHIND: Final = select(check_ins.c.tenant_id, check_ins.c.device_id, check_ins.c.aims_version).where(
    is_named(check_ins.c.device_id), ~is_up_to_date()
)
_HOLD_BEHIND: Final = (
    select(check_ins.c.device_id, check_ins.c.aims_version)
    .where(
        is_named(check_ins.c.device_id),
        unsought(check_ins.c.tenant_id) == bindparam("tenant"),
        check_ins.c.aims_version < bindparam("newest"),
    )
    .order_by(check_ins.c.device_id)
    .with_for_update(skip_locked=True)
)


def version(connection: Connection, tenant_id: TenantId) -> int:
    """Return the newest version of a tenant, 0 where there was no such change or is no such tenant."""
    return connection.execute(_VERSION, {"tenant": tenant_id}).scalar_one_or_none() or 0


def raise_version(
    connection: Connection,
    tenant_id: TenantId,
    kind: ChangeKind,
    object_id: str | None,
    *,
    at: datetime,
    cause: MembershipCause = MembershipCause.RULE_CHANGED,
    actor: str = "",
) -> int:
    """Note a change that devices take up one after the other, and return its version.

    The caller holds ``targets.lock``.
    """
    raised = connection.execute(_RAISE, {"tenant": tenant_id}).scalar_one()
    row = {"tenant_id": tenant_id, "version": raised, "kind": kind.value, "object_id": object_id, "at": at}
    connection.execute(insert(aims_changes), row | {"cause": f"{cause} {actor}"[:256]})
    return int(raised)


def changes_since(connection: Connection, tenant_id: TenantId, since: int) -> tuple[AimsChange, ...]:
    """Return the changes of a tenant after a version, as far as they are still known, in their order."""
    rows = connection.execute(_SINCE, {"tenant": tenant_id, "since": since})
    found: list[AimsChange] = []
    for row in rows:
        cause, _, actor = row.cause.partition(" ")
        found.append(
            AimsChange(
                version=row.version,
                kind=ChangeKind(row.kind),
                object_id=row.object_id,
                at=row.at,
                cause=MembershipCause(cause),
                actor=actor,
            )
        )
    return tuple(found)


def is_open(connection: Connection, tenant_id: TenantId) -> bool:
    """Say whether devices of a tenant may be behind."""
    return connection.execute(_OPEN, {"tenant": tenant_id}).first() is not None


def is_scope_open(connection: Connection, tenant_id: TenantId) -> bool:
    """Say whether devices of a tenant may still have the enrollment code that a former scope gave them."""
    return connection.execute(_OPEN_SCOPE, {"tenant": tenant_id}).first() is not None


def open_groups(connection: Connection, tenant_id: TenantId, group_ids: Collection[GroupId]) -> frozenset[GroupId]:
    """Return those of these groups whose rule changed in a way that devices may not have taken up yet."""
    query = select(aims_changes.c.object_id).where(
        aims_changes.c.tenant_id == tenant_id,
        aims_changes.c.kind == ChangeKind.GROUP.value,
        is_one_of(connection, aims_changes.c.object_id, group_ids),
    )
    return frozenset(map(GroupId, connection.scalars(query)))


def forget_changes(connection: Connection, tenant_id: TenantId, reached: int) -> None:
    """Forget the changes up to a version that every device has reached."""
    connection.execute(
        delete(aims_changes).where(aims_changes.c.tenant_id == tenant_id, aims_changes.c.version <= reached)
    )


def open_tenants(connection: Connection) -> tuple[TenantId, ...]:
    """Return the tenants of which devices may be behind, ordered by id."""
    found = connection.scalars(select(aims_changes.c.tenant_id).distinct().order_by(aims_changes.c.tenant_id))
    return tuple(map(TenantId, found))


def behind(connection: Connection, device_ids: Collection[DeviceId]) -> Mapping[TenantId, dict[DeviceId, int]]:
    """Return those of these devices that are behind, by tenant, with the version that each has reached."""
    found: dict[TenantId, dict[DeviceId, int]] = {}
    for tenant, device, reached in connection.execute(_THESE_BEHIND, {"ids": device_ids}):
        found.setdefault(TenantId(tenant), {})[DeviceId(device)] = reached
    return found


def hold_behind(
    connection: Connection, tenant_id: TenantId, device_ids: Collection[DeviceId], newest: int
) -> dict[DeviceId, int]:
    """Hold the rows of those of a tenant's devices that are behind, but for rows that others hold.

    Who waited for them could wait for ever: check-ins hold several rows, in any order.
    """
    asked = {"ids": device_ids, "tenant": tenant_id, "newest": newest}
    return {DeviceId(device): reached for device, reached in connection.execute(_HOLD_BEHIND, asked)}


def set_reached(connection: Connection, device_ids: Collection[DeviceId], reached: int) -> None:
    """Note that the targets and groups of these devices are right as of a version."""
    connection.execute(_SET, {"ids": device_ids, "reached": reached})


def first_behind(connection: Connection, tenant_id: TenantId, newest: int, most: int) -> tuple[DeviceId, ...]:
    """Return devices of a tenant that have not reached a version, those that are furthest behind first.

    Nobody else is looked at: an index holds them in this order.
    """
    found = connection.scalars(_FIRST_BEHIND, {"tenant": tenant_id, "newest": newest, "most": most})
    return tuple(map(DeviceId, found))


def count_behind(connection: Connection, tenant_id: TenantId, newest: int) -> int:
    """Count the devices of a tenant that have not reached a version."""
    return connection.execute(_BEHIND, {"tenant": tenant_id, "newest": newest}).scalar_one()
