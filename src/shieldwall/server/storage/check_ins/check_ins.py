"""The narrow row behind every check-in, and the answers kept for repeats.

A check-in that changes nothing is one statement: it takes the sequence number where that is fresh, the key that signed
is the device's present one, and the device may still speak; and it returns what the server knows, to be compared.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, Insert, Update, bindparam, delete, exists, literal_column, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from shieldwall.contract.ids import DeviceId, Digest, KeyThumbprint, TenantId
from shieldwall.contract.messages import PROTOCOL
from shieldwall.server.storage.check_ins import device_reports, statuses
from shieldwall.server.storage.device_records import SPEAKING, CheckInState, DeviceState
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.inventory import inventory_rows
from shieldwall.server.storage.policies import aims
from shieldwall.server.storage.statements.bulk import is_named, is_one_of
from shieldwall.server.storage.statements.rows import whole
from shieldwall.server.storage.tables.device_schema import sightings
from shieldwall.server.storage.tables.schema import check_in_answers, check_ins, devices, tenants
from shieldwall.server.storage.tables.tenant_numbers import NumberOf

_ID: Final = check_ins.c.device_id
_SPEAKING: Final[list[ColumnElement[str]]] = [literal_column(f"'{state.value}'") for state in sorted(SPEAKING)]
"""Written into the statement: a list of values would be laid out anew at every check-in."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the server holds for a device, each by its digest; its state, and where it was seen last, if anywhere."""

    target: Digest | None
    facts: Digest | None
    status: Digest | None
    state: DeviceState
    seen: str | None
    """The place, as ``sightings.place`` names it."""
    protocol: int
    """What it understands, as far as the server knows."""


def _takes_number() -> Update:
    return (
        check_ins.update()
        .where(
            bindparam("device") == _ID,
            check_ins.c.epoch == bindparam("at_epoch"),
            check_ins.c.seq < bindparam("next_seq"),
            exists().where(
                devices.c.id == _ID,
                devices.c.key_thumbprint == bindparam("key"),
                devices.c.state.in_(_SPEAKING),
                or_(
                    devices.c.certificate_expires_at.is_(None),  # issued before ends were kept: renewed in its time
                    devices.c.certificate_expires_at > bindparam("valid_at"),
                ),
            ),
        )
        .values(seq=bindparam("next_seq"), request_digest=bindparam("digest"))
    )


_TENANT: Final = NumberOf(select(devices.c.tenant_id).where(devices.c.id == bindparam("of_device")).scalar_subquery())
_REACHED: Final = (
    select(tenants.c.aims_version)
    .join(devices, devices.c.tenant_id == tenants.c.id)
    .where(devices.c.id == bindparam("of_device"))
    .scalar_subquery()
)


def _keeps_answer(insert: sqlite.Insert | postgresql.Insert) -> Insert:
    return insert.values(tenant_id=_TENANT).on_conflict_do_update(
        index_elements=["device_id"],
        set_={"seq": insert.excluded.seq, "body": insert.excluded.body},
        where=check_in_answers.c.seq < insert.excluded.seq,
    )


_ADD: Final = check_ins.insert().values(tenant_id=_TENANT, aims_version=_REACHED)
_TAKE_NUMBER: Final = _takes_number()
_CHECK_IN: Final = (
    _takes_number()
    .where(aims.is_up_to_date())
    .values(last_check_in=bindparam("at"), sync_requested_at=None)
    .returning(
        check_ins.c.target_digest,
        check_ins.c.facts_digest,
        check_ins.c.status_digest,
        # Not by the column of the outer table: SQLite's RETURNING would take its name for the inner one's.
        select(devices.c.state).where(devices.c.id == bindparam("device")).scalar_subquery(),
        select(sightings.c.instance_id + literal_column("' '") + sightings.c.boot_id)
        .where(sightings.c.device_id == bindparam("device"))
        .order_by(sightings.c.at.desc())
        .limit(literal_column("1"))
        .scalar_subquery(),
        check_ins.c.protocol,
    )
)
_ONE: Final = select(*whole(check_ins)).where(bindparam("device") == _ID)
_ANSWER: Final = select(check_in_answers.c.body).where(
    check_in_answers.c.device_id == bindparam("device"), check_in_answers.c.seq == bindparam("at_seq")
)
_ANSWERED: Final = select(check_in_answers.c.seq).where(check_in_answers.c.device_id == bindparam("device"))
_START_EPOCH: Final = (
    check_ins.update()
    .where(bindparam("device") == _ID)
    .values(epoch=check_ins.c.epoch + 1, seq=0, request_digest=None)
    .returning(check_ins.c.epoch)
)
_KEEP_ANSWER: Final = {
    "sqlite": _keeps_answer(sqlite.insert(check_in_answers)),
    "postgresql": _keeps_answer(postgresql.insert(check_in_answers)),
}
_FORGET_ANSWER: Final = delete(check_in_answers).where(check_in_answers.c.device_id == bindparam("device"))
_SET_FACTS: Final = check_ins.update().where(bindparam("device") == _ID).values(facts_digest=bindparam("digest"))
_STATUS: Final = select(check_ins.c.tenant_id, check_ins.c.status_digest).where(bindparam("device") == _ID)
_SET_STATUS: Final = (
    check_ins.update()
    .where(bindparam("device") == _ID)
    .values(status_digest=bindparam("digest"), status_at=bindparam("at"))
)
_SET_TARGET: Final = (
    check_ins.update().where(is_named(_ID)).values(target_digest=bindparam("digest"), sync_requested_at=bindparam("at"))
)
_SET_PROTOCOL: Final = check_ins.update().where(bindparam("device") == _ID).values(protocol=bindparam("spoken"))
_SYNC: Final = (
    check_ins.update().where(_ID.in_(bindparam("ids", expanding=True))).values(sync_requested_at=bindparam("at"))
)
_MANY: Final = select(*whole(check_ins)).where(is_named(_ID))
_DUE: Final = select(_ID).where(_ID.in_(bindparam("ids", expanding=True)), check_ins.c.sync_requested_at.is_not(None))


def add(connection: Connection, device_id: DeviceId, *, epoch: int = 1, protocol: int = PROTOCOL) -> None:
    """Start the sequence of a new device that speaks this protocol; policies are aimed at it in this transaction."""
    row = {"device_id": device_id, "of_device": device_id, "epoch": epoch, "seq": 0, "protocol": protocol}
    connection.execute(_ADD, row)


def check_in(
    connection: Connection,
    device_id: DeviceId,
    *,
    key: KeyThumbprint,
    epoch: int,
    seq: int,
    digest: Digest,
    at: datetime,
) -> Known | None:
    """Take a fresh number for a check-in and return what is known.

    ``None`` where it is not this device's turn, or where it is behind the changes of its tenant (``aims``).
    """
    row = connection.execute(
        _CHECK_IN,
        {
            "device": device_id,
            "key": key,
            "at_epoch": epoch,
            "next_seq": seq,
            "digest": digest,
            "at": at,
            "valid_at": at,
        },
    ).one_or_none()
    return None if row is None else Known(row[0], row[1], row[2], DeviceState(row[3]), row[4], row[5])


def take_number(
    connection: Connection,
    device_id: DeviceId,
    *,
    key: KeyThumbprint,
    epoch: int,
    seq: int,
    digest: Digest,
    valid_at: datetime,
) -> bool:
    """Take a fresh number for another request; say whether it was this device's turn.

    The certificate of the device has to be good at ``valid_at``.
    """
    taken = connection.execute(
        _TAKE_NUMBER,
        {
            "device": device_id,
            "key": key,
            "at_epoch": epoch,
            "next_seq": seq,
            "digest": digest,
            "valid_at": valid_at,
        },
    )
    return taken.rowcount == 1


def start_epoch(connection: Connection, device_id: DeviceId) -> int:
    """Let a device count anew after 0, in its next epoch, which is returned; no answer of the last one is given again.

    Raises:
        NotFoundError: There is no such device.
    """
    epoch = connection.execute(_START_EPOCH, {"device": device_id}).scalar_one_or_none()
    if epoch is None:
        raise NotFoundError(f"There is no device {device_id}.")
    connection.execute(_FORGET_ANSWER, {"device": device_id})
    return int(epoch)


def get(connection: Connection, device_id: DeviceId) -> CheckInState:
    """Return where a device stands. Raises: NotFoundError."""
    if (found := find(connection, device_id)) is None:
        raise NotFoundError(f"There is no device {device_id}.")
    return found


def find(connection: Connection, device_id: DeviceId) -> CheckInState | None:
    """Return where a device stands, ``None`` where there is no such device."""
    row = connection.execute(_ONE, {"device": device_id}).mappings().one_or_none()
    return None if row is None else CheckInState(**row)


def find_many(connection: Connection, device_ids: Collection[DeviceId]) -> dict[DeviceId, CheckInState]:
    """Return where these devices stand, those that are there."""
    found = (CheckInState(**row._asdict()) for row in connection.execute(_MANY, {"ids": device_ids}))
    return {state.device_id: state for state in found}


def targets_of(connection: Connection, device_ids: Collection[DeviceId]) -> dict[DeviceId, Digest]:
    """Return the targets of those of these devices that have one."""
    query = select(_ID, check_ins.c.target_digest).where(
        is_one_of(connection, _ID, device_ids), check_ins.c.target_digest.is_not(None)
    )
    return {DeviceId(device_id): Digest(digest) for device_id, digest in connection.execute(query)}


def set_facts(connection: Connection, device_id: DeviceId, digest: Digest) -> None:
    """Point a device to the facts it sent."""
    connection.execute(_SET_FACTS, {"device": device_id, "digest": digest})


def set_protocol(connection: Connection, device_id: DeviceId, protocol: int) -> None:
    """Note what a device understands from now on."""
    connection.execute(_SET_PROTOCOL, {"device": device_id, "spoken": protocol})


def set_status(connection: Connection, device_id: DeviceId, digest: Digest, at: datetime) -> None:
    """Point a device to the report it sent; the one before goes, unless another device points to it."""
    tenant_id, before = connection.execute(_STATUS, {"device": device_id}).one()
    connection.execute(_SET_STATUS, {"device": device_id, "digest": digest, "at": at})
    inventory_rows.take_report(connection, device_id, digest)
    if before != digest:
        device_reports.add(connection, device_id, TenantId(tenant_id), digest, at)
    if before not in {None, digest}:
        statuses.remove_unused(connection, TenantId(tenant_id), before)


def set_target(connection: Connection, device_ids: Collection[DeviceId], digest: Digest, at: datetime) -> None:
    """Give devices a new target, and ask those that wait to come and fetch it."""
    connection.execute(_SET_TARGET, {"ids": device_ids, "digest": digest, "at": at})


def request_sync(connection: Connection, device_ids: Collection[DeviceId], at: datetime) -> int:
    """Ask devices to check in; return how many there are."""
    return connection.execute(_SYNC, {"ids": list(device_ids), "at": at}).rowcount


def clear_sync(connection: Connection, device_id: DeviceId) -> None:
    """Note that a device has what it was asked to come for."""
    connection.execute(_SYNC, {"ids": [device_id], "at": None})


def due(connection: Connection, device_ids: Collection[DeviceId]) -> frozenset[DeviceId]:
    """Return those of these devices that are asked to check in."""
    return frozenset(DeviceId(device) for (device,) in connection.execute(_DUE, {"ids": list(device_ids)}))


def keep_answer(connection: Connection, device_id: DeviceId, seq: int, body: bytes) -> None:
    """Keep the answer to the newest check-in; the first answer to a number stays."""
    row = {"device_id": device_id, "of_device": device_id, "seq": seq, "body": body}
    connection.execute(_KEEP_ANSWER[connection.dialect.name], row)


def answered(connection: Connection, device_id: DeviceId) -> int | None:
    """Return the number of the last check-in that was answered with something new, if any was in this epoch."""
    return connection.execute(_ANSWERED, {"device": device_id}).scalar_one_or_none()


def find_answer(connection: Connection, device_id: DeviceId, seq: int) -> bytes | None:
    """Return the answer kept for a number, ``None`` when none is."""
    return connection.execute(_ANSWER, {"device": device_id, "at_seq": seq}).scalar_one_or_none()
