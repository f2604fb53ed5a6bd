"""Codes of programs without a browser, by their digests; people find them by the short code they were shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from shieldwall.contract.ids import Digest, TenantId
from shieldwall.server.storage.grant_records import DeviceCode, DeviceCodeState
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.identity_schema import device_codes


def add(connection: Connection, code: DeviceCode) -> None:
    """Keep a code."""
    connection.execute(insert(device_codes).values(columns_of(code, scopes=to_text(code.scopes))))


def find(connection: Connection, tenant_id: TenantId, digest: Digest) -> DeviceCode | None:
    """Return the code that a program asks with, or ``None``."""
    return _one(connection, tenant_id, device_codes.c.digest == digest)


def find_by_user_code(connection: Connection, tenant_id: TenantId, user_code: str) -> DeviceCode | None:
    """Return the code that a person was shown, or ``None``."""
    return _one(connection, tenant_id, device_codes.c.user_code == user_code)


def asked(connection: Connection, tenant_id: TenantId, digest: Digest, now: datetime) -> None:
    """Note that the program asked."""
    connection.execute(update(device_codes).where(*_named(tenant_id, digest)).values(asked_at=now))


def move(  # what changes is written out, so that nothing else can
    connection: Connection,
    code: DeviceCode,
    to: DeviceCodeState,
    *,
    person_id: str | None = None,
    proved_at: datetime | None = None,
    method: str = "",
) -> bool:
    """Take a code a step on, where it is still in the state it was read in; tell whether it was."""
    still = (*_named(code.tenant_id, code.digest), device_codes.c.state == code.state.value)
    changed = {"state": to.value, "person_id": person_id, "proved_at": proved_at, "method": method}
    return connection.execute(update(device_codes).where(*still).values(changed)).rowcount == 1


def _named(tenant_id: TenantId, digest: Digest) -> tuple[ColumnElement[bool], ...]:
    return (device_codes.c.tenant_id == tenant_id, device_codes.c.digest == digest)


def _one(connection: Connection, tenant_id: TenantId, named: ColumnElement[bool]) -> DeviceCode | None:
    row = connection.execute(select(device_codes).where(device_codes.c.tenant_id == tenant_id, named)).one_or_none()
    return None if row is None else _code(row)


def _code(row: Row[Any]) -> DeviceCode:
    columns = row._asdict()
    parsed = {"scopes": strings_from(columns["scopes"]), "state": DeviceCodeState(columns["state"])}
    return DeviceCode(**columns | parsed)
