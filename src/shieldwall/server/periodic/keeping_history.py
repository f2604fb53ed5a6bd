"""What keeps the history of fleets on this server, if somebody wants it kept."""

from __future__ import annotations

from shieldwall.server.admin.services import AdminServices
from shieldwall.server.observing import upkeep
from shieldwall.server.observing.upkeep import Upkeep
from shieldwall.server.reporting.history.files import HistoryFiles
from shieldwall.server.reporting.history.keeping import KeepingHistory


def keeping_history(services: AdminServices) -> KeepingHistory | None:
    """Return what writes down what fleets are; ``None`` where ``history`` is not set."""
    wanted = services.settings.history
    if wanted is None or services.fleets is None:
        return None
    return KeepingHistory(
        database=services.database,
        fleets=services.fleets,
        files=HistoryFiles(home=services.settings.history_files, new_id=services.new_id),
        clock=services.clock,
        days=wanted.days,
        device_days=wanted.device_days,
        note=lambda is_done: upkeep.note(services.settings.run, Upkeep.HISTORY, is_done=is_done),
    )
