"""Reading fleets from the database: all of one at once, and then again and again what changed of it.

Views of one fleet follow each other: they are opened one after the other, and never is one older than what was read
before. Whoever calls has to see to that: one caller at a time for each fleet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.inventory.machines import INACTIVE_AFTER
from shieldwall.server.manager.figures import IN_TOUCH
from shieldwall.server.reporting.held import Contact, HeldFleet
from shieldwall.server.reporting.kinds import TooVariedError
from shieldwall.server.reporting.places import NumberedPlaces
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.fleets import fleet_feed, fleet_images
from shieldwall.server.storage.fleets.fleet_feed import FleetChange, Place, What

CONTACT_SECONDS: Final = 15.0
MOST_AT_ONCE: Final = 20_000
"""Changes that are read while somebody waits."""
_AT_ONCE: Final = 2_000
_UNASKED_SECONDS: Final = 120.0
_REGROUPED: Final = What.TAGS | What.AIMS
"""What may come with another group under a scope tag."""
_MARKED: Final = What.DEVICE | What.TARGET | What.STATUS


@dataclass(slots=True, kw_only=True)
class Followed:
    """A fleet that is held, and how far the feed was read for it."""

    fleet: HeldFleet
    place: Place
    fresh_at: float = float("-inf")
    """When it was as the database last, by a steady clock."""
    contact_at: float = float("-inf")
    mark: str = ""
    """Under which the database knows how far the feed was read; empty where it does not."""
    kept_at: float = float("-inf")
    asked_at: float = field(default=float("-inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetReader:
    """Reads fleets of at most so many devices."""

    database: Database
    catalog: Catalog
    clock: Clock
    monotonic: Callable[[], float]
    most_devices: int

    def read(self, tenant_id: TenantId) -> Followed:
        """Read a fleet, and bring it to what it is now. Raises: TooVariedError: It is too large, or too different."""
        fleet = HeldFleet(tenant_id=tenant_id, catalog=self.catalog)
        with self.database.read() as connection:
            place = fleet_feed.end(connection)
        loaded = NumberedPlaces()
        for rows, numbers in fleet_images.all_devices(self.database, tenant_id):
            fleet.image.load(rows)
            loaded.append(numbers)
            if len(fleet.image) > self.most_devices:
                raise TooVariedError(f"The tenant has more than {self.most_devices} devices.")
        for group in fleet_images.groups_with_members(self.database, tenant_id):
            for members in fleet_images.members(self.database, group):
                fleet.image.add_members(group, loaded.find(members))
        with self.database.read() as connection:
            for tag, tagged in fleet_images.tagged(connection, tenant_id).items():
                fleet.image.add_tagged(tag, tagged)
            fleet.groups_by_tag = fleet_images.groups_by_tag(connection, tenant_id)
        followed = Followed(fleet=fleet, place=place, asked_at=self.monotonic())
        self.follow(followed)
        self.look_who_is_in_touch(followed)
        return followed

    def follow(self, followed: Followed) -> None:
        """Bring a fleet to what it is now, however much changed."""
        while not self.catch_up(followed, MOST_AT_ONCE):
            pass
        followed.fleet.compact()

    def look_who_is_in_touch(self, followed: Followed) -> None:
        """Read that again where it is time to. It takes long, and others may read what changed meanwhile."""
        now = self.monotonic()
        if now - followed.contact_at >= CONTACT_SECONDS and now - followed.asked_at <= _UNASKED_SECONDS:
            self._read_contact(followed)

    def catch_up(self, followed: Followed, most: int) -> bool:
        """Take in what changed, at most so much; say whether that was all."""
        with self.database.read() as connection:
            return self._catch_up(connection, followed, most)

    @contextmanager
    def caught_up(self, followed: Followed, most: int) -> Iterator[Connection]:
        """Take in what changed, at most so much; give the read transaction that showed it."""
        with self.database.read() as connection:
            self._catch_up(connection, followed, most)
            yield connection

    def _catch_up(self, connection: Connection, followed: Followed, most: int) -> bool:
        fleet, moment, steady = followed.fleet, self.clock.now(), self.monotonic()
        taken = 0
        while taken < most:
            portion = fleet_feed.read(connection, followed.place, _AT_ONCE)
            if portion.changes:
                self._take(connection, fleet, portion.changes)
            followed.place = portion.place
            taken += len(portion.changes)
            if portion.is_all:
                fleet.explain(connection)
                fleet.as_of = moment
                followed.fresh_at = steady
                return True
        return False

    def _take(self, connection: Connection, fleet: HeldFleet, changes: tuple[FleetChange, ...]) -> None:
        changed: dict[DeviceId, What] = {}
        for change in changes:
            if change.tenant_id == fleet.tenant_id and change.device_id:
                changed[change.device_id] = changed.get(change.device_id, What(0)) | change.what
        read = [device for device, what in changed.items() if what & _MARKED]
        moved = [device for device, what in changed.items() if what & (What.GROUPS | What.DEVICE)]
        rows = fleet_images.some_devices(connection, fleet.tenant_id, read)
        groups = fleet_images.memberships(connection, fleet.tenant_id, moved)
        tagged = [device for device, what in changed.items() if what & (What.TAGS | What.DEVICE)]
        tags = fleet_images.tags_of(connection, fleet.tenant_id, tagged)
        with fleet.lock:
            for device in read:
                row = rows.get(device)
                if row is None:
                    fleet.image.remove(device)
                else:
                    fleet.image.put(row)
            if groups:
                fleet.image.set_groups(groups)
            if tags:
                fleet.image.set_tags(tags)
            if any(change.tenant_id == fleet.tenant_id and change.what & _REGROUPED for change in changes):
                fleet.groups_by_tag = fleet_images.groups_by_tag(connection, fleet.tenant_id)

    def _read_contact(self, followed: Followed) -> None:
        fleet, now = followed.fleet, self.clock.now()
        with self.database.read() as connection:
            inactive = fleet_images.inactive(connection, fleet.tenant_id, now - INACTIVE_AFTER)
            in_touch = fleet_images.in_touch(connection, fleet.tenant_id, now - IN_TOUCH, now)
        with fleet.lock:
            fleet.contact = Contact(
                as_of=now, inactive=fleet.image.bitmap_of(inactive), in_touch=fleet.image.bitmap_of(in_touch)
            )
        followed.contact_at = self.monotonic()
