"""Sightings: where the identity of a device was seen, the newest few of each device.

A row is written when a device speaks from another place than the time before, when it asks to count anew, and when an
administrator ends its quarantine. ``manager.clones`` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.server.storage.statements.rows import columns_of, whole
from shieldwall.server.storage.tables.device_schema import sightings

MOST_KEPT: Final = 64
"""A machine that never stands still (a boot a minute) keeps no more than this."""
_APART: Final = timedelta(milliseconds=1)


class SightingKind(StrEnum):
    """What the device did when it was seen."""

    CHECK_IN = "checkIn"
    RESYNC = "resync"
    RELEASED = "released"
    """It did nothing: an administrator ended its quarantine, and what was seen before counts no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One device was seen at one place: an installation (``instance_id``) in one of its boots."""

    tenant_id: TenantId
    device_id: DeviceId
    at: datetime
    kind: SightingKind
    instance_id: str
    boot_id: str
    request_digest: Digest
    epoch: int


def place(instance_id: str, boot_id: str) -> str:
    """Name a place, as ``check_ins.Known.seen`` does."""
    return f"{instance_id} {boot_id}"


def of_device(connection: Connection, device_id: DeviceId) -> tuple[Sighting, ...]:
    """Return what is kept of a device, oldest first."""
    query = select(*whole(sightings)).where(sightings.c.device_id == device_id).order_by(sightings.c.at)
    return tuple(map(_sighting, connection.execute(query)))


def add(connection: Connection, sighting: Sighting, before: tuple[Sighting, ...]) -> None:
    """Add a sighting to those that ``of_device`` told, and let go of the oldest.

    Their moments never repeat, so that they tell the order also where a clock stands still.
    """
    at = sighting.at if not before else max(sighting.at, before[-1].at + _APART)
    connection.execute(insert(sightings).values(columns_of(sighting, at=at, kind=sighting.kind.value)))
    surplus = before[: max(0, len(before) + 1 - MOST_KEPT)]
    if surplus:
        mine = sightings.c.device_id == sighting.device_id
        connection.execute(delete(sightings).where(mine, sightings.c.at <= surplus[-1].at))


def _sighting(row: Row[Any]) -> Sighting:
    columns = row._asdict()
    return Sighting(**(columns | {"kind": SightingKind(columns["kind"])}))
