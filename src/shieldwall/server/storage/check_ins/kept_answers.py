"""Answers that were kept for a repeat, and that nobody can ask for any more.

An answer with a manifest is several kilobytes, and every device has got one. It is given again only to a repeat of the
device's newest request: once the device has taken another number, its text is dead weight. Its number stays, because it
tells which check-in brought the device something new (``check_ins.answered``).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import ColumnElement, Connection, exists, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.statements.bulk import is_one_of
from shieldwall.server.storage.tables.schema import check_in_answers, check_ins, inventory

_EMPTY: Final = b""


def portion(connection: Connection, tenant_id: TenantId, after: str, most: int) -> tuple[DeviceId, ...]:
    """Return devices of a tenant, ordered by id, at most so many after one.

    Answers are ordered by device alone: to go through them would be to read those of all tenants for each.
    """
    query = (
        select(inventory.c.device_id)
        .where(inventory.c.tenant_id == tenant_id, inventory.c.device_id > after)
        .order_by(inventory.c.device_id)
        .limit(most)
    )
    return tuple(map(DeviceId, connection.scalars(query)))


def superseded(connection: Connection, device_ids: Collection[DeviceId]) -> tuple[DeviceId, ...]:
    """Return those of these devices whose kept answer cannot be asked for any more and is not emptied yet."""
    query = select(check_in_answers.c.device_id).where(_theirs(connection, device_ids), _is_superseded())
    return tuple(map(DeviceId, connection.scalars(query)))


def empty_superseded(connection: Connection, device_ids: Collection[DeviceId]) -> int:
    """Drop the texts of these devices' answers, as far as they are still superseded; return how many were."""
    statement = check_in_answers.update().where(_theirs(connection, device_ids), _is_superseded()).values(body=_EMPTY)
    return connection.execute(statement).rowcount


def _theirs(connection: Connection, device_ids: Collection[DeviceId]) -> ColumnElement[bool]:
    return is_one_of(connection, check_in_answers.c.device_id, device_ids)


def _is_superseded() -> ColumnElement[bool]:
    """Say that a later number was taken. An answer that is just being kept has the newest number, so it never is."""
    later = exists().where(
        check_ins.c.device_id == check_in_answers.c.device_id, check_ins.c.seq > check_in_answers.c.seq
    )
    return (check_in_answers.c.body != _EMPTY) & later
