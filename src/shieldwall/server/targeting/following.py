"""The index follows the database: it reads everything once, and then what the fleet feed says has changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.fleets import fleet_feed
from shieldwall.server.storage.fleets.fleet_feed import FleetChange, Place, What
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tenants import tenants
from shieldwall.server.targeting import reading
from shieldwall.server.targeting.board import Buffer
from shieldwall.server.targeting.fleet import Fleet
from shieldwall.server.targeting.hashes import Hasher
from shieldwall.server.targeting.index import FleetIndex
from shieldwall.server.targeting.rule_questions import answered

MOST_AT_ONCE: Final = 5_000
_LOOKED_AT: Final = What.DEVICE | What.GROUPS


def _no_allocator(_tenant_id: TenantId) -> Callable[[int], Buffer]:
    return bytearray


@dataclass(slots=True)
class Followed:
    """What is known of the following, to be told."""

    devices: int = 0
    seconds_to_begin: float = 0.0
    changes: int = 0
    is_current: bool = False
    current_at: float = field(default_factory=time.monotonic)
    """When all that was committed had been read, by ``time.monotonic``."""


class Following:
    """All tenants of a server."""

    def __init__(
        self,
        database: Database,
        hasher: Hasher,
        allocator: Callable[[TenantId], Callable[[int], Buffer]] = _no_allocator,
    ) -> None:
        self._database: Final = database
        self._hasher: Final = hasher
        self._allocator: Final = allocator
        self.indexes: dict[TenantId, FleetIndex] = {}
        self.followed: Final = Followed()
        self.place = Place(0, 0)
        self._turn: Final = Lock()

    def begin(self, place: Place) -> None:
        """Read everything; the feed is read from ``place`` on, which was its end before.

        Each portion is a view of the database by itself, so that no long transaction keeps it from tidying up. What
        changes meanwhile is in the feed.
        """
        began = time.monotonic()
        self.place = place
        with self._database.read() as connection:
            known = [tenant.id for tenant in tenants.list_tenants(connection)]
        for tenant_id in known:
            self._read(self._database.read, tenant_id)
        self.followed.seconds_to_begin = time.monotonic() - began

    def go_on(self, place: Place, fleets: Iterable[tuple[TenantId, Fleet]]) -> None:
        """Begin with devices as they were at a place in the feed; ``step`` brings them to what they are now."""
        began = time.monotonic()
        self.place = place
        for tenant_id, fleet in fleets:
            index = FleetIndex(self._hasher, fleet)
            index.begin()
            with self._database.read() as connection:
                _define(connection, tenant_id, index)
            self.indexes[tenant_id] = index
        with self._database.read() as connection:
            new = {tenant.id for tenant in tenants.list_tenants(connection)} - self.indexes.keys()
        for tenant_id in sorted(new):
            self._read(self._database.read, tenant_id)
        self.followed.seconds_to_begin = time.monotonic() - began

    @property
    def fleets(self) -> dict[TenantId, Fleet]:
        """The devices of all tenants."""
        return {tenant_id: index.fleet for tenant_id, index in self.indexes.items()}

    def step(self) -> bool:
        """Take in what changed, at most so much at once; say whether that was all."""
        with self._database.read() as connection, self._turn:
            return self.step_on(connection)

    def step_on(self, connection: Connection) -> bool:
        """Take in what changed and this connection sees; it should have one view of the database."""
        portion = fleet_feed.read(connection, self.place, MOST_AT_ONCE)
        concerned: dict[TenantId, list[FleetChange]] = {}
        for change in portion.changes:
            concerned.setdefault(change.tenant_id, []).append(change)
        for tenant_id, changes in concerned.items():
            index = self.indexes.get(tenant_id)
            if index is None:
                self._read(lambda: nullcontext(connection), tenant_id)
            else:
                _take_in(connection, tenant_id, index, changes)
        self.place = portion.place
        self.followed.changes += len(portion.changes)
        self.followed.devices = sum(len(index.fleet) for index in self.indexes.values())
        self.followed.is_current = portion.is_all
        if portion.is_all:
            self.followed.current_at = time.monotonic()
        return portion.is_all

    def answered(self, asked: bytes) -> bytes:
        """Answer a question about a rule, between two steps; any thread may ask."""
        with self._turn:
            return answered(self.indexes, asked)

    def _read(self, view: Callable[[], AbstractContextManager[Connection]], tenant_id: TenantId) -> None:
        if (former := self.indexes.pop(tenant_id, None)) is not None:
            former.fleet.board.replace()
        index = FleetIndex(self._hasher, Fleet(self._allocator(tenant_id)))
        place: str | None = ""
        while place is not None:
            with view() as connection:
                devices, place = reading.devices_after(connection, tenant_id, place)
            if devices.ids:
                index.put(devices)
        with view() as connection:
            _define(connection, tenant_id, index)
        self.indexes[tenant_id] = index
        self.followed.devices = sum(len(each.fleet) for each in self.indexes.values())


def _take_in(connection: Connection, tenant_id: TenantId, index: FleetIndex, changes: Collection[FleetChange]) -> None:
    """Bring an index to what this connection sees, as far as these changes say that it may be otherwise."""
    if any(change.what & What.AIMS for change in changes):
        _define(connection, tenant_id, index)
    others = {change.device_id for change in changes if change.what & What.DEVICE}
    moved = {change.device_id for change in changes if change.what & What.GROUPS} - others
    undecided = index.undecided
    others |= _recorded_otherwise(connection, index, moved) if undecided else set()
    for portion in portions(sorted(others), MOST_AT_ONCE):
        devices = reading.these_devices(connection, tenant_id, portion, undecided)
        index.remove(set(portion) - set(devices.ids))
        if devices.ids:
            index.put(devices)


def _define(connection: Connection, tenant_id: TenantId, index: FleetIndex) -> None:
    wanted = reading.definitions_of(connection, tenant_id)
    index.define(wanted, reading.members_of(connection, index.newly_recorded(wanted)))


def _recorded_otherwise(connection: Connection, index: FleetIndex, moved: Collection[DeviceId]) -> set[DeviceId]:
    """Return those of these devices that are in other groups than before, of those that no rule decides."""
    undecided = index.undecided
    belongs = group_members.memberships(connection, sorted(moved))
    return {device_id for device_id in moved if index.recorded_of(device_id) != belongs[device_id] & undecided}
