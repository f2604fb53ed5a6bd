"""Existing registrations: identities that the directory has before any device of ours uses them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.server.storage.device_records import TrustType
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.bulk import is_one_of
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.device_schema import registrations
from shieldwall.server.storage.tables.schema import devices


class RegistrationSource(StrEnum):
    """How the directory came by a registration."""

    IMPORTED = "imported"
    """From another directory, with the certificate it had there."""
    JOINED = "joined"
    """By a full join of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingRegistration:
    """An identity that a device may claim by the key of its certificate.

    ``public_key`` is the SubjectPublicKeyInfo and ``key_digest`` its SHA-256; ``manager`` names the MDM it belongs to.
    """

    device_id: DeviceId
    object_id: str
    tenant_id: TenantId
    display_name: str
    trust_type: TrustType
    os_type: str
    os_version: str
    is_enabled: bool
    manager: str | None
    public_key: bytes
    key_digest: Digest
    certificate: str
    expires_at: datetime
    source: RegistrationSource
    created_at: datetime


def find(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> ExistingRegistration | None:
    """Return a registration of this tenant, or ``None``."""
    return _one(connection, registrations.c.device_id == device_id, tenant_id)


def find_by_object_id(connection: Connection, tenant_id: TenantId, object_id: str) -> ExistingRegistration | None:
    """Return the registration whose directory object has this id, or ``None``."""
    return _one(connection, registrations.c.object_id == object_id, tenant_id)


def find_unused_objects(
    connection: Connection, tenant_id: TenantId, object_ids: Collection[str]
) -> tuple[ExistingRegistration, ...]:
    """Return those of a tenant's registrations of these directory objects that no device has used yet."""
    query = select(registrations).where(
        registrations.c.tenant_id == tenant_id,
        is_one_of(connection, registrations.c.object_id, object_ids),
        ~exists().where(devices.c.id == registrations.c.device_id),
    )
    return tuple(map(_registration, connection.execute(query)))


def find_by_key(connection: Connection, tenant_id: TenantId, key_digest: Digest) -> ExistingRegistration | None:
    """Return the registration that is known by this key, or ``None``."""
    return _one(connection, registrations.c.key_digest == key_digest, tenant_id)


def list_unused(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[ExistingRegistration, ...]:
    """Return one page of the registrations that no device has used yet, ordered by device id unless told otherwise."""
    query = select(registrations).where(
        registrations.c.tenant_id == tenant_id,
        ~exists().where(devices.c.id == registrations.c.device_id),
    )
    return tuple(map(_registration, paging.rows(connection, query, page, registrations.c.device_id)))


def list_all(
    connection: Connection, tenant_id: TenantId, page: Page
) -> tuple[tuple[ExistingRegistration, DeviceId | None], ...]:
    """Return one page of the registrations, ordered by device id, each with the device that uses it."""
    query = (
        select(registrations, devices.c.id.label("used_by"))
        .outerjoin(devices, devices.c.id == registrations.c.device_id)
        .where(registrations.c.tenant_id == tenant_id)
        .order_by(registrations.c.device_id)
        .limit(page.size)
    )
    if page.after is not None:
        query = query.where(registrations.c.device_id > page.after)
    return tuple(
        (_read({name: value for name, value in row.items() if name != "used_by"}), row["used_by"])
        for row in connection.execute(query).mappings()
    )


def add(connection: Connection, registration: ExistingRegistration) -> None:
    """Add a registration. Raises: AlreadyExistsError."""
    try:
        connection.execute(insert(registrations).values(_columns(registration)))
    except IntegrityError as error:
        raise AlreadyExistsError(
            f"A registration with the id or the key of {registration.device_id} is there already."
        ) from error


def put(connection: Connection, registration: ExistingRegistration) -> None:
    """Replace a registration. Raises: NotFoundError."""
    result = connection.execute(
        update(registrations).where(registrations.c.device_id == registration.device_id).values(_columns(registration))
    )
    if result.rowcount == 0:
        raise NotFoundError(f"There is no registration {registration.device_id}.")


def remove(connection: Connection, device_ids: Iterable[DeviceId]) -> None:
    """Remove registrations; those that are not there are no loss."""
    connection.execute(delete(registrations).where(registrations.c.device_id.in_(list(device_ids))))


def _one(connection: Connection, condition: Any, tenant_id: TenantId) -> ExistingRegistration | None:
    row = connection.execute(
        select(registrations).where(condition, registrations.c.tenant_id == tenant_id)
    ).one_or_none()
    return None if row is None else _registration(row)


def _columns(registration: ExistingRegistration) -> dict[str, Any]:
    return columns_of(registration, trust_type=registration.trust_type.value, source=registration.source.value)


def _registration(row: Row[Any]) -> ExistingRegistration:
    return _read(row._asdict())


def _read(columns: Mapping[str, Any]) -> ExistingRegistration:
    parsed = {"trust_type": TrustType(columns["trust_type"]), "source": RegistrationSource(columns["source"])}
    return ExistingRegistration(**(dict(columns) | parsed))
