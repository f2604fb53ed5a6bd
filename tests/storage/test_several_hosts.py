"""URLs of databases on several hosts, as the server reads them and as PostgreSQL's own programs do."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from shieldwall.server.backup.databases import _without_password
from shieldwall.server.storage.engine.postgresql import parse

CASES = [
    (
        "postgresql://s:pw@db-1,db-2:5433/shieldwall?target_session_attrs=read-write",
        {"host": "db-1,db-2", "port": "5432,5433", "target_session_attrs": "read-write", "password": "pw"},
        "postgresql://s@db-1:5432,db-2:5433/shieldwall?target_session_attrs=read-write",
    ),
    ("postgresql://one,two/db", {"host": "one,two", "port": "5432,5432"}, "postgresql://one:5432,two:5432/db"),
    ("postgresql://s:pw@db:5433/db", {"host": "db", "port": 5433, "password": "pw"}, "postgresql://s@db:5433/db"),
    ("postgresql://s@/db?host=/run/p", {"host": "/run/p", "user": "s"}, "postgresql://s@/db?host=%2Frun%2Fp"),
]


@pytest.mark.parametrize(("url", "asked", "written"), CASES)
def test_hosts_stand_where_one_does(url: str, asked: dict[str, object], written: str) -> None:
    _, given = PGDialect_psycopg().create_connect_args(parse(url))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it
    assert asked.items() <= given.items()
    assert _without_password(parse(url)) == written
