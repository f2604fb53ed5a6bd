"""What the columns of all tables have in common: names of constraints, kinds of columns, moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, Column, Dialect, Integer, MetaData, String, TypeDecorator

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """A UTC time kept as milliseconds since 1970: compares, sorts and travels alike on both engines."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Turn an aware time into milliseconds."""
        return None if value is None else (value - _EPOCH) // timedelta(milliseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - as above
        """Turn milliseconds into an aware time."""
        return None if value is None else _EPOCH + timedelta(milliseconds=value)


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SOME_ROOM: Final = {"fillfactor": 85}
"""A part of each page stays free on PostgreSQL: a row that changes finds room beside its former self.

Without, every index of a table takes up each row anew, also those whose columns did not change. Rows change in
portions: what a portion left behind is free before the next comes, so a little room is enough.
"""
UUID: Final = String(36)
NAME: Final = String(256)


def own_number() -> Column[int]:
    """Return the column with the number that the database gives a row: what narrow rows name it by (decision 0091).

    On SQLite it is the row's own place in its table and takes no room; a number may be given again once its row is
    gone. Nobody outside of storage sees it.
    """
    return Column("number", Integer, primary_key=True)
