"""Devices of a tenant whose hardware another one names as well: which they are, and what they share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Select, bindparam, delete, exists, func, or_, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.statements.bulk import is_one_of, unsought
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.schema import devices
from shieldwall.server.storage.tables.twin_schema import twin_suspects

_HARDWARE: Final = (devices.c.machine_id_hash, devices.c.smbios_uuid_hash, devices.c.tpm_ek_hash)
_SHARED: Final = {
    "machine_id_hash": "machineId",
    "smbios_uuid_hash": "smbiosUuid",
    "tpm_ek_hash": "tpmEndorsementKey",
}
MOST_NAMED: Final = 5_000
"""So many devices that share hardware are named one by one."""
MOST_SUSPECTED: Final = 2_000
"""So many suspects are looked at for a page."""
_MOST_TWINS: Final = 1_000
"""Pairs that a page of devices is shown with; a thousand clones of one disk need no more to be seen."""
_NAMING: Final = {
    column.name: select(column, devices.c.id)
    .where(
        devices.c.tenant_id == bindparam("tenant"),
        devices.c.state != DeviceState.RETIRED.value,
        column.in_(bindparam("named", expanding=True)),
    )
    .order_by(devices.c.id)
    .limit(_MOST_TWINS)
    for column in _HARDWARE
}
"""Devices, not retired, that name some of these hashes."""


class Suspect(NamedTuple):
    """A device that may share hardware, and the number under which it is suspected."""

    number: int
    device_id: DeviceId


def is_twin(connection: Connection, tenant_id: TenantId, device_id: Column[Any]) -> ColumnElement[bool]:
    """Say that a column names a device, not retired, whose hardware another one of the tenant names as well.

    Whoever shares hardware is a suspect, or shares it with one. Where there are too many of these, as while a fleet
    comes, what is shared is counted over all hardware. Neither engine knows that it is hardly any, and would read all
    devices for it: so that is asked first, and where it is little, the devices are named.
    """
    suspected = [each.device_id for each in suspects(connection, tenant_id, 0, MOST_SUSPECTED + 1)]
    is_few = len(suspected) <= MOST_SUSPECTED
    found: set[str] = set()
    for column in _HARDWARE:
        counted = _shared(column, devices.c.tenant_id == tenant_id)
        named = _named(connection, column, suspected) if is_few else counted
        shared = list(connection.scalars(named.limit(MOST_NAMED + 1)))
        if len(shared) > MOST_NAMED:
            return device_id.in_(_duplicated(tenant_id))
        if not shared:
            continue
        theirs = select(column, devices.c.id).where(*_counted(tenant_id), is_one_of(connection, column, shared))
        rows = connection.execute(theirs.limit(MOST_NAMED + 1)).all()
        if len(rows) > MOST_NAMED:
            return device_id.in_(_duplicated(tenant_id))
        times = Counter(value for value, _ in rows)
        found.update(device for value, device in rows if times[value] > 1)
    return is_one_of(connection, device_id, found)


def suspects(connection: Connection, tenant_id: TenantId, after: int, most: int) -> tuple[Suspect, ...]:
    """Return devices that may share hardware, at most so many behind a number, in their order."""
    query = (
        select(twin_suspects.c.number, twin_suspects.c.device_id)
        .where(twin_suspects.c.tenant_id == tenant_id, twin_suspects.c.number > after)
        .order_by(twin_suspects.c.number)
        .limit(most)
    )
    return tuple(Suspect(number, DeviceId(device)) for number, device in connection.execute(query))


def alone(connection: Connection, tenant_id: TenantId, suspected: Collection[Suspect]) -> tuple[Suspect, ...]:
    """Return those of these suspects that share no hardware.

    They stay so until another one comes to it, who is a suspect then. So it is no matter who looks at the same moment,
    nor how late these are cleared.
    """
    other = devices.alias()
    shares = (
        exists().where(
            other.c.tenant_id == tenant_id,
            other.c[column.name] == column,
            other.c.state != DeviceState.RETIRED.value,
            other.c.id != devices.c.id,
        )
        for column in _HARDWARE
    )
    these = (
        is_one_of(connection, devices.c.id, {each.device_id for each in suspected}),
        unsought(devices.c.tenant_id) == tenant_id,
        devices.c.state != DeviceState.RETIRED.value,
    )
    sharing = frozenset(connection.scalars(select(devices.c.id).where(*these, or_(*shares))))
    return tuple(each for each in suspected if each.device_id not in sharing)


def clear(connection: Connection, found: Collection[Suspect]) -> int:
    """Suspect these no more; return how many were. Whoever else is at it does not wait for us, nor we for them."""
    held = select(twin_suspects.c.number).where(twin_suspects.c.number.in_([each.number for each in found]))
    free = held.with_for_update(skip_locked=True)
    return connection.execute(delete(twin_suspects).where(twin_suspects.c.number.in_(free))).rowcount


def _duplicated(tenant_id: TenantId) -> Select[Any]:
    here = _counted(tenant_id)
    alike = [select(devices.c.id).where(*here, column.in_(_shared(column, *here))) for column in _HARDWARE]
    return alike[0].union(*alike[1:]).subquery().select()


def _named(connection: Connection, column: Column[Any], device_ids: Collection[DeviceId]) -> Select[Any]:
    return select(column).distinct().where(is_one_of(connection, devices.c.id, device_ids), column.is_not(None))


def _shared(column: Column[Any], *among: ColumnElement[bool]) -> Select[Any]:
    return select(column).where(*among, column.is_not(None)).group_by(column).having(func.count() > 1)


def _counted(tenant_id: TenantId) -> tuple[ColumnElement[bool], ...]:
    return devices.c.tenant_id == tenant_id, devices.c.state != DeviceState.RETIRED.value


def shared_hardware(
    connection: Connection, tenant_id: TenantId, these: Collection[Device]
) -> Iterator[tuple[DeviceId, DeviceId, str]]:
    """Yield each of these devices with another one, not retired, that names the same hardware, and what it is."""
    for column in _HARDWARE:
        known = [(each.id, value) for each in these if (value := getattr(each, column.name)) is not None]
        for few in portions(sorted(known)):
            named = {"tenant": tenant_id, "named": sorted({value for _, value in few})}
            alike: defaultdict[str, list[DeviceId]] = defaultdict(list)
            for value, other in connection.execute(_NAMING[column.name], named):
                alike[value].append(DeviceId(other))
            for device, value in few:
                yield from ((device, twin, _SHARED[column.name]) for twin in alike[value] if twin != device)
