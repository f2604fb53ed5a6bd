"""What happened to one device, from everything that is kept of it, newest first.

Each source gives its newest entries before a moment, as many as a page holds and one more; the newest of them all are
the page, whichever source they are from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Connection

from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.server.storage.check_ins import check_ins, device_reports
from shieldwall.server.storage.check_ins.device_reports import ReportedThen
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import device_events, sightings
from shieldwall.server.storage.devices.device_events import EventRecord
from shieldwall.server.storage.devices.sightings import Sighting, SightingKind
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.groups import groups, membership_events
from shieldwall.server.storage.records import AuditEvent, MembershipEvent, Page
from shieldwall.server.storage.tables.schema import audit_events
from shieldwall.server.storage.tables.schema import membership_events as membership_rows


class Source(StrEnum):
    """Where an entry of a timeline is from."""

    CHECK_INS = "checkIns"
    """The last check-in, and those that came from another boot or installation than the one before."""
    REPORTS = "reports"
    """What the device reported, whenever that was something else; drift is among it."""
    CHANGES = "changes"
    """What people and programs did to it: the audit trail."""
    GROUPS = "groups"
    EVENTS = "events"
    """What the device told of threats and of what looks for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """The device onboarded."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedIn:
    """The device checked in: the last time, or from a new place."""

    at: datetime
    is_last: bool
    kind: SightingKind = SightingKind.CHECK_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The device joined or left a group. ``name`` is empty where the group is gone."""

    at: datetime
    event: MembershipEvent
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Somebody did something to it."""

    at: datetime
    event: AuditEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """It reported something else than before."""

    at: datetime
    report: ReportedThen


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """It told of something that happened there."""

    at: datetime
    event: EventRecord


Entry = Came | CheckedIn | Moved | Done | Reported | Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A page of entries; ``before`` is the moment that leads to older ones, absent where there are none."""

    entries: tuple[Entry, ...]
    before: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants to see of a device, and sees: which sources, which memberships; so many before a moment."""

    sources: Collection[Source] = frozenset(Source)
    before: datetime | None = None
    size: int = 50
    seen_groups: tuple[ColumnElement[bool], ...] = ()
    """Conditions on the rows of memberships that say which groups are seen."""


def timeline(connection: Connection, device: Device, asked: Asked) -> Timeline:
    """Return a page of what happened to a device."""
    found: list[Entry] = []
    for source in asked.sources:
        found += _READERS[source](connection, device, asked, asked.size + 1)
    ordered = sorted(found, key=lambda entry: entry.at, reverse=True)
    page = ordered[: asked.size]
    if len(ordered) > asked.size:
        # Entries of one moment stay together: the next page begins before it.
        page += [entry for entry in ordered[asked.size :] if entry.at == page[-1].at]
    return Timeline(entries=tuple(page), before=page[-1].at if len(ordered) > len(page) else None)


def _check_ins(connection: Connection, device: Device, asked: Asked, most: int) -> Iterable[Entry]:
    entries: list[Entry] = [
        CheckedIn(at=each.at, is_last=False, kind=each.kind) for each in _seen(connection, device.id)
    ]
    last = check_ins.get(connection, device.id).last_check_in
    if last is not None:
        entries.append(CheckedIn(at=last, is_last=True))
    entries.append(Came(at=device.registered_at))
    return _until(entries, asked.before, most)


def _seen(connection: Connection, device_id: DeviceId) -> tuple[Sighting, ...]:
    return sightings.of_device(connection, device_id)


def _until(entries: Iterable[Entry], before: datetime | None, most: int) -> list[Entry]:
    fitting = (entry for entry in entries if before is None or entry.at < before)
    return sorted(fitting, key=lambda entry: entry.at, reverse=True)[:most]


def _reports(connection: Connection, device: Device, asked: Asked, most: int) -> Iterable[Entry]:
    found = device_reports.newest(connection, device.tenant_id, device.id, before=asked.before, most=most)
    return [Reported(at=each.at, report=each) for each in found]


def _changes(connection: Connection, device: Device, asked: Asked, most: int) -> Iterable[Entry]:
    until = () if asked.before is None else (audit_events.c.at < asked.before,)
    page = Page(size=most, where=until)
    events = audit.list_events(connection, device.tenant_id, page, object_id=device.id)
    return [Done(at=each.at, event=each) for each in events]


def _groups(connection: Connection, device: Device, asked: Asked, most: int) -> Iterable[Entry]:
    until = () if asked.before is None else (membership_rows.c.at < asked.before,)
    page = Page(size=most, where=(*asked.seen_groups, *until))
    moves = membership_events.list_events(connection, device.tenant_id, page, device_id=device.id)
    names = _names(connection, {move.group_id for move in moves})
    return [Moved(at=each.at, event=each, name=names.get(each.group_id, "")) for each in moves]


def _names(connection: Connection, group_ids: Collection[GroupId]) -> dict[GroupId, str]:
    return {group.id: group.display_name for group in groups.find_many(connection, group_ids)} if group_ids else {}


def _events(connection: Connection, device: Device, asked: Asked, most: int) -> Iterable[Entry]:
    found = device_events.newest_of_device(connection, device.tenant_id, device.id, most, before=asked.before)
    return [Told(at=each.at, event=each) for each in found]


_Reader = Callable[[Connection, Device, Asked, int], Iterable[Entry]]
_READERS: Final[dict[Source, _Reader]] = {
    Source.CHECK_INS: _check_ins,
    Source.REPORTS: _reports,
    Source.CHANGES: _changes,
    Source.GROUPS: _groups,
    Source.EVENTS: _events,
}
