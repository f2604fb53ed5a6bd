from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from tests.support.samples import TENANT_ID, a_tenant

from shieldwall.server.storage import tenants
from shieldwall.server.storage.database import Database
from shieldwall.server.storage.migrate import UnknownSchemaError, _config, is_current, upgrade
from shieldwall.server.storage.schema import metadata


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


def test_the_migrations_lead_to_the_schema(empty: Database) -> None:
    upgrade(empty)
    with empty.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_a_migrated_database_is_built_like_one_made_from_the_schema(empty: Database) -> None:
    with empty.write() as connection:
        metadata.create_all(connection)
        made = _anatomy(connection)
        metadata.drop_all(connection)
    upgrade(empty)
    with empty.read() as connection:
        migrated = _anatomy(connection)
    assert migrated.pop("alembic_version")
    assert migrated == made


def test_a_database_is_current_after_the_upgrade_and_not_before(empty: Database) -> None:
    assert not is_current(empty)
    upgrade(empty)
    assert is_current(empty)


def test_upgrading_again_keeps_every_row(empty: Database) -> None:
    upgrade(empty)
    with empty.write() as connection:
        tenants.add(connection, a_tenant())
    upgrade(empty)
    with empty.read() as connection:
        assert tenants.get(connection, TENANT_ID) == a_tenant()


def test_an_upgrade_that_fails_leaves_nothing_behind(empty: Database) -> None:
    with empty.write() as connection:
        connection.execute(text("CREATE TABLE sessions (mine INTEGER)"))  # in the way of a later step
    with pytest.raises(Exception, match="sessions"):
        upgrade(empty)
    with empty.read() as connection:
        assert inspect(connection).get_table_names() == ["sessions"]


def test_the_schema_of_a_newer_program_is_left_alone(empty: Database) -> None:
    upgrade(empty)
    with empty.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert not is_current(empty)
    with pytest.raises(UnknownSchemaError, match="9999"):
        upgrade(empty)


def test_the_first_revision_can_be_undone(empty: Database) -> None:
    upgrade(empty)
    with empty.write() as connection:
        command.downgrade(_config(connection), "base")
    with empty.read() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]


def _anatomy(connection: Connection) -> dict[str, Any]:
    """Everything the engine knows about each table, order left out where it means nothing."""
    inspector = inspect(connection)

    def known(table: str) -> dict[str, Any]:
        return {
            "columns": [
                (str(column["name"]), str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(map(repr, inspector.get_foreign_keys(table))),
            "unique": sorted(map(repr, inspector.get_unique_constraints(table))),
            "indexes": sorted(map(repr, inspector.get_indexes(table))),
        }

    return {table: known(table) for table in inspector.get_table_names()}
