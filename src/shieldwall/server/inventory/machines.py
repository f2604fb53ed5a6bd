"""Machines: the devices of a tenant as people look for them, with how each is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidIdError, ShieldwallError
from shieldwall.contract.ids import DeviceId, TenantId, parse_device_id
from shieldwall.contract.status import SEVERITY
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.inventory import inventory, inventory_facets, inventory_windows
from shieldwall.server.storage.inventory.inventory import Standing
from shieldwall.server.storage.inventory.inventory_queries import (
    BY_ID,
    Cut,
    Filter,
    Found,
    Health,
    Order,
    Position,
    Sort,
)
from shieldwall.server.storage.tenants import tenant_sizes
from shieldwall.trust import strict_base64

INACTIVE_AFTER: Final = timedelta(days=7)
"""Published: a device that was not in touch for so long is inactive."""
LARGE: Final = 100_000
"""Up to so many devices a fleet is searched through within a page, and all that fit are counted."""
EFFORT: Final = inventory_windows.Effort()
EVERYWHERE: Final = "*"
"""The cursor that begins a search through all devices of a large fleet, and stands before those that go on with it."""
_EXPORT_PORTION: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_NUMBER: Final = re.compile(r"-?[0-9]{1,14}\Z")
_LARGEST: Final = 2**31 - 1
"""What a number may be that is no moment: PostgreSQL answers with an error where it is larger."""
_PHASES: Final = frozenset(str(number) for number in range(max(len(Health), len(SEVERITY))))
_ONBOARDING: Final[Mapping[DeviceState, str]] = {
    DeviceState.PENDING: "pending",
    DeviceState.ACTIVE: "onboarded",
    DeviceState.QUARANTINED: "onboarded",
    DeviceState.DISABLED: "onboarded",
    DeviceState.LEAVING: "offboarding",
    DeviceState.RETIRED: "offboarded",
}
ONBOARDING_STATUSES: Final = tuple(dict.fromkeys(_ONBOARDING.values()))


class BadCursorError(ShieldwallError):
    """The cursor is not one that we gave out, or not for this order."""

    code = "invalidCursor"
    remedy = "Follow the link of the page before as it stands, or begin with the first page."


BY_NAME: Final = Order()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One device in a list. ``cursor`` leads to the rows after it."""

    device: Device
    health: Health
    standing: Standing
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A list as somebody asks for it: which devices, in which order, which part."""

    filter: Filter
    order: Order = BY_NAME
    cursor: str | None = None
    size: int = 100


def filter_at(now: datetime) -> Filter:
    """Return the filter that every device but the retired ones fits at this moment."""
    return Filter(inactive_before=now - INACTIVE_AFTER)


def list_machines(connection: Connection, tenant_id: TenantId, wanted: Wanted) -> tuple[Machine, ...]:
    """Return one page. Raises: BadCursorError."""
    return _listed(connection, tenant_id, wanted, None, are_many=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """One page of a search, and how far it goes.

    ``count`` is how many devices fit: all of them, or those of the rows that were looked at. ``following`` leads to the
    next page. ``looked`` is how many rows of a large fleet were looked at; ``named`` says that only names that begin
    with the search were: then ``following`` may lead on among these, and ``EVERYWHERE`` through all devices.
    """

    found: tuple[Machine, ...]
    count: int
    following: str | None = None
    looked: int | None = None
    named: bool = False


def search(connection: Connection, tenant_id: TenantId, wanted: Wanted, most: int) -> Searched:
    """Return one page, and how many devices fit, counted as far as ``most``.

    Where few fit, they are looked for once for both. Of a large fleet a part is looked at, from where the page before
    ended: however many devices there are, nobody waits for all of them.
    A search looks at the beginnings of names first. Devices with twins are still looked for among all.

    Raises:
        BadCursorError: The cursor is not one of this list.
    """
    asked = wanted.filter
    if asked == Filter(inactive_before=asked.inactive_before) and not asked.only:
        return _searched(connection, tenant_id, wanted, None, most)
    if asked.is_duplicate is not None or not tenant_sizes.is_large(connection, tenant_id, LARGE):
        is_picked = _is_picked(asked)
        known = inventory.few(connection, tenant_id, asked) if is_picked else None
        return _searched(connection, tenant_id, wanted, known, most, are_many=is_picked and known is None)
    looks_everywhere = (wanted.cursor or "").startswith(EVERYWHERE)
    if (known := inventory_windows.known(connection, tenant_id, asked)) is not None:
        return _searched(connection, tenant_id, wanted, known, most)
    if asked.search.split() and not looks_everywhere:
        named = inventory_windows.beginning(connection, tenant_id, asked)
        if named or wanted.cursor is not None:
            return replace(_searched(connection, tenant_id, wanted, named, most), named=True)
    return _looked_through(connection, tenant_id, wanted)


def _searched(
    connection: Connection,
    tenant_id: TenantId,
    wanted: Wanted,
    known: Collection[DeviceId] | None,
    most: int,
    *,
    are_many: bool = False,
) -> Searched:
    found = _listed(connection, tenant_id, wanted, known, are_many=are_many)
    count = count_machines(connection, tenant_id, wanted.filter, most=most) if known is None else len(known)
    following = found[-1].cursor if len(found) == wanted.size else None
    return Searched(found=found, count=count, following=following)


def _looked_through(connection: Connection, tenant_id: TenantId, wanted: Wanted) -> Searched:
    cursor = (wanted.cursor or "").removeprefix(EVERYWHERE)
    after = read_cursor(cursor, wanted.order) if cursor else None
    cut = Cut(order=wanted.order, after=after, size=wanted.size)
    looked = EFFORT.of(wanted.filter, wanted.order)
    window = inventory_windows.look_through(connection, tenant_id, wanted.filter, cut, looked)
    further = window.further
    return Searched(
        found=_described(connection, wanted, window.found),
        count=len(window.found),
        following=None if further is None else EVERYWHERE + write_cursor(further, wanted.order),
        looked=looked,
    )


def _is_picked(asked: Filter) -> bool:
    """Whether a filter asks for something that few devices may have, in no order that an index knows."""
    texts = (asked.search, asked.os_version, asked.managed_by, asked.agent_version)
    return any(texts) or bool(asked.is_duplicate or asked.tags or asked.attestation or asked.enrollment_codes)


def _listed(
    connection: Connection, tenant_id: TenantId, wanted: Wanted, known: Collection[DeviceId] | None, *, are_many: bool
) -> tuple[Machine, ...]:
    after = None if wanted.cursor is None else read_cursor(wanted.cursor, wanted.order)
    cut = Cut(order=wanted.order, after=after, size=wanted.size)
    found = inventory.portion(connection, tenant_id, wanted.filter, cut, known, are_many=are_many)
    return _described(connection, wanted, found)


def _described(connection: Connection, wanted: Wanted, found: Collection[Found]) -> tuple[Machine, ...]:
    described = describe(connection, [each.device_id for each in found], wanted.filter.inactive_before)
    return tuple(
        Machine(
            device=machine.device,
            health=machine.health,
            standing=machine.standing,
            cursor=write_cursor(each.position, wanted.order),
        )
        for each in found
        if (machine := described.get(each.device_id)) is not None
    )


def describe(
    connection: Connection, device_ids: Collection[DeviceId], inactive_before: datetime
) -> Mapping[DeviceId, Machine]:
    """Return these devices, each with how it is."""
    return describe_read(connection, devices.find_many(connection, device_ids), inactive_before)


def describe_read(
    connection: Connection, read: Collection[Device], inactive_before: datetime
) -> Mapping[DeviceId, Machine]:
    """Return devices that were read already, each with how it is."""
    standing = inventory.standing(connection, [device.id for device in read])
    return {
        device.id: Machine(
            device=device,
            health=health_of(device, standing[device.id], inactive_before),
            standing=standing[device.id],
        )
        for device in read
    }


def health_of(device: Device, standing: Standing, inactive_before: datetime) -> Health:
    """Say whether a device is in touch and well."""
    if (standing.last_check_in or device.registered_at) < inactive_before:
        return Health.INACTIVE
    return Health.IMPAIRED if standing.impaired else Health.ACTIVE


def onboarding_status(device: Device) -> str:
    """Say where a device stands between onboarding and offboarding, or that it is none to onboard."""
    if device.unsuitable is not None and device.state is not DeviceState.RETIRED:
        return "unsupported"
    return _ONBOARDING[device.state]


def states_of(statuses: Collection[str]) -> frozenset[DeviceState]:
    """Return the states in which a device has one of these onboarding statuses."""
    return frozenset(state for state, status in _ONBOARDING.items() if status in statuses)


def count_machines(connection: Connection, tenant_id: TenantId, asked: Filter, *, most: int | None = None) -> int:
    """Return how many devices fit; with ``most`` no further than so many are counted."""
    return inventory.count(connection, tenant_id, asked, most=most)


def facets(
    connection: Connection, tenant_id: TenantId, asked: Filter, names: Collection[str]
) -> Mapping[str, Mapping[str, int]]:
    """Count the devices that fit, by each of these facets."""
    return inventory_facets.count_facets(connection, tenant_id, asked, names)


def all_machines(database: Database, tenant_id: TenantId, asked: Filter, order: Order) -> Iterator[Machine]:
    """Yield every device that fits, read in portions, each in a transaction of its own.

    So no transaction lasts as long as somebody's download. A device that changes meanwhile comes once at most.
    """
    after: str | None = None
    while True:
        wanted = Wanted(filter=asked, order=order, cursor=after, size=_EXPORT_PORTION)
        with database.read() as connection:
            found = list_machines(connection, tenant_id, wanted)
        yield from found
        if len(found) < _EXPORT_PORTION:
            return
        after = found[-1].cursor


def write_cursor(position: Position, order: Order) -> str:
    """Write the place after a row as plain text, for this order alone."""
    key = position.key
    text = str((key - _EPOCH) // _MILLISECOND) if isinstance(key, datetime) else str(key)
    return f"{_name(order)}.{position.phase}.{strict_base64.encode_url(text.encode())}.{position.last}"


def read_cursor(cursor: str, order: Order) -> Position:
    """Read a place that ``write_cursor`` wrote. Raises: BadCursorError."""
    try:
        name, phase, shown, last = cursor.split(".")
        key = strict_base64.decode_url(shown).decode()
        if name != _name(order) or phase not in _PHASES or "\x00" in key:
            raise BadCursorError("The cursor is not one of this list in this order.")
        which = parse_device_id(last) if order.by in BY_ID else _number(last, _LARGEST)
        return Position(int(phase), _key(key, order, int(phase)), which)
    except (ValueError, OverflowError, InvalidIdError):
        raise BadCursorError("The cursor cannot be read.") from None


def _key(text: str, order: Order, phase: int) -> str | int | datetime:
    """Read what a row was sorted by: a number for the exposure, a moment for the last check-in, else a text."""
    match order.by:
        case Sort.EXPOSURE | Sort.ENROLLMENT_CODE:
            return _number(text, _LARGEST)
        case Sort.REGISTERED:
            return _EPOCH + _number(text) * _MILLISECOND
        case Sort.LAST_CHECK_IN if (phase == 1) is not order.descending:
            return _EPOCH + _number(text) * _MILLISECOND
        case _:
            return text


def _number(text: str, most: int | None = None) -> int:
    if not _NUMBER.match(text) or (most is not None and abs(int(text)) > most):
        raise ValueError("not a number of ours")
    return int(text)


def _name(order: Order) -> str:
    return f"{order.by.value}{'-' if order.descending else ''}"
