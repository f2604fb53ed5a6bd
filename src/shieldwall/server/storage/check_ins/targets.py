"""Targets: what devices shall enforce, kept once per tenant and distinct set of items."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from shieldwall.contract import strict_json
from shieldwall.contract.conflicts import PUBLISHED, ConflictRules
from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.messages import MANAGED_CODE, UNPROTECTED, ManifestItem, Protection
from shieldwall.contract.target import Target, read_target, write_target
from shieldwall.server.storage.device_records import SPEAKING, DeviceState
from shieldwall.server.storage.engine.database import insert_ignoring
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.statements.bulk import apart, is_named, together
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.schema import check_ins, devices, target_documents

_OF_TENANT: Final = target_documents.c.tenant_id == bindparam("tenant")
_BODY: Final = select(target_documents.c.body).where(_OF_TENANT, target_documents.c.digest == bindparam("digest"))
_BODIES: Final = select(target_documents.c.digest, target_documents.c.body).where(
    _OF_TENANT, target_documents.c.digest.in_(bindparam("digests", expanding=True))
)
_DECISIVE: Final = (
    devices.c.tenant_id,
    check_ins.c.target_digest,
    devices.c.state,
    devices.c.enrollment_code,
    devices.c.is_domain_controller,
    devices.c.troubleshooting_until,
    check_ins.c.protocol,
)
_DEVICES: Final = (
    select(together(devices.c.id), *_DECISIVE)
    .join(check_ins, check_ins.c.device_id == devices.c.id)
    .where(devices.c.state.in_(sorted(SPEAKING)), is_named(devices.c.id))
    .group_by(*_DECISIVE)
)
_STATES: Final = {state.value: state for state in DeviceState}

_LOCK: Final = select(func.pg_advisory_xact_lock(0x5348_4C44))
"""The number means "targeting" to us and nothing to PostgreSQL."""


class Targeted(NamedTuple):
    """The present target of devices that may check in, and what their next depends on beside groups and filters."""

    tenant_id: TenantId
    target: Digest | None
    state: DeviceState
    enrollment_code: int
    is_domain_controller: bool
    troubleshooting_until: datetime | None
    protocol: int


def lock(connection: Connection) -> None:
    """Let one transaction at a time decide targets: what it reads of assignments and groups stays true until it ends.

    SQLite has one writer anyway.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(_LOCK)


def keep(
    connection: Connection,
    tenant_id: TenantId,
    items: Iterable[ManifestItem],
    rules: ConflictRules = PUBLISHED,
    protection: Protection = UNPROTECTED,
    *,
    offboard: bool = False,
    enrollment: int = MANAGED_CODE,
) -> Digest:
    """Keep a target once, and return the digest that names it."""
    body = write_target(items, rules, protection, offboard=offboard, enrollment=enrollment)
    digest = strict_json.digest_of_bytes(body)
    row = {"tenant_id": tenant_id, "digest": digest, "body": body}
    connection.execute(insert_ignoring(connection, target_documents), row)
    return digest


def get(connection: Connection, tenant_id: TenantId, digest: Digest) -> Target:
    """Return a target. Raises: NotFoundError."""
    body = connection.execute(_BODY, {"tenant": tenant_id, "digest": digest}).scalar_one_or_none()
    if body is None:
        raise NotFoundError(f"There is no target {digest}.")
    return read_target(body)


def get_many(connection: Connection, tenant_id: TenantId, digests: Collection[Digest]) -> dict[Digest, Target]:
    """Return the targets that are there, by digest."""
    return {
        Digest(digest): read_target(body)
        for portion in portions(sorted(digests))
        for digest, body in connection.execute(_BODIES, {"tenant": tenant_id, "digests": portion})
    }


def present(connection: Connection, device_ids: Collection[DeviceId]) -> dict[Targeted, list[DeviceId]]:
    """Return those of these devices that may check in, by what they have in common."""
    rows = connection.execute(_DEVICES, {"ids": device_ids})
    return {
        Targeted(tenant_id, target, _STATES[state], *others): list(map(DeviceId, apart(ids)))
        for ids, tenant_id, target, state, *others in rows
    }
