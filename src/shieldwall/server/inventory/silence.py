"""Stale devices: how long ago they were last in touch, in bands, and which ones they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection

from shieldwall.contract.ids import UUID_PATTERN, TenantId
from shieldwall.server.inventory import machines
from shieldwall.server.inventory.machines import BadCursorError, Machine
from shieldwall.server.storage.devices import silence
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.records import Page

DAYS: Final = (7, 14, 30, 60, 90, 180)
"""After how many days somebody may ask for the silent ones; the first is when a device counts as inactive."""
MOST_COUNTED: Final = 2_000
_NEVER: Final = "never"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_AT_ONCE: Final = 500
Conditions = tuple[ColumnElement[bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Devices last in touch between so many days ago; without ``upto`` longer ago, without both never.

    ``count`` stops one above ``MOST_COUNTED``.
    """

    since: int | None
    upto: int | None
    count: int


def bands(connection: Connection, tenant_id: TenantId, now: datetime, only: Conditions = ()) -> tuple[Band, ...]:
    """Count the stale devices of a tenant by how long they have been silent; ``only`` speaks of ``inventory``."""
    most = MOST_COUNTED + 1
    found = []
    for since, upto in zip(DAYS, (*DAYS[1:], None), strict=True):
        begin = None if upto is None else now - timedelta(days=upto)
        end = now - timedelta(days=since)
        count = silence.count_between(connection, tenant_id, begin, end, only, most=most)
        found.append(Band(since=since, upto=upto, count=count))
    never = silence.count_never(connection, tenant_id, now - timedelta(days=DAYS[0]), only, most=most)
    return (*found, Band(since=None, upto=None, count=never))


def list_stale(
    connection: Connection, tenant_id: TenantId, now: datetime, days: int, page: Page
) -> tuple[tuple[Machine, ...], str]:
    """Return one page of the devices that were silent for so many days, and the cursor of the next, if there is one.

    ``page.after`` is a cursor of ours. Raises: BadCursorError.
    """
    asked = page if page.after is None else _at(page, page.after)
    found = silence.list_silent(connection, tenant_id, now - timedelta(days=days), asked)
    inactive_before = machines.filter_at(now).inactive_before
    described = machines.describe(connection, [each.device_id for each in found], inactive_before)
    cursor = ""
    if len(found) == page.size:
        last = found[-1]
        moment = _NEVER if last.last_check_in is None else str((last.last_check_in - _EPOCH) // _MILLISECOND)
        cursor = f"{moment}.{last.device_id}"
    return tuple(described[each.device_id] for each in found if each.device_id in described), cursor


def all_stale(
    database: Database, tenant_id: TenantId, now: datetime, days: int, only: Conditions = ()
) -> Iterator[Machine]:
    """Yield every device that was silent for so many days, read in portions, each in a transaction of its own."""
    page = Page(size=_AT_ONCE, where=only)
    while True:
        with database.read() as connection:
            found, cursor = list_stale(connection, tenant_id, now, days, page)
        yield from found
        if not cursor:
            return
        page = replace(page, after=cursor)


def _at(page: Page, cursor: str) -> Page:
    moment, _, device_id = cursor.partition(".")
    if not re.match(UUID_PATTERN, device_id) or not re.match(r"(never|-?[0-9]{1,14})\Z", moment):
        raise BadCursorError("The cursor cannot be read.")
    try:
        place = None if moment == _NEVER else _EPOCH + int(moment) * _MILLISECOND
    except OverflowError:
        raise BadCursorError("The cursor cannot be read.") from None
    return replace(page, after=device_id, place=(place,))
