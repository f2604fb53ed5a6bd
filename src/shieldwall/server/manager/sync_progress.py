"""How far a policy sync is: asked, checked in, fetched, reported. Pure; what is known is read by whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.manager.sync import REQUESTED
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import CheckInState
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tables.schema import audit_events

SHOWN_FOR: Final = timedelta(hours=1)
"""How long the last sync is worth telling of; one that still waits is told of for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncProgress:
    """How far a device is that was asked to check in. ``asked_by`` is empty where a change of policies asked it."""

    asked_at: datetime
    asked_by: str
    has_checked_in: bool
    has_fetched: bool
    has_reported: bool

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.has_reported


def progress_of(
    connection: Connection, tenant_id: TenantId, check_in: CheckInState, now: datetime, *, is_current: bool
) -> SyncProgress | None:
    """Return how far a device's last sync is, ``None`` where there was none lately.

    ``is_current`` says whether its last report is about what it shall enforce now.
    """
    page = Page(size=1, where=(audit_events.c.activity == REQUESTED,))
    asked = next(iter(audit.list_events(connection, tenant_id, page, object_id=check_in.device_id)), None)
    return decide(
        check_in,
        answered=check_ins.answered(connection, check_in.device_id),
        asked=None if asked is None else (asked.at, asked.actor),
        is_current=is_current,
        now=now,
    )


def decide(
    check_in: CheckInState,
    *,
    answered: int | None,
    asked: tuple[datetime, str] | None,
    is_current: bool,
    now: datetime,
) -> SyncProgress | None:
    """Say how far a sync is, by what the server holds.

    Whoever checks in takes the request to do so back. ``answered`` is the number of the last check-in whose answer
    brought something new: a device that took a higher number since then has fetched what it lacked.
    """
    pending = check_in.sync_requested_at
    if asked is not None and pending is not None and asked[0] < pending:
        asked = None  # something else asked it since then
    at, by = asked or (pending, "")
    if at is None or (pending is None and now - at > SHOWN_FOR):
        return None
    came = pending is None and check_in.last_check_in is not None and check_in.last_check_in >= at
    return SyncProgress(
        asked_at=at,
        asked_by=by,
        has_checked_in=came,
        has_fetched=came and (is_current or (answered is not None and check_in.seq > answered)),
        has_reported=came and is_current,
    )
