"""Devices of a fleet that is there already, spoken for by a load generator: they get keys that it knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, bindparam, select, update
from tests.support.storm_fleet import StormDevice, StormRequest

from shieldwall.contract.messages import Have
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.device_schema import check_ins, devices, sightings
from shieldwall.trust.device_key import public_key_bytes

_PORTION: Final = 1_000


@dataclass
class KnownDevice(StormDevice):
    """A device that holds what the server holds of it, so that it has no news."""

    epoch: int = 1
    instance: str = ""
    boot: str = ""
    have: Have = field(default_factory=Have)

    def without_news(self, authority: str, now: float) -> StormRequest:
        """Sign its next check-in."""
        named: dict[str, Any] = {
            "instance_id": self.instance,
            "boot_id": self.boot,
            "epoch": self.epoch,
            "have": self.have,
        }
        return self.check_in(authority, now, **named)


def take_over(database: Database, many: int, seed: str) -> list[KnownDevice]:
    """Give keys to so many active devices that have checked in, spread over the whole fleet."""
    with database.read() as connection:
        rows = list(_chosen(connection, many))
    known = [_known(number, seed, row) for number, row in enumerate(rows)]
    statement = (
        update(devices)
        .where(devices.c.id == bindparam("device"))
        .values(key_thumbprint=bindparam("key"), public_key=bindparam("public"))
    )
    for start in range(0, len(known), _PORTION):
        keys = [
            {"device": row.id, "key": each.key.thumbprint, "public": public_key_bytes(each.key.public_key)}
            for row, each in zip(rows[start : start + _PORTION], known[start : start + _PORTION], strict=True)
        ]
        with database.write() as connection:
            connection.execute(statement, keys)
    return known


def _chosen(connection: Connection, many: int) -> Iterator[Any]:
    """Return devices evenly spread over all ids, which are drawn: neighbours in no table. Fewer where there are few.

    One statement for both steps would be a join that PostgreSQL may begin with the first of all devices, each time.
    """
    first: BindParameter[str] = bindparam("first")
    named = select(devices.c.id).where(devices.c.id >= first).order_by(devices.c.id).limit(1)
    of_one = (
        select(devices.c.id, devices.c.instance_id, sightings.c.boot_id, check_ins)
        .join(check_ins, check_ins.c.device_id == devices.c.id)
        .join(sightings, sightings.c.device_id == devices.c.id)
        .where(
            devices.c.id == bindparam("device"),
            devices.c.state == DeviceState.ACTIVE.value,
            check_ins.c.last_check_in.is_not(None),
            check_ins.c.target_digest.is_not(None),
        )
        .limit(1)
    )
    met = set()
    for number in range(many):
        device = connection.execute(named, {"first": f"{number * 2**32 // many:08x}"}).scalar()
        row = None if device in met else connection.execute(of_one, {"device": device}).one_or_none()
        if row is not None:
            met.add(row.id)
            yield row


def _known(number: int, seed: str, row: Any) -> KnownDevice:
    have = Have(target=row.target_digest, facts=row.facts_digest, status=row.status_digest)
    return KnownDevice(
        number=number, seed=seed, seq=row.seq, epoch=row.epoch, instance=row.instance_id, boot=row.boot_id, have=have
    )
