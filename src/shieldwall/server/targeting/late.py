"""An index that may not be there: what reads its boards is loaded once there are some.

It works with arrays, which take longer to load than half of a gateway; and most servers have no index.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.target import Target
from shieldwall.server.storage.fleets.fleet_feed import Place
from shieldwall.server.targeting.index_figures import IndexFigures

if TYPE_CHECKING:
    from shieldwall.server.targeting.hashes import Hash, Hasher
    from shieldwall.server.targeting.shared import BoardReader


class LateReader:
    """Reads like ``BoardReader``, and knows nothing while no index has been named."""

    def __init__(self, named_in: Path, monotonic: Callable[[], float]) -> None:
        self._named_in: Final = named_in
        self._monotonic: Final = monotonic
        self._reader: BoardReader | None = None

    def place(self) -> Place | None:
        """Return up to which change the boards are right, ``None`` where that is not known."""
        reader = self._found()
        return None if reader is None else reader.place()

    def figures(self) -> IndexFigures:
        """Return how the index is; nought of everything where it is not there."""
        reader = self._found()
        return IndexFigures() if reader is None else reader.figures()

    def hash_of(self, tenant_id: TenantId, device_id: DeviceId) -> Hash | None:
        """Return the hash of what a device shall enforce, ``None`` where it is not known; ask for ``place`` before."""
        reader = self._found()
        return None if reader is None else reader.hash_of(tenant_id, device_id)

    def _found(self) -> BoardReader | None:
        if self._reader is None and self._named_in.exists():
            from shieldwall.server.targeting.shared import BoardReader  # noqa: PLC0415 - see above

            self._reader = BoardReader(self._named_in, self._monotonic)
        return self._reader


class LateHasher:
    """Numbers targets like ``Hasher``, which it makes when the first one is asked for."""

    def __init__(self, secret: bytes) -> None:
        self._secret: Final = secret
        self._hasher: Hasher | None = None

    def of(self, target: Target) -> Hash:
        """Return the number of a target."""
        if self._hasher is None:
            from shieldwall.server.targeting.hashes import Hasher  # noqa: PLC0415 - see above

            self._hasher = Hasher(self._secret)
        return self._hasher.of(target)
