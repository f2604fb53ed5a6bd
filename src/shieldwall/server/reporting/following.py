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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import TenantId
from shieldwall.server.manager.figures import Figures, Fleet
from shieldwall.server.reporting import snapshots
from shieldwall.server.reporting.held import HeldFleet
from shieldwall.server.reporting.kinds import TooVariedError
from shieldwall.server.reporting.quick_figures import figures_of
from shieldwall.server.reporting.reading import MOST_AT_ONCE, FleetReader, Followed
from shieldwall.server.reporting.snapshots import Snapshot
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.storage.fleets import fleet_feed, fleet_images
from shieldwall.server.storage.fleets.fleet_feed import Place
from shieldwall.server.storage.tenants import tenant_sizes

FROM_DEVICES: Final = 1_000
"""Tenants with more devices are held; others are counted in the database in milliseconds."""
MOST_DEVICES: Final = 4_000_000
"""Devices of all tenants together that are held; beyond, the tenant that nobody asked about longest is let go."""
OLDEST_SECONDS: Final = 10.0
"""How old an answer may be that is given although changes wait."""
KEEP_SECONDS: Final = 300.0
"""How often the feed is told how far it was read, and a fleet goes to its file."""
_LONGEST: Final = 27
"""Of the name of a reader, which has an id behind it."""
_AGAIN_SECONDS: Final = 3_600.0
_WAITED_SECONDS: Final = 0.1


class FleetReports:
    """The fleets that are held. Safe to ask from several threads."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        clock: Clock,
        *,
        name: str = "reports",
        home: Path | None = None,
        new_mark: Callable[[], str] = lambda: "",
        monotonic: Callable[[], float] = time.monotonic,
        from_devices: int = FROM_DEVICES,
        most_devices: int = MOST_DEVICES,
    ) -> None:
        self._database: Final = database
        self._catalog: Final = catalog
        self._clock: Final = clock
        self._name: Final = name if len(name) <= _LONGEST else sha256(name.encode()).hexdigest()[:_LONGEST]
        self._home: Final = home
        self._new_mark: Final = new_mark
        self._monotonic: Final = monotonic
        self._from: Final = from_devices
        self._most: Final = most_devices
        self._reading: Final = FleetReader(
            database=database, catalog=catalog, clock=clock, monotonic=monotonic, most_devices=most_devices
        )
        self._held: dict[TenantId, Followed] = {}
        self._wanted: dict[TenantId, None] = {}
        self._refused: dict[TenantId, float] = {}
        self._turn = threading.Lock()

    def current(self, tenant_id: TenantId) -> HeldFleet | None:
        """Return the fleet of a tenant as it is now, or was some seconds ago; ``None``: ask the database.

        Nobody should hold a connection meanwhile.
        """
        with self.view(tenant_id) as (_, fleet):
            return fleet

    @contextmanager
    def view(self, tenant_id: TenantId) -> Iterator[tuple[Connection, HeldFleet | None]]:
        """Give a read transaction, and the fleet as it is there, or was some seconds ago; ``None``: ask the database.

        Nobody should hold another connection meanwhile.

        Raises:
            StorageUnavailableError: The database does not answer.
        """
        followed = self._asked_for(tenant_id)
        with ExitStack() as opened:
            connection = None
            if followed is not None and self._turn.acquire(timeout=_WAITED_SECONDS):
                try:
                    connection = self._caught_up(tenant_id, followed, opened)
                finally:
                    self._turn.release()
            if connection is None:
                connection = opened.enter_context(self._database.read())
            yield connection, None if followed is None else self._usable(tenant_id, followed)

    def figures(self, fleet: Fleet) -> Figures | None:
        """Return the figures of a fleet; ``None``: count it in the database."""
        with self.view(fleet.tenant_id) as (connection, held):
            return None if held is None else figures_of(connection, held, fleet.eyes)

    def follow(self) -> None:
        """Read what was asked for and is not held, and what changed. Call it again and again, from one thread."""
        for tenant_id in list(self._wanted):
            self._wanted.pop(tenant_id, None)
            if self._may_hold(tenant_id):
                self._try(tenant_id, self._load)
        for tenant_id, followed in list(self._held.items()):
            with self._turn:
                self._try(tenant_id, lambda _, each=followed: self._reading.follow(each))  # type: ignore[misc]  # mypy does not infer lambdas with defaults
            if tenant_id in self._held:
                self._try(tenant_id, lambda _, each=followed: self._reading.look_who_is_in_touch(each))  # type: ignore[misc]  # as above
            if self._monotonic() - followed.kept_at >= KEEP_SECONDS and tenant_id in self._held:
                self._try(tenant_id, lambda _, each=followed: self._keep(each))  # type: ignore[misc]  # as above

    def close(self) -> None:
        """Let go of everything; what can be kept is, for the next start."""
        for tenant_id in list(self._held):
            followed = self._held.pop(tenant_id)
            with suppress(StorageUnavailableError, OSError):
                self._keep(followed)
            if self._home is None:
                self._forget(tenant_id)

    @property
    def size(self) -> int:
        """Bytes of memory that fleets take, roughly."""
        return sum(each.fleet.image.size + each.fleet.tallies.size for each in list(self._held.values()))

    @property
    def devices(self) -> int:
        """How many devices are held."""
        return sum(len(each.fleet.image) for each in list(self._held.values()))

    def _asked_for(self, tenant_id: TenantId) -> Followed | None:
        followed = self._held.get(tenant_id)
        if followed is None:
            self._wanted.setdefault(tenant_id)
        else:
            followed.asked_at = self._monotonic()
        return followed

    def _caught_up(self, tenant_id: TenantId, followed: Followed, opened: ExitStack) -> Connection | None:
        """Bring a fleet to what it is now; return the transaction that shows it, ``None`` where that failed."""
        shown: list[Connection] = []
        self._try(
            tenant_id,
            lambda _: shown.append(opened.enter_context(self._reading.caught_up(followed, MOST_AT_ONCE))),
        )
        return shown[0] if shown else None

    def _usable(self, tenant_id: TenantId, followed: Followed) -> HeldFleet | None:
        if self._held.get(tenant_id) is not followed:
            return None
        is_fresh = self._monotonic() - followed.fresh_at <= OLDEST_SECONDS
        return followed.fleet if is_fresh and followed.fleet.is_explained else None

    def _may_hold(self, tenant_id: TenantId) -> bool:
        if self._monotonic() < self._refused.get(tenant_id, float("-inf")) or tenant_id in self._held:
            return False
        with self._database.read() as connection:
            return tenant_sizes.is_large(connection, tenant_id, self._from)

    def read_now(self, tenant_id: TenantId) -> HeldFleet:
        """Return a fleet of any size as it is now, also where none is held: one that is read for this, and let go.

        Raises:
            TooVariedError: It is too large or too different.
        """
        held = self.current(tenant_id)
        if held is not None and held.contact is not None:
            return held
        return self._reading.read(tenant_id).fleet

    def _load(self, tenant_id: TenantId) -> None:
        begun = self._monotonic()
        followed = self._resumed(tenant_id) or self._begun(tenant_id)
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

    def _begun(self, tenant_id: TenantId) -> Followed:
        """Read a fleet; the feed keeps from now on what comes behind."""
        mark = self._new_mark()
        with self._database.write() as connection:
            self._tell(connection, tenant_id, fleet_feed.end(connection), mark)
        followed = self._reading.read(tenant_id)
        followed.mark = mark
        self._keep(followed)
        return followed

    def _resumed(self, tenant_id: TenantId) -> Followed | None:
        """Go on where another process stopped, if the feed kept everything since."""
        snapshot = None if self._home is None else snapshots.read(self._file(tenant_id))
        if snapshot is None:
            return None
        with self._database.read() as connection:
            place = fleet_feed.place_of(connection, self._reader(tenant_id), snapshot.mark)
            groups_by_tag = fleet_images.groups_by_tag(connection, tenant_id)
        if place is None or (place.xid, place.number) != (snapshot.place.xid, snapshot.place.number):
            return None
        fleet = HeldFleet(tenant_id=tenant_id, catalog=self._catalog, image=snapshot.image)
        fleet.groups_by_tag = groups_by_tag
        now = self._monotonic()
        followed = Followed(fleet=fleet, place=place, mark=snapshot.mark, kept_at=now, asked_at=now)
        self._reading.follow(followed)  # nobody else knows it yet
        self._reading.look_who_is_in_touch(followed)
        return followed

    def _make_room(self, devices: int) -> None:
        while self._held and self.devices + devices > self._most:
            longest = min(self._held, key=lambda each: self._held[each].asked_at)
            del self._held[longest]
            self._forget(longest)

    def _try(self, tenant_id: TenantId, what: Callable[[TenantId], object]) -> None:
        """Do something for one tenant; what fails is written down, and the tenant is left to the database."""
        try:
            what(tenant_id)
        except TooVariedError as error:
            self._held.pop(tenant_id, None)
            self._refused[tenant_id] = self._monotonic() + _AGAIN_SECONDS
            structlog.get_logger().info("fleet_not_held", tenant=tenant_id, cause=error.cause)
        except StorageUnavailableError as error:
            self._held.pop(tenant_id, None)
            structlog.get_logger().warning("fleet_not_followed", tenant=tenant_id, cause=error.cause)
        except Exception:  # noqa: BLE001 - nobody is there to catch it, and the database answers
            self._held.pop(tenant_id, None)
            structlog.get_logger().exception("fleet_not_followed", tenant=tenant_id)

    def _keep(self, followed: Followed) -> None:
        """Have the feed keep what is behind a fleet's place, and the fleet in a file; begin anew where it forgot us."""
        fleet, mark = followed.fleet, self._new_mark()
        tenant_id = fleet.tenant_id
        with self._database.read() as connection:
            is_known = fleet_feed.place_of(connection, self._reader(tenant_id), followed.mark) is not None
        if not is_known:
            self._held.pop(tenant_id, None)
            return
        with self._turn, fleet.lock:
            # What is ahead of the place is told again to whoever resumes: it is in the file already, and does no harm.
            place = Place(followed.place.xid, followed.place.number)
            if self._home is not None:
                snapshots.write(self._file(tenant_id), Snapshot(image=fleet.image, place=place, mark=mark))
        with self._database.write() as connection:
            self._tell(connection, tenant_id, place, mark)
        followed.mark, followed.kept_at = mark, self._monotonic()

    def _tell(self, connection: Connection, tenant_id: TenantId, place: Place, mark: str) -> None:
        now = self._clock.now()
        fleet_feed.keep_place(connection, tenant_id, self._reader(tenant_id), place, mark=mark, now=now)

    def _forget(self, tenant_id: TenantId) -> None:
        with suppress(StorageUnavailableError), self._database.write() as connection:
            fleet_feed.forget_reader(connection, self._reader(tenant_id))
        if self._home is not None:
            self._file(tenant_id).unlink(missing_ok=True)

    def _reader(self, tenant_id: TenantId) -> str:
        """Name who reads the feed: this server, for one tenant."""
        return f"{self._name}:{tenant_id}"

    def _file(self, tenant_id: TenantId) -> Path:
        assert self._home is not None, "whoever keeps files says where"
        return self._home / f"{tenant_id}.fleet"
