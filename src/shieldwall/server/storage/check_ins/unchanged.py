"""Check-ins to which there is nothing to say, many at once: what nearly all check-ins are.

One statement asks for all that has to be true of such a check-in, and takes its number only then: it is its turn, the
key is the device's present one, and what device and server hold is equal. Of any other nothing is touched. So a batch
can neither answer wrongly nor fail for one of its members: whatever is left out goes the way that decides
(``manager.check_in``), alone.

SQLite runs the statement for each, prepared once by the driver; PostgreSQL takes them all as one document, which saves
the way there and back. Both are written from the same conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Text,
    Update,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from shieldwall.contract.ids import DeviceId, Digest, KeyThumbprint
from shieldwall.server.storage.device_records import SPEAKING
from shieldwall.server.storage.policies import aims
from shieldwall.server.storage.tables.columns import Moment
from shieldwall.server.storage.tables.device_schema import sightings
from shieldwall.server.storage.tables.digests import DIGEST
from shieldwall.server.storage.tables.schema import check_ins, devices

_SPEAKING: Final[list[ColumnElement[str]]] = [literal_column(f"'{state.value}'") for state in sorted(SPEAKING)]


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A check-in that brings nothing new: whose it is, which number it takes, and what the device has."""

    device: DeviceId
    key: KeyThumbprint
    epoch: int
    seq: int
    digest: Digest
    """Of the request itself."""
    target: Digest | None
    facts: Digest | None
    status: Digest | None
    place: str
    """Where it speaks from, as ``sightings.place`` names it."""
    protocol: int


_KINDS: Final = {"epoch": BigInteger(), "seq": BigInteger(), "protocol": Integer()}
_DIGESTS: Final = ("digest", "target", "facts", "status")
_HEX: Final = literal_column("'hex'", Text())
_NAMES: Final = Asked.__struct_fields__


def _taking(asked: Mapping[str, ColumnElement[Any]]) -> Update:
    """Take the number of a check-in, and note when it came, if there is nothing to say to it."""
    at: ColumnElement[Any] = bindparam("at", type_=BigInteger())
    seen = (
        select(sightings.c.instance_id + literal_column("' '") + sightings.c.boot_id)
        .where(sightings.c.device_id == check_ins.c.device_id)
        .order_by(sightings.c.at.desc())
        .limit(literal_column("1"))
        .scalar_subquery()
    )
    # Its value, not its existence: of that PostgreSQL would make a join, and of the join a pass over all devices.
    speaking_key = (
        select(devices.c.key_thumbprint)
        .where(
            devices.c.id == check_ins.c.device_id,
            devices.c.state.in_(_SPEAKING),
            or_(devices.c.certificate_expires_at.is_(None), devices.c.certificate_expires_at > at),
        )
        .scalar_subquery()
    )
    return (
        check_ins.update()
        .where(
            check_ins.c.device_id == asked["device"],
            check_ins.c.epoch == asked["epoch"],
            check_ins.c.seq < asked["seq"],
            or_(check_ins.c.target_digest.is_(None), check_ins.c.target_digest == asked["target"]),
            check_ins.c.facts_digest.is_not_distinct_from(asked["facts"]),
            check_ins.c.status_digest.is_not_distinct_from(asked["status"]),
            check_ins.c.protocol == asked["protocol"],
            aims.is_up_to_date(),
            speaking_key == asked["key"],
            seen == asked["place"],
        )
        .values(seq=asked["seq"], request_digest=asked["digest"], last_check_in=at, sync_requested_at=null())
    )


def _one_for_sqlite() -> tuple[str, Mapping[str, Any], Callable[[Mapping[str, Any]], tuple[Any, ...]]]:
    """Return the statement, the values in it that nobody gives, and what takes all values in their order."""
    kinds = {name: DIGEST if name in _DIGESTS else _KINDS.get(name, Text()) for name in _NAMES}
    named = {name: bindparam(name, type_=kind) for name, kind in kinds.items()}
    compiled = _taking(named).compile(dialect=sqlite.dialect(paramstyle="qmark"))
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    return str(compiled), constants, itemgetter(*compiled.positiontup or ())


def _all_for_postgresql() -> str:
    document = cast(bindparam("asked", type_=Text()), JSON())
    rows = (
        func.json_to_recordset(document)
        .table_valued(*(column(name, _KINDS.get(name, Text())) for name in _NAMES))
        .render_derived("asked", with_types=True)
    )
    given: dict[str, ColumnElement[Any]] = {name: rows.c[name] for name in _NAMES}
    given |= {name: func.decode(given[name], _HEX, type_=DIGEST) for name in _DIGESTS}
    statement = _taking(given).returning(rows.c.device)
    return str(statement.compile(dialect=postgresql.dialect(paramstyle="pyformat")))  # type: ignore[no-untyped-call]  # as SQLAlchemy leaves it


_ONE, _CONSTANTS, _in_order = _one_for_sqlite()
_ALL: Final = _all_for_postgresql()
_encoder: Final = msgspec.json.Encoder()


def take(connection: Connection, asked: Sequence[Asked], at: datetime) -> list[bool]:
    """Take the numbers of those to which there is nothing to say; tell of each whether it was one.

    Of several of one device only the first is looked at.
    """
    firsts = {each.device: each for each in reversed(asked)}
    moment = Moment().process_bind_param(at, connection.dialect)
    if connection.dialect.name == "sqlite":
        taken = _one_after_the_other(connection, firsts.values(), moment)
    else:
        # In one order of devices, so that gateways do not wait for each other in a circle.
        document = _encoder.encode([firsts[device] for device in sorted(firsts)]).decode()
        taken = {device for (device,) in connection.exec_driver_sql(_ALL, {"asked": document, "at": moment})}
    return [each.device in taken and firsts[each.device] is each for each in asked]


def _one_after_the_other(connection: Connection, asked: Iterable[Asked], at: int | None) -> set[DeviceId]:
    same = {**_CONSTANTS, "at": at}
    with closing(connection.connection.cursor()) as cursor:
        return {each.device for each in asked if cursor.execute(_ONE, _in_order(_as_kept(each, same))).rowcount == 1}


def _as_kept(asked: Asked, same: dict[str, Any]) -> dict[str, Any]:
    """Return its values as SQLite keeps them, bytes in arrays: of others the driver asks first what they become."""
    values: dict[str, Any] = msgspec.structs.asdict(asked) | same
    for name in _DIGESTS:
        if (digest := values[name]) is not None:
            values[name] = bytearray.fromhex(digest)
    return values
