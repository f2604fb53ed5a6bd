"""The devices of a policy with the state of each, filtered, ordered and cut in SQL, however many they are.

Devices that are alike (same target, same report, same system and catalog) are in one state, which the domain worked out
once for all of them. These few states are laid out as a table of the statement, and joined.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    Select,
    String,
    and_,
    cast,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.order_terms import OrderTerm
from shieldwall.server.storage.tables.digests import DIGEST, LENGTH, to_bytes
from shieldwall.server.storage.tables.schema import check_ins, devices, inventory

_NAME: Final = "standing"
_NO_REPORT: Final = Digest("0" * 64)
"""In place of the digest of a report where there is none."""
STATE: Final[ColumnElement[int]] = literal_column(f"{_NAME}.state", Integer())
"""The state of a row, as a number, in conditions and orders."""
DEVICE_ID: Final = inventory.c.device_id
FOLDED_NAME: Final = inventory.c.name_folded
"""The name of a device as texts are compared; there is an index in its order."""
OS_TYPE: Final = inventory.c.os_type
STATUS_AT: Final = check_ins.c.status_at


@dataclass(frozen=True, slots=True)
class Alike:
    """What devices have in common that are in one state with a policy."""

    target: Digest
    status: Digest | None
    os_type: str
    catalog_version: str


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device of a policy."""

    device_id: DeviceId
    display_name: str
    os_type: str
    state: int
    status_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsWanted:
    """Which devices, in which order, which part of them."""

    where: tuple[ColumnElement[bool], ...] = ()
    order: tuple[OrderTerm, ...] = ()
    skip: int = 0
    top: int = 1_000


def count(connection: Connection, tenant_id: TenantId, states: Mapping[Alike, int], wanted: RowsWanted) -> int:
    """Return how many devices fit."""
    query = _of_policy(connection, tenant_id, states, select(func.count()).select_from(inventory))
    found: int = connection.scalars(query.where(*wanted.where)).one()
    return found


def read(
    connection: Connection, tenant_id: TenantId, states: Mapping[Alike, int], wanted: RowsWanted
) -> tuple[DeviceRow, ...]:
    """Return the devices that fit; those alike in the order come by their names."""
    columns = (DEVICE_ID, devices.c.display_name, OS_TYPE, STATE.label("state"), STATUS_AT)
    query = _of_policy(connection, tenant_id, states, select(*columns).select_from(inventory))
    order = [term.expression.desc() if term.descending else term.expression.asc() for term in wanted.order]
    by_name = [] if order else [FOLDED_NAME]
    query = query.where(*wanted.where).order_by(*order, *by_name, DEVICE_ID).offset(wanted.skip).limit(wanted.top)
    return tuple(
        DeviceRow(DeviceId(row.device_id), row.display_name, row.os_type, row.state, row.status_at)
        for row in connection.execute(query)
    )


def _of_policy(
    connection: Connection, tenant_id: TenantId, states: Mapping[Alike, int], query: Select[Any]
) -> Select[Any]:
    laid = _laid_out(connection, states)
    alike = and_(
        laid.c.target == check_ins.c.target_digest,
        laid.c.status == func.coalesce(check_ins.c.status_digest, literal(_NO_REPORT, DIGEST)),
        laid.c.os_type == inventory.c.os_type,
        laid.c.catalog_version == devices.c.catalog_version,
    )
    return (
        query.join(check_ins, check_ins.c.device_id == inventory.c.device_id)
        .join(devices, devices.c.id == inventory.c.device_id)
        .join(laid, alike)
        .where(inventory.c.tenant_id == tenant_id, inventory.c.state == DeviceState.ACTIVE.value)
    )


def _laid_out(connection: Connection, states: Mapping[Alike, int]) -> CTE:
    """Lay the states out as rows, once a statement: without that, SQLite would read them anew for every device.

    SQLite makes no bytes of texts. So digests come as one value in which they follow each other, as the rows do.
    """
    rows = json.dumps([[each.os_type, each.catalog_version, state] for each, state in states.items()])
    told = [digest for each in states for digest in (each.target, each.status or _NO_REPORT)]
    digests = literal(b"".join(map(to_bytes, told)), LargeBinary())
    if connection.dialect.name == "sqlite":
        found = func.json_each(literal(rows, String())).table_valued("key", "value").alias("each")
        first: ColumnElement[int] = found.c.key
        texts: list[ColumnElement[Any]] = [func.json_extract(found.c.value, f"$[{place}]") for place in range(2)]
        number: ColumnElement[Any] = func.json_extract(found.c.value, "$[2]")
    else:
        listed = func.jsonb_array_elements(cast(literal(rows, String()), JSONB))
        found = listed.table_valued("value", with_ordinality="place").render_derived("each")
        first = cast(found.c.place, Integer) - 1
        texts = [found.c.value.op("->>")(literal_column(str(place))) for place in range(2)]
        number = cast(found.c.value.op("->>")(literal_column("2")), Integer)
    target, status = (
        func.substr(digests, (first * 2 + place) * LENGTH + 1, LENGTH, type_=DIGEST) for place in range(2)
    )
    columns = {"target": target, "status": status, "os_type": texts[0], "catalog_version": texts[1], "state": number}
    return select(*(each.label(name) for name, each in columns.items())).cte(_NAME).prefix_with("MATERIALIZED")
