"""Which devices shall enforce what they have already, so that nobody has to compute it: what the index is believed in.

It is believed where it knows of everything that the asking transaction sees. The index says up to which change of the
database it is right; what came behind that is looked at here, and a device that it names, or a change of what policies
are aimed at, is one that the index may not know of. So an index that lags behind, or is gone, costs work and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.fleets import fleet_feed
from shieldwall.server.storage.fleets.fleet_feed import What
from shieldwall.server.targeting.index_figures import NAMED_IN
from shieldwall.server.targeting.late import LateHasher, LateReader

if TYPE_CHECKING:
    from shieldwall.server.targeting.hashes import Hasher
    from shieldwall.server.targeting.shared import BoardReader

_MOST_NEWS: Final = 2_000
"""Changes that the index has not read yet which are looked at; where there are more, it is not asked."""
_MOST_KEPT: Final = 65_536
_DECIDES: Final = What.DEVICE | What.GROUPS


class Unmoved:
    """Asks the boards of the targeting index."""

    def __init__(self, reader: BoardReader | LateReader, hasher: Hasher | LateHasher) -> None:
        self._reader: Final = reader
        self._hasher: Final = hasher
        self._hashes: dict[tuple[TenantId, Digest], bytes] = {}
        self.count = 0
        """Devices that need not be computed, since the start."""

    @classmethod
    def of(cls, run: Path, secret: Path, monotonic: Callable[[], float]) -> Unmoved:
        """Ask the index of this machine, if there is one: ``run`` is the directory of the running server."""
        return cls(LateReader(run / NAMED_IN, monotonic), LateHasher(secret.read_bytes()))

    def measure(self, registry: CollectorRegistry) -> None:
        """Export how the index is."""
        figures = self._reader.figures
        Gauge(
            "shieldwall_targeting_devices", "Devices in the targeting index of this machine.", registry=registry
        ).set_function(lambda: figures().devices)
        Gauge(
            "shieldwall_targeting_lag_seconds", "How long ago it had read all that was committed.", registry=registry
        ).set_function(lambda: figures().lag_seconds)
        Gauge("shieldwall_targeting_memory_bytes", "Memory of its process.", registry=registry).set_function(
            lambda: figures().memory_bytes
        )

    def __call__(
        self, connection: Connection, tenant_id: TenantId, device_ids: Collection[DeviceId]
    ) -> frozenset[DeviceId]:
        """Return those of these devices of a tenant whose target is what it shall be.

        The transaction holds ``targets.lock`` and the rows of these devices, and has changed nothing of them yet.
        """
        place = self._reader.place()
        if place is None:
            return frozenset()
        wanted = {device_id: self._reader.hash_of(tenant_id, device_id) for device_id in device_ids}
        known = {device_id: found.tobytes() for device_id, found in wanted.items() if found is not None}
        if not known:
            return frozenset()
        present = check_ins.targets_of(connection, known)
        self._learn(connection, tenant_id, frozenset(present.values()))
        same = {
            device_id for device_id, digest in present.items() if known[device_id] == self._hashes[tenant_id, digest]
        }
        if not same:
            return frozenset()
        news = fleet_feed.read(connection, place, _MOST_NEWS)
        if not news.is_all:
            return frozenset()
        for change in news.changes:
            if change.tenant_id == tenant_id and change.what & What.AIMS:
                return frozenset()
            if change.what & _DECIDES:
                same.discard(change.device_id)
        self.count += len(same)
        return frozenset(same)

    def _learn(self, connection: Connection, tenant_id: TenantId, digests: Collection[Digest]) -> None:
        """Find the hashes of targets that were not met before."""
        missing = {digest for digest in digests if (tenant_id, digest) not in self._hashes}
        if not missing:
            return
        if len(self._hashes) + len(missing) > _MOST_KEPT:
            self._hashes.clear()
            missing = set(digests)
        for digest, target in targets.get_many(connection, tenant_id, missing).items():
            self._hashes[tenant_id, digest] = self._hasher.of(target).tobytes()
