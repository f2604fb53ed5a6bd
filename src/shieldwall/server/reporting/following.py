"""Fleets in memory for the large tenants of a server: read when somebody asks, kept true by the fleet feed.

Whatever is here is as of one view of the database. Every question first reads what changed since, where that is little;
where it is much, what is there answers as long as it is a few seconds old, and says so. Otherwise there is no answer,
and the database is asked, as for small tenants. So nothing here is needed for anything to be right.

Views follow each other: they are opened one after the other, and never is one older than what was read before. That is
why nobody hands in a connection, and nobody should hold one while asking: there might be none left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.inventory.machines import INACTIVE_AFTER
from shieldwall.server.manager.figures import IN_TOUCH, Figures, Fleet
from shieldwall.server.reporting.held import Contact, HeldFleet
from shieldwall.server.reporting.kinds import TooVariedError
from shieldwall.server.reporting.quick_figures import figures_of
from shieldwall.server.storage import fleet_counts, fleet_feed, fleet_images, tenants
from shieldwall.server.storage.database import Database, StorageUnavailableError
from shieldwall.server.storage.fleet_feed import FleetChange, Place, What

FROM_DEVICES: Final = 1_000
"""Tenants with more devices are held; others are counted in the database in milliseconds."""
MOST_DEVICES: Final = 4_000_000
"""Devices of all tenants together that are held; beyond, the tenant that nobody asked about longest is let go."""
OLDEST_SECONDS: Final = 10.0
"""How old an answer may be that is given although changes wait."""
CONTACT_SECONDS: Final = 15.0
_AT_ONCE: Final = 2_000
_MOST_AT_ONCE: Final = 20_000
"""Changes that are read while somebody waits."""
_AGAIN_SECONDS: Final = 3_600.0
_KEEP_SECONDS: Final = 60.0
_WAITED_SECONDS: Final = 0.1
_UNASKED_SECONDS: Final = 120.0
_REGROUPED: Final = What.TAGS | What.AIMS
"""What may come with another group under a scope tag."""
_MARKED: Final = What.DEVICE | What.TARGET | What.STATUS


@dataclass(slots=True, kw_only=True)
class _Followed:
    """A fleet that is held, and how far the feed was read for it."""

    fleet: HeldFleet
    place: Place
    fresh_at: float = float("-inf")
    """When it was as the database last, by a steady clock."""
    contact_at: float = float("-inf")
    asked_at: float = field(default=float("-inf"))


class FleetReports:
    """The fleets that are held. Safe to ask from several threads."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        clock: Clock,
        *,
        name: str = "reports",
        new_mark: Callable[[], str] = lambda: "",
        monotonic: Callable[[], float] = time.monotonic,
        from_devices: int = FROM_DEVICES,
        most_devices: int = MOST_DEVICES,
    ) -> None:
        self._database: Final = database
        self._catalog: Final = catalog
        self._clock: Final = clock
        self._name: Final = name[:64]
        self._new_mark: Final = new_mark
        self._monotonic: Final = monotonic
        self._from: Final = from_devices
        self._most: Final = most_devices
        self._held: dict[TenantId, _Followed] = {}
        self._wanted: dict[TenantId, None] = {}
        self._refused: dict[TenantId, float] = {}
        self._turn = threading.Lock()
        self._mark: str | None = None
        self._kept_at = float("-inf")

    def current(self, tenant_id: TenantId) -> HeldFleet | None:
        """Return the fleet of a tenant as it is now, or was some seconds ago; ``None``: ask the database.

        Nobody should hold a connection meanwhile.
        """
        followed = self._held.get(tenant_id)
        if followed is None:
            self._wanted.setdefault(tenant_id)
            return None
        followed.asked_at = self._monotonic()
        if self._turn.acquire(timeout=_WAITED_SECONDS):
            try:
                self._try(tenant_id, lambda _: self._catch_up(followed, _MOST_AT_ONCE))
            finally:
                self._turn.release()
        if self._held.get(tenant_id) is not followed:
            return None
        is_fresh = self._monotonic() - followed.fresh_at <= OLDEST_SECONDS
        return followed.fleet if is_fresh and followed.fleet.is_explained else None

    def figures(self, fleet: Fleet) -> Figures | None:
        """Return the figures of a fleet; ``None``: count it in the database."""
        held = self.current(fleet.tenant_id)
        if held is None:
            return None
        with self._database.read() as connection:
            return figures_of(connection, held, fleet.eyes)

    def follow(self) -> None:
        """Read what was asked for and is not held, and what changed. Call it again and again, from one thread."""
        for tenant_id in list(self._wanted):
            self._wanted.pop(tenant_id, None)
            if self._may_hold(tenant_id):
                self._try(tenant_id, self._load)
        for tenant_id, followed in list(self._held.items()):
            with self._turn:
                self._try(tenant_id, lambda _, each=followed: self._follow(each))  # type: ignore[misc]  # mypy does not infer lambdas with defaults
        self._keep_place()

    def close(self) -> None:
        """Let go of everything."""
        self._held.clear()
        if self._mark is not None:
            self._mark = None
            with suppress(StorageUnavailableError), self._database.write() as connection:
                fleet_feed.forget_reader(connection, self._name)

    @property
    def size(self) -> int:
        """Bytes of memory that fleets take, roughly."""
        return sum(each.fleet.image.size + each.fleet.tallies.size for each in list(self._held.values()))

    @property
    def devices(self) -> int:
        """How many devices are held."""
        return sum(len(each.fleet.image) for each in list(self._held.values()))

    def _may_hold(self, tenant_id: TenantId) -> bool:
        if self._monotonic() < self._refused.get(tenant_id, float("-inf")) or tenant_id in self._held:
            return False
        with self._database.read() as connection:
            return not fleet_counts.is_small(connection, tenant_id, self._from)

    def read_now(self, tenant_id: TenantId) -> HeldFleet:
        """Return a fleet of any size as it is now, also where none is held: one that is read for this, and let go.

        Raises:
            TooVariedError: It is too large or too different.
        """
        held = self.current(tenant_id)
        if held is not None and held.contact is not None:
            return held
        return self._read(tenant_id).fleet

    def _load(self, tenant_id: TenantId) -> None:
        begun = self._monotonic()
        self._keep_first_place(tenant_id)
        followed = self._read(tenant_id)
        fleet = followed.fleet
        self._make_room(len(fleet.image))
        self._held[tenant_id] = followed
        structlog.get_logger().info(
            "fleet_held",
            tenant=tenant_id,
            devices=len(fleet.image),
            kinds=len(fleet.image.stood_kinds),
            bytes=fleet.image.size + fleet.tallies.size,
            seconds=round(self._monotonic() - begun, 2),
        )

    def _read(self, tenant_id: TenantId) -> _Followed:
        fleet = HeldFleet(tenant_id=tenant_id, catalog=self._catalog)
        with self._database.read() as connection:
            place = fleet_feed.end(connection)
        for rows in fleet_images.all_devices(self._database, tenant_id):
            fleet.image.load(rows)
            if len(fleet.image) > self._most:
                raise TooVariedError(f"The tenant has more than {self._most} devices.")
        for group in fleet_images.groups_with_members(self._database, tenant_id):
            for members in fleet_images.members(self._database, group):
                fleet.image.add_members(group, members)
        with self._database.read() as connection:
            for tag, tagged in fleet_images.tagged(connection, tenant_id).items():
                fleet.image.add_tagged(tag, tagged)
            fleet.groups_by_tag = fleet_images.groups_by_tag(connection, tenant_id)
        followed = _Followed(fleet=fleet, place=place, asked_at=self._monotonic())
        self._follow(followed)  # nobody else knows it yet
        return followed

    def _follow(self, followed: _Followed) -> None:
        """Bring a fleet to what it is now, however much changed."""
        while not self._catch_up(followed, _MOST_AT_ONCE):
            pass
        followed.fleet.compact()
        now = self._monotonic()
        if now - followed.contact_at >= CONTACT_SECONDS and now - followed.asked_at <= _UNASKED_SECONDS:
            self._read_contact(followed)

    def _catch_up(self, followed: _Followed, most: int) -> bool:
        """Take in what changed, at most so much; say whether that was all."""
        fleet = followed.fleet
        with self._database.read() as connection:
            moment, steady = self._clock.now(), self._monotonic()
            taken = 0
            while taken < most:
                portion = fleet_feed.read(connection, followed.place, _AT_ONCE)
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

    def _read_contact(self, followed: _Followed) -> None:
        fleet, now = followed.fleet, self._clock.now()
        with self._database.read() as connection:
            inactive = fleet_images.inactive(connection, fleet.tenant_id, now - INACTIVE_AFTER)
            in_touch = fleet_images.in_touch(connection, fleet.tenant_id, now - IN_TOUCH, now)
        with fleet.lock:
            fleet.contact = Contact(
                as_of=now, inactive=fleet.image.bitmap_of(inactive), in_touch=fleet.image.bitmap_of(in_touch)
            )
        followed.contact_at = self._monotonic()

    def _make_room(self, devices: int) -> None:
        while self._held and self.devices + devices > self._most:
            longest = min(self._held, key=lambda each: self._held[each].asked_at)
            del self._held[longest]

    def _try(self, tenant_id: TenantId, what: Callable[[TenantId], object]) -> None:
        """Do something for one tenant; what fails is written down, and the tenant is left to the database."""
        try:
            what(tenant_id)
        except TooVariedError as error:
            self._held.pop(tenant_id, None)
            self._refused[tenant_id] = self._monotonic() + _AGAIN_SECONDS
            structlog.get_logger().info("fleet_not_held", tenant=tenant_id, cause=error.cause)
        except Exception:  # noqa: BLE001 - nobody is there to catch it, and the database answers
            self._held.pop(tenant_id, None)
            structlog.get_logger().exception("fleet_not_followed", tenant=tenant_id)

    def _keep_first_place(self, tenant_id: TenantId) -> None:
        """Have the feed keep what comes from now on."""
        if self._mark is None:
            with self._database.write() as connection:
                self._keep(connection, tenant_id, fleet_feed.end(connection))

    def _keep_place(self) -> None:
        """Tell the feed how far all fleets were read, now and then; begin anew where it forgot us."""
        if self._mark is None or self._monotonic() - self._kept_at < _KEEP_SECONDS:
            return
        with self._database.write() as connection:
            if fleet_feed.place_of(connection, self._name, self._mark) is None:
                self._held.clear()
                self._mark = None
                return
            places = [each.place for each in self._held.values()]
            lowest = min(places, key=lambda place: (place.xid, place.number), default=fleet_feed.end(connection))
            self._keep(connection, None, lowest)

    def _keep(self, connection: Connection, tenant_id: TenantId | None, place: Place) -> None:
        mark = self._new_mark()
        home = tenant_id or next(iter(self._held), None) or tenants.list_tenants(connection)[0].id
        fleet_feed.keep_place(connection, home, self._name, place, mark=mark, now=self._clock.now())
        self._mark, self._kept_at = mark, self._monotonic()
