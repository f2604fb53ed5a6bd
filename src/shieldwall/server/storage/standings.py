"""Where devices stand: which target each shall enforce and which report it sent, read for many devices at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, false, func, or_, select, tuple_

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.server.storage import paging
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.schema import check_ins, devices

_TARGETS: Final = (
    select(check_ins.c.target_digest)
    .where(check_ins.c.tenant_id == bindparam("tenant"), check_ins.c.target_digest.is_not(None))
    .distinct()
)


@dataclass(frozen=True, slots=True)
class Counted:
    """So many devices with one target and one report, of one operating system, whose agents know one catalog."""

    target: Digest
    status: Digest | None
    os_type: str
    catalog_version: str
    devices: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One device with its target and its report."""

    device_id: DeviceId
    display_name: str
    os_type: str
    catalog_version: str
    target: Digest
    status: Digest | None
    last_check_in: datetime | None
    status_at: datetime | None


def _of_targets(query: Select[Any]) -> Select[Any]:
    return query.join(devices, devices.c.id == check_ins.c.device_id).where(
        check_ins.c.target_digest.in_(bindparam("targets", expanding=True)),
        check_ins.c.tenant_id == bindparam("tenant"),
        devices.c.state == DeviceState.ACTIVE.value,
    )


_COUNTED: Final = _of_targets(
    select(
        check_ins.c.target_digest,
        check_ins.c.status_digest,
        devices.c.os_type,
        devices.c.catalog_version,
        func.count(),
    ).select_from(check_ins)
).group_by(check_ins.c.target_digest, check_ins.c.status_digest, devices.c.os_type, devices.c.catalog_version)
_STANDINGS: Final = _of_targets(
    select(
        check_ins.c.device_id,
        devices.c.display_name,
        devices.c.os_type,
        devices.c.catalog_version,
        check_ins.c.target_digest,
        check_ins.c.status_digest,
        check_ins.c.last_check_in,
        check_ins.c.status_at,
    ).select_from(check_ins)
)


def targets_in_use(connection: Connection, tenant_id: TenantId) -> frozenset[Digest]:
    """Return the targets that at least one device of a tenant has."""
    return frozenset(Digest(target) for (target,) in connection.execute(_TARGETS, {"tenant": tenant_id}))


def count_by_report(
    connection: Connection, tenant_id: TenantId, of: Iterable[Digest], only: Sequence[ColumnElement[bool]] = ()
) -> tuple[Counted, ...]:
    """Count the active devices with these targets, by target, report and traits; ``only`` speaks of ``check_ins``."""
    rows = connection.execute(_COUNTED.where(*only), {"targets": list(of), "tenant": tenant_id})
    return tuple(Counted(*row) for row in rows)


def list_devices(connection: Connection, tenant_id: TenantId, of: Iterable[Digest], page: Page) -> tuple[Standing, ...]:
    """Return one page of the active devices with these targets, ordered by id unless the page says otherwise."""
    asked = {"targets": list(of), "tenant": tenant_id}
    rows = paging.rows(connection, _STANDINGS, page, check_ins.c.device_id, asked)
    return tuple(Standing(*values) for values in map(tuple, rows))


def alike(kinds: Iterable[Counted]) -> ColumnElement[bool]:
    """Say that a device is of one of these kinds; for queries that read check-ins beside their devices."""
    traits: defaultdict[tuple[Digest, Digest | None], set[tuple[str, str]]] = defaultdict(set)
    for each in kinds:
        traits[each.target, each.status].add((each.os_type, each.catalog_version))
    together: defaultdict[frozenset[tuple[str, str]], list[tuple[Digest, Digest | None]]] = defaultdict(list)
    for pair, theirs in traits.items():
        together[frozenset(theirs)].append(pair)
    return or_(false(), *(and_(_of_traits(theirs), _of_pairs(pairs)) for theirs, pairs in together.items()))


def _of_traits(traits: Collection[tuple[str, str]]) -> ColumnElement[bool]:
    return tuple_(devices.c.os_type, devices.c.catalog_version).in_(sorted(traits))


def _of_pairs(pairs: Collection[tuple[Digest, Digest | None]]) -> ColumnElement[bool]:
    reported = [(target, status) for target, status in pairs if status is not None]
    silent = [target for target, status in pairs if status is None]
    return or_(
        false(),
        *((tuple_(check_ins.c.target_digest, check_ins.c.status_digest).in_(reported),) if reported else ()),
        *((and_(check_ins.c.target_digest.in_(silent), check_ins.c.status_digest.is_(None)),) if silent else ()),
    )
