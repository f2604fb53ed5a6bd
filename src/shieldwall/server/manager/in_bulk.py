"""Doing the same to many devices: one transaction each, so that nobody waits and one that refuses stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.inventory import machines
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.storage.inventory import inventory
from shieldwall.server.storage.inventory.inventory_queries import Cut, Filter, Order

_PORTION: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A device with which it could not be done, and why."""

    device_id: DeviceId
    cause: str
    remedy: str


def each(
    database: Database, devices: Iterable[DeviceId], act: Callable[[Connection, DeviceId], object]
) -> Iterator[Refused | None]:
    """Do something to one device after the other, and yield after each what it came to: nothing where it went well.

    Raises:
        StorageUnavailableError: The database does not answer; what was done is done.
    """
    for device_id in devices:
        try:
            with database.write() as connection:
                act(connection, device_id)
        except StorageUnavailableError:
            raise
        except ShieldwallError as error:
            yield Refused(device_id=device_id, cause=error.cause, remedy=error.advice)
        else:
            yield None


def fitting(database: Database, tenant_id: TenantId, asked: Filter) -> Iterator[DeviceId]:
    """Yield the devices that fit, in the order of their names, read in portions while others are changed.

    A device that fits no longer when its turn comes is left out, and one is never there twice.
    """
    after = None
    while True:
        with database.read() as connection:
            found = inventory.portion(connection, tenant_id, asked, Cut(order=Order(), after=after, size=_PORTION))
        yield from (row.device_id for row in found)
        if len(found) < _PORTION:
            return
        after = found[-1].position


def count(database: Database, tenant_id: TenantId, asked: Filter) -> int:
    """Return how many devices fit, all of them counted."""
    with database.read() as connection:
        return machines.count_machines(connection, tenant_id, asked)
