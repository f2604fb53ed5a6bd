"""Where devices stand: which target each shall enforce and which report it sent, read for many devices at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, false, func, literal, or_, select, tuple_

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.bulk import unsought
from shieldwall.server.storage.tables.schema import check_ins, devices

FEW: Final = 20_000
"""Devices that are put in order within the time of a page."""


def _targets() -> Select[Any]:
    """Select the distinct targets by looking up the next one in the index, however many devices share each."""
    mine = check_ins.c.tenant_id == bindparam("tenant")
    target = check_ins.c.target_digest
    lowest = select(target).where(mine, target.is_not(None)).order_by(target).limit(1)
    found = select(lowest.scalar_subquery().label("target")).cte("found", recursive=True)
    following = select(target).where(mine, target > found.c.target).order_by(target).limit(1)
    found = found.union_all(select(following.scalar_subquery()).where(found.c.target.is_not(None)))
    return select(found.c.target).where(found.c.target.is_not(None))


_TARGETS: Final = _targets()


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
    return _active(query).where(
        check_ins.c.target_digest.in_(bindparam("targets", expanding=True)),
        check_ins.c.tenant_id == bindparam("tenant"),
    )


def _active(query: Select[Any]) -> Select[Any]:
    return query.join(devices, devices.c.id == check_ins.c.device_id).where(devices.c.state == DeviceState.ACTIVE.value)


_COUNTED: Final = _of_targets(
    select(
        check_ins.c.target_digest,
        check_ins.c.status_digest,
        devices.c.os_type,
        devices.c.catalog_version,
        func.count(),
    ).select_from(check_ins)
).group_by(check_ins.c.target_digest, check_ins.c.status_digest, devices.c.os_type, devices.c.catalog_version)
_STANDINGS: Final = _active(
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


def list_devices(
    connection: Connection, tenant_id: TenantId, of: Iterable[Digest], page: Page, *, many: bool | None = None
) -> tuple[Standing, ...]:
    """Return one page of the active devices with these targets, ordered by id unless the page says otherwise.

    ``many`` says whether more than ``FEW`` have them, where that is known: few are looked up and put in order, of many
    some are met soon on the way through all devices.
    """
    wanted = list(of)
    if many is None:
        many = not page.order and _are_many(connection, tenant_id, wanted)
    query = _STANDINGS.where(_has_target(unindexed=many), _is_of_tenant(unindexed=many))
    rows = paging.rows(connection, query, page, check_ins.c.device_id, {"targets": wanted, "tenant": tenant_id})
    return tuple(Standing(*values) for values in map(tuple, rows))


def _are_many(connection: Connection, tenant_id: TenantId, of: Sequence[Digest]) -> bool:
    some = select(literal(1)).select_from(check_ins).where(_has_target(), _is_of_tenant()).limit(FEW + 1).subquery()
    counted = select(func.count()).select_from(some)
    return connection.scalars(counted, {"targets": list(of), "tenant": tenant_id}).one() > FEW


def _has_target(*, unindexed: bool = False) -> ColumnElement[bool]:
    return _as_it_is(check_ins.c.target_digest, unindexed=unindexed).in_(bindparam("targets", expanding=True))


def _is_of_tenant(*, unindexed: bool = False) -> ColumnElement[bool]:
    return _as_it_is(check_ins.c.tenant_id, unindexed=unindexed) == bindparam("tenant")


def _as_it_is(column: ColumnElement[Any], *, unindexed: bool) -> ColumnElement[Any]:
    """Return a column, or the same in a way that no index answers: devices are then read in their own order."""
    return unsought(column) if unindexed else column


def alike(kinds: Iterable[Counted]) -> ColumnElement[bool]:
    """Say that a device is of one of these kinds; for ``list_devices``. More than ``FEW`` are not looked up."""
    kinds = tuple(kinds)
    many = sum(each.devices for each in kinds) > FEW
    traits: defaultdict[tuple[Digest, Digest | None], set[tuple[str, str]]] = defaultdict(set)
    for each in kinds:
        traits[each.target, each.status].add((each.os_type, each.catalog_version))
    together: defaultdict[frozenset[tuple[str, str]], list[tuple[Digest, Digest | None]]] = defaultdict(list)
    for pair, theirs in traits.items():
        together[frozenset(theirs)].append(pair)
    return or_(
        false(), *(and_(_of_traits(theirs), _of_pairs(pairs, unindexed=many)) for theirs, pairs in together.items())
    )


def _of_traits(traits: Collection[tuple[str, str]]) -> ColumnElement[bool]:
    return tuple_(devices.c.os_type, devices.c.catalog_version).in_(sorted(traits))


def _of_pairs(pairs: Collection[tuple[Digest, Digest | None]], *, unindexed: bool) -> ColumnElement[bool]:
    target = _as_it_is(check_ins.c.target_digest, unindexed=unindexed)
    status = _as_it_is(check_ins.c.status_digest, unindexed=unindexed)
    reported = [(digest, report) for digest, report in pairs if report is not None]
    silent = [digest for digest, report in pairs if report is None]
    return or_(
        false(),
        *((tuple_(target, status).in_(reported),) if reported else ()),
        *((and_(target.in_(silent), check_ins.c.status_digest.is_(None)),) if silent else ()),
    )
