"""What is looked up past SQLAlchemy's own steps: the same rows, in the same transaction, with the same errors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, bindparam, event, literal, select, text
from sqlalchemy.exc import DBAPIError
from tests.storage.test_apps import an_app
from tests.support.databases import on_postgresql_alone, on_sqlite_alone
from tests.support.samples import NOON

from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.storage.identity import apps
from shieldwall.server.storage.statements.look_ups import LookUp
from shieldwall.server.storage.tables.columns import Moment
from shieldwall.server.storage.tables.schema import apps as apps_table
from shieldwall.server.storage.tables.schema import tenants as tenants_table

ECHO = LookUp(
    select(
        bindparam("text").label("text"),
        bindparam("number", type_=BigInteger()).label("number"),
        bindparam("is_so", type_=Boolean()).label("is_so"),
        bindparam("at", type_=Moment()).label("at"),
        literal("a 'constant' of 100 %: one"),
        literal(True),
    )
)
APPS = LookUp(select(apps_table).where(apps_table.c.valid_from <= bindparam("at")).order_by(apps_table.c.client_id))
ALL_TENANTS = LookUp(select(tenants_table.c.id))
NONSENSE = LookUp(select(text("1 FROM nothing")))
SLOW = LookUp(select(text("pg_sleep(60)")))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    number=st.integers(-(2**62), 2**62),
    is_so=st.booleans(),
)
def test_rows_are_those_that_sqlalchemy_reads(database: Database, words: str, number: int, is_so: bool) -> None:
    values = {"text": words, "number": number, "is_so": is_so, "at": NOON}
    with database.read() as connection:
        found = ECHO.rows(connection, values)
        assert found == [tuple(row) for row in connection.execute(ECHO.query, values)]
    assert found == [(words, number, is_so, NOON, "a 'constant' of 100 %: one", True)]
    assert [type(each) for each in found[0]] == [str, int, bool, type(NOON), str, bool]


def test_columns_become_what_they_are(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        for number in (2, 1):
            apps.add(connection, an_app(number))
        rows = APPS.rows(connection, {"at": NOON})
        assert rows == [tuple(row) for row in connection.execute(APPS.query, {"at": NOON})]
    assert [row[0] for row in rows] == [an_app(1).client_id, an_app(2).client_id]
    assert rows[0][4] == NOON


def test_a_key_names_one_row_or_none(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        apps.add(connection, an_app(1))
        one = LookUp(select(apps_table.c.display_name).where(apps_table.c.client_id == bindparam("id")))
        assert one.row(connection, {"id": an_app(1).client_id}) == ("app-1",)
        assert one.row(connection, {"id": an_app(2).client_id}) is None


def test_look_ups_of_one_transaction_share_one_view(tenant_database: Database) -> None:
    with tenant_database.read() as connection:
        before = ALL_TENANTS.rows(connection, {})
        with tenant_database.write() as other:
            apps.add(other, an_app(1))
        assert ALL_TENANTS.rows(connection, {}) == before
        assert APPS.rows(connection, {"at": NOON}) == []
        assert apps.find(connection, an_app(1).client_id) is None


def test_a_look_up_begins_what_is_written_behind_it(tenant_database: Database) -> None:
    """Were it outside, what follows would be kept although the transaction is undone."""

    def look_write_and_fail() -> None:
        with tenant_database.write() as connection:
            assert APPS.rows(connection, {"at": NOON}) == []
            apps.add(connection, an_app(1))
            raise LookupError

    with pytest.raises(LookupError):
        look_write_and_fail()
    with tenant_database.read() as connection:
        assert apps.find(connection, an_app(1).client_id) is None


def test_the_driver_s_errors_come_as_always(database: Database) -> None:
    with database.read() as connection, pytest.raises(DBAPIError, match="nothing") as raised:
        NONSENSE.rows(connection, {})
    with database.read() as connection, pytest.raises(DBAPIError) as expected:
        connection.execute(NONSENSE.query)
    assert type(raised.value) is type(expected.value)
    assert not raised.value.connection_invalidated
    with database.read() as connection:  # and the connection goes on being used
        assert ALL_TENANTS.rows(connection, {})


@on_postgresql_alone
def test_a_look_up_after_which_the_connection_is_gone_says_so(database: Database) -> None:
    def look() -> None:
        with database.read() as connection:
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
            with database.write() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            ALL_TENANTS.rows(connection, {})

    with pytest.raises(StorageUnavailableError):
        look()
    with database.read() as connection:
        assert ALL_TENANTS.rows(connection, {})


@on_postgresql_alone
def test_a_look_up_is_held_to_the_time_of_every_statement(database: Database) -> None:
    def look() -> None:
        with database.read() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 20"))
            SLOW.rows(connection, {})

    with pytest.raises(StorageUnavailableError, match="timeout"):
        look()


@on_sqlite_alone
def test_what_follows_statements_is_shown_those_that_are_looked_up(tenant_database: Database) -> None:
    shown: list[str] = []

    def show(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        shown.append(statement)

    event.listen(tenant_database.followed, "before_cursor_execute", show)
    for opened in (tenant_database.read, tenant_database.glance, tenant_database.write):
        with opened() as connection:
            assert ALL_TENANTS.rows(connection, {}) == [tuple(row) for row in connection.execute(ALL_TENANTS.query)]
    assert len(shown) == 6
    event.remove(tenant_database.followed, "before_cursor_execute", show)
