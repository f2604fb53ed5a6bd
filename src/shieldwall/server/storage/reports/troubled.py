"""Devices in trouble, found by what they have in common: a target, and a report that tells of errors about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from sqlalchemy import ColumnElement, Connection, select

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.tables.schema import check_ins, devices

_MOST_PAIRS: Final = 20
"""Pairs that are looked for: enough of them for a short list, each by an index."""


@dataclass(frozen=True, slots=True)
class Troubled:
    """One device in a short list."""

    device_id: DeviceId
    display_name: str
    last_check_in: datetime | None


def some_of(
    connection: Connection,
    tenant_id: TenantId,
    pairs: Iterable[tuple[Digest, Digest]],
    most: int,
    only: tuple[ColumnElement[bool], ...] = (),
) -> tuple[Troubled, ...]:
    """Return active devices with one of these targets and its report, at most so many; ordered by name.

    ``only`` are conditions on their check-ins.
    """
    found: list[Troubled] = []
    for target, status in islice(pairs, _MOST_PAIRS):
        query = (
            select(check_ins.c.device_id, devices.c.display_name, check_ins.c.last_check_in)
            .join(devices, devices.c.id == check_ins.c.device_id)
            .where(
                check_ins.c.tenant_id == tenant_id,
                check_ins.c.target_digest == target,
                check_ins.c.status_digest == status,
                devices.c.state == DeviceState.ACTIVE.value,
                *only,
            )
            .limit(most)
        )
        found += [Troubled(*row) for row in connection.execute(query)]
    return tuple(sorted(found, key=lambda each: (each.display_name, each.device_id))[:most])
