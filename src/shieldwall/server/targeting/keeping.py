"""How far the index has read, kept in the database: so that what it has not read is there, and the rest forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.fleets import fleet_feed
from shieldwall.server.storage.fleets.fleet_feed import Place
from shieldwall.server.storage.statements.bulk import MOST_AT_ONCE


class Keeping:
    """The place of one process that reads the fleet feed."""

    def __init__(
        self, database: Database, clock: Clock, new_id: Callable[[], str], tenant_id: TenantId, *, name: str
    ) -> None:
        """Be ready to keep it; ``tenant_id`` is the home tenant, ``name`` says whose place it is."""
        self._database: Final = database
        self._clock: Final = clock
        self._new_id: Final = new_id
        self._tenant_id: Final = tenant_id
        self._name: Final = name

    def begin(self) -> Place:
        """Return the end of the feed, behind which nothing is forgotten from now on."""
        mark, now = self._new_id(), self._clock.now()
        with self._database.write() as connection:
            place = fleet_feed.end(connection)
            fleet_feed.keep_place(connection, self._tenant_id, self._name, place, mark=mark, now=now)
        return place

    def keep(self, place: Place, mark: str | None = None) -> str:
        """Keep a place with a mark, a new one unless it is given, by which it is found again; forget what all read."""
        mark, now = mark or self._new_id(), self._clock.now()
        with self._database.write() as connection:
            fleet_feed.keep_place(connection, self._tenant_id, self._name, place, mark=mark, now=now)
            fleet_feed.trim(connection, now, MOST_AT_ONCE)
        return mark

    def place_of(self, mark: str) -> Place | None:
        """Return the place that was kept with this mark, ``None`` where one has to begin anew."""
        with self._database.read() as connection:
            return fleet_feed.place_of(connection, self._name, mark)
