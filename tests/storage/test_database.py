from __future__ import annotations

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from tests.support.samples import a_tenant, counted_id

from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.storage.errors import AlreadyExistsError
from shieldwall.server.storage.tables.schema import Moment
from shieldwall.server.storage.tenants import tenants


@pytest.fixture
def database(bare_database: Database) -> Database:
    """The engine itself is tried here, with rows that are nobody's."""
    return bare_database


class Broken(Exception):  # noqa: N818 - an accident of the test's own
    pass


def add_tenant(database: Database, number: int) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant(id=counted_id("1", number), domain=f"{number}.example"))


def count(database: Database) -> int:
    with database.read() as connection:
        return len(tenants.list_tenants(connection))


def test_what_was_written_is_there_when_the_block_ends(database: Database) -> None:
    add_tenant(database, 1)
    assert count(database) == 1


def test_a_block_that_raises_undoes_everything(database: Database) -> None:
    def break_down() -> None:
        with database.write() as connection:
            tenants.add(connection, a_tenant())
            raise Broken

    with pytest.raises(Broken):
        break_down()
    assert count(database) == 0


def test_a_glance_shows_what_was_committed(database: Database) -> None:
    with database.glance() as connection:
        assert tenants.list_tenants(connection) == ()
    add_tenant(database, 1)
    with database.glance() as connection:
        assert len(tenants.list_tenants(connection)) == 1


def test_nobody_sees_a_write_before_its_end(database: Database) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        assert count(database) == 0
    assert count(database) == 1


def test_a_read_is_one_consistent_view(database: Database) -> None:
    with database.read() as connection:
        assert tenants.list_tenants(connection) == ()
        add_tenant(database, 1)
        assert tenants.list_tenants(connection) == ()
    assert count(database) == 1


def test_a_reader_never_waits_for_a_writer(database: Database) -> None:
    add_tenant(database, 1)
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        with ThreadPoolExecutor() as pool:
            assert pool.submit(count, database).result(timeout=60) == 1


def test_writers_in_parallel_all_succeed(database: Database) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda number: add_tenant(database, number), range(40)))
    assert count(database) == 40


def test_a_reference_to_nothing_is_refused(database: Database) -> None:
    statement = text(
        "INSERT INTO people (id, tenant_id, user_name, display_name, created_at, valid_from)"
        " VALUES ('p', 'nobody', 'n', 'n', 0, 0)"
    )
    with pytest.raises(Exception, match=r"(?i)foreign key"), database.write() as connection:
        connection.execute(statement)


def test_what_was_to_be_written_stands_in_no_log(database: Database) -> None:
    secret = a_tenant(id=counted_id("1", 2), domain="1.example", display_name="Known to nobody")
    add_tenant(database, 1)

    with pytest.raises(AlreadyExistsError) as failed, database.write() as connection:
        tenants.add(connection, secret)

    logged = "".join(traceback.format_exception(failed.value))
    assert "INSERT INTO tenants" in logged
    assert secret.display_name not in logged


def test_a_database_that_is_away_says_so(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/absent/x.db", f"postgresql://nobody@/x?host={tmp_path}"):
        away = Database(url)
        with pytest.raises(StorageUnavailableError), away.read():
            pass
        with pytest.raises(StorageUnavailableError), away.write():
            pass
        away.close()


def test_a_full_disk_says_so_and_keeps_what_was_there(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "small.db")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE blobs (b BLOB)"))
        connection.execute(text("INSERT INTO blobs VALUES (x'01')"))

    def fill() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
            connection.exec_driver_sql("INSERT INTO blobs VALUES (zeroblob(1000000))")

    with pytest.raises(StorageUnavailableError, match="full"):
        fill()
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM blobs")).scalar_one() == 1
    database.close()


@pytest.mark.parametrize("statement", ["SELECT 1 FROM contracted", "SELECT contracted FROM tenants"])
def test_who_asks_for_what_a_newer_program_took_away_is_told_to_be_the_older_one(
    database: Database, statement: str
) -> None:
    with pytest.raises(StorageUnavailableError, match="another schema") as raised, database.read() as connection:
        connection.execute(text(statement))
    assert "contracted" in raised.value.cause
    assert "LINE 1" not in raised.value.cause
    assert "release" in raised.value.advice
    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "damaged.sqlite3").write_bytes(b"This is no database. " * 500)
    damaged = Database.at(tmp_path / "damaged.sqlite3")

    with pytest.raises(StorageUnavailableError, match="not a database"):
        count(damaged)
    damaged.close()


def test_a_database_that_only_reads_says_so(database: Database) -> None:
    def write() -> None:
        with database.write() as connection:
            connection.execute(text("PRAGMA query_only = 1" if database.is_sqlite else "SET TRANSACTION READ ONLY"))
            tenants.add(connection, a_tenant())

    with pytest.raises(StorageUnavailableError):
        write()


def test_who_asks_for_one_connection_too_many_is_told(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "server.sqlite3")
    database.engine.pool._timeout = 0.01  # type: ignore[attr-defined]

    def read_at_once(readers: ExitStack) -> None:
        for _ in range(100):
            readers.enter_context(database.read())

    with ExitStack() as readers, pytest.raises(StorageUnavailableError, match="in use"):
        read_at_once(readers)
    database.close()


def test_sqlite_keeps_what_it_acknowledged_through_a_power_cut(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "a.db")
    with database.read() as connection:

        def pragma(name: str) -> object:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()

        full = 2
        assert (pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")) == ("wal", full, 1)
    database.close()


def test_a_writer_waits_for_the_one_before_it(database: Database) -> None:
    """Both write the same row: on SQLite the second begins later, on PostgreSQL its statement waits."""
    add_tenant(database, 1)
    first_wrote, order = threading.Event(), list[str]()
    rename = text("UPDATE tenants SET display_name = :name")

    def second() -> None:
        first_wrote.wait(timeout=10)
        with database.write() as connection:
            connection.execute(rename, {"name": "second"})
            order.append("second")

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(second)
        with database.write() as connection:
            connection.execute(rename, {"name": "first"})
            first_wrote.set()
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
            order.append("first")
        waiting.result(timeout=10)
    assert order == ["first", "second"]


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-12, 12))  # noqa: DTZ001 - made aware below
def test_a_moment_comes_back_in_utc_to_the_millisecond(naive: datetime, hours: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    column = Moment()
    kept = column.process_bind_param(moment, None)  # type: ignore[arg-type]  # the dialect does not matter
    back = column.process_result_value(kept, None)  # type: ignore[arg-type]  # as above
    assert back is not None
    assert back.tzinfo is UTC
    assert timedelta(0) <= moment - back < timedelta(milliseconds=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=256))
def test_every_name_comes_back_as_it_was(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute(text("DELETE FROM tenants"))
        tenants.add(connection, a_tenant(display_name=name))
        assert tenants.list_tenants(connection)[0].display_name == name


def test_what_is_made_anew_may_leave_no_row_that_names_what_is_not_there(tmp_path: Path) -> None:
    with closing(Database.at(tmp_path / "server.db")) as database:
        with database.write() as connection:
            for statement in (
                "CREATE TABLE owners (id INTEGER PRIMARY KEY)",
                "CREATE TABLE things (owner INTEGER REFERENCES owners (id))",
                "INSERT INTO owners VALUES (1)",
                "INSERT INTO things VALUES (1)",
            ):
                connection.exec_driver_sql(statement)
        refused = pytest.raises(StorageUnavailableError, match="things names one of owners")
        with refused, database.rebuild() as connection:
            connection.exec_driver_sql("DELETE FROM owners")
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM owners").scalar() == 1
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1, "they are held again"
