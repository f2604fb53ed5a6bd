"""How long events are kept: a week, longer for those who still wait for them, and then no longer.

Whoever did not have what is forgotten is told how much that was, before anything else.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.events import receivers, stream_cursors

KEPT: Final = timedelta(days=7)
KEPT_AT_MOST: Final = timedelta(days=30)
PORTION: Final = 2_000
"""Events forgotten in one transaction."""
_MOST_PORTIONS: Final = 1_000
"""In one go; what is left waits for the next."""


def forget_all(
    database: Database, tenant_id: TenantId, now: datetime, *, home: TenantId, streams: Collection[str]
) -> int:
    """Forget all events of a tenant whose time has come, portion by portion; return how many."""
    total = 0
    for _ in range(_MOST_PORTIONS):
        with database.write() as connection:
            done = forget_events(connection, tenant_id, now, home=home, streams=streams)
        total += done
        if done < PORTION:
            break
    return total


def forget_events(
    connection: Connection, tenant_id: TenantId, now: datetime, *, home: TenantId, streams: Collection[str]
) -> int:
    """Forget the oldest events of a tenant, at most ``PORTION``; return how many.

    ``streams`` are the sinks that are to have them; their cursors belong to the tenant ``home``.
    """
    own = receivers.of_tenant(connection, tenant_id)
    sinks = stream_cursors.find_many(connection, home, streams)
    needed_after = [each.cursor for each in own if each.enabled] + [each.cursor for each in sinks]
    old = outbox.last_before(connection, tenant_id, now - KEPT)
    too_old = outbox.last_before(connection, tenant_id, now - KEPT_AT_MOST)
    up_to = max(too_old, min([old, *needed_after]))
    portion = outbox.read(connection, 0, PORTION, tenant_id=tenant_id, up_to=up_to)
    if not portion:
        return 0
    last = portion[-1].sequence
    for receiver in own:
        if receiver.cursor < last:
            missed = outbox.count(connection, receiver.cursor, last, tenant_id=tenant_id, patterns=receiver.event_kinds)
            receivers.fall_behind(connection, receiver.id, up_to=last, missed=missed)
    for sink in sinks:
        if sink.cursor < last:
            missed = outbox.count(connection, sink.cursor, last, tenant_id=tenant_id, patterns=("*",))
            stream_cursors.note_missed(connection, sink, missed)
    return outbox.remove(connection, tenant_id, last, PORTION)
