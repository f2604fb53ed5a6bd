"""Devices that check in or wait while they are behind are brought up to date, many with one commit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import structlog
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.gateway.gathering import Gathering
from shieldwall.server.manager.catching_up import CaughtUp, Unmoved, catch_up_all, not_known
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.engine.database import StorageUnavailableError
from shieldwall.server.storage.statements.rows import portions

_log: Final = structlog.get_logger("shieldwall.gateway")
_MOST: Final = 128


class CatchingUp:
    """Brings devices up to date before they are answered. A transaction of its own: its locks come in another order."""

    def __init__(
        self, writer: GroupCommit, acting_for: Callable[[TenantId], Acting], unmoved: Unmoved = not_known
    ) -> None:
        self._writer = writer
        self._acting_for = acting_for
        self._unmoved = unmoved
        self._gathering: Gathering[DeviceId, bool] = Gathering(self._together, most=_MOST)
        self.count = 0
        """Devices that were brought up to date here, since the start."""

    async def bring(self, device_id: DeviceId) -> None:
        """Bring a device up to date; where that is not possible just now, it still is behind.

        Raises:
            StorageUnavailableError: The database cannot take it.
        """
        await self._gathering.submit(device_id)

    async def bring_all(self, device_ids: Collection[DeviceId]) -> frozenset[DeviceId]:
        """Bring devices up to date; return those that have another target by that. Raises: as ``bring``."""
        aimed_anew: frozenset[DeviceId] = frozenset()
        for portion in portions(sorted(device_ids), _MOST):
            for caught in await self._together_or_alone(portion):
                aimed_anew |= caught.aimed_anew
        return aimed_anew

    async def _together(self, device_ids: Sequence[DeviceId]) -> Sequence[bool]:
        left = frozenset[DeviceId]().union(*(caught.left for caught in await self._together_or_alone(device_ids)))
        return [device_id not in left for device_id in device_ids]

    async def _together_or_alone(self, device_ids: Sequence[DeviceId]) -> Sequence[CaughtUp]:
        """Bring devices up to date; what goes wrong with one of them is no harm to another."""
        try:
            return [await self._caught_up(device_ids)]
        except StorageUnavailableError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is written down, and the others have their turn
            _log.exception("not_caught_up_together", count=len(device_ids))
            return [await self._alone(device_id) for device_id in device_ids]

    async def _alone(self, device_id: DeviceId) -> CaughtUp:
        try:
            return await self._caught_up([device_id])
        except StorageUnavailableError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is written down, and the others have their turn
            _log.exception("not_caught_up", device=device_id)
            return CaughtUp(left=frozenset([device_id]))

    async def _caught_up(self, device_ids: Collection[DeviceId]) -> CaughtUp:
        def work(connection: Connection) -> CaughtUp:
            return catch_up_all(connection, self._acting_for, device_ids, self._unmoved)

        caught = await self._writer.submit(work, aims=True)
        self.count += len(caught.reached)
        return caught
