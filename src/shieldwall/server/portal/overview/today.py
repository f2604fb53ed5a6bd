"""What changed today and by whom, as the first page says it: acts of people and programs, alike ones together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, time
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.directory.audit_trail import details_of, in_words, name_in
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import AuditEvent, Page
from shieldwall.server.storage.tables.schema import audit_events

_LOOKED_AT: Final = 1_000
"""Events that are read at most; the audit log has them all."""
_MOST_SHOWN: Final = 12
_MOST_NAMES: Final = 3
_DEVICES: Final = "device:"
"""Who begins so is a device: what it does by itself is on its own page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """The same thing, done by the same person or program any number of times."""

    actor: str
    kind: str
    """``person``, ``app``, or empty where the server acted by itself or somebody at its console."""
    activity: str
    names: tuple[str, ...]
    times: int
    last_at: datetime
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """What changed since midnight, the newest first; ``is_more`` where not everything is shown."""

    since: datetime
    acts: tuple[Acts, ...]
    is_more: bool


def changed_today(connection: Connection, tenant_id: TenantId, now: datetime) -> Today:
    """Read what changed since midnight of UTC."""
    since = datetime.combine(now.date(), time(), now.tzinfo)
    page = Page(size=_LOOKED_AT, where=(audit_events.c.at >= since,))
    events = audit.list_events(connection, tenant_id, page)
    alike: defaultdict[tuple[str, str], list[AuditEvent]] = defaultdict(list)
    for event in events:
        if not event.actor.startswith(_DEVICES):
            alike[event.actor, event.activity].append(event)
    shown = [_acts(each, since) for each in alike.values()]
    return Today(
        since=since, acts=tuple(shown[:_MOST_SHOWN]), is_more=len(shown) > _MOST_SHOWN or len(events) == _LOOKED_AT
    )


def _acts(events: list[AuditEvent], since: datetime) -> Acts:
    newest = events[0]
    kind, _, name = newest.actor.partition(":")
    is_somebody = kind in {"person", "app"}
    names = dict.fromkeys(filter(None, (name_in(details_of(event)) for event in events)))
    asked = {"who": newest.actor, "what": newest.activity, "from": since.date().isoformat()}
    return Acts(
        actor=name if is_somebody else newest.actor,
        kind=kind if is_somebody else "",
        activity=in_words(newest.activity),
        names=tuple(names)[:_MOST_NAMES],
        times=len(events),
        last_at=newest.at,
        path=f"/audit?{urlencode(asked)}",
    )
