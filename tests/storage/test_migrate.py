from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.exc import IntegrityError
from tests.support.full_database import fill
from tests.support.samples import TENANT_ID, a_tenant
from tests.support.second_tenant import FABRIKAM

from shieldwall.contract.ids import PolicyId
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.engine.migrate import UnknownSchemaError, _config, is_current, upgrade
from shieldwall.server.storage.policies import assignments, revisions
from shieldwall.server.storage.records import Assignment, AssignmentKind, Page
from shieldwall.server.storage.tables.digests import DIGEST
from shieldwall.server.storage.tables.schema import metadata
from shieldwall.server.storage.tables.schema import tenants as tenant_rows
from shieldwall.server.storage.tables.tenant_numbers import TENANT
from shieldwall.server.storage.tenants import tenants


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


def test_the_migrations_lead_to_the_schema(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(empty)
    engine = empty.engine.dialect.name
    for table in metadata.tables.values():  # of an index that differs by engine there is one for each
        of_this_one = {index for index in table.indexes if index.info.get("engine", engine) == engine}
        monkeypatch.setattr(table, "indexes", of_this_one)
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


def test_what_was_assigned_before_filters_came_stays_assigned_and_can_go_back(empty: Database) -> None:
    with empty.write() as connection:
        command.upgrade(_config(connection), "0002")
        for row in _OF_0002:
            values = {"tenant": TENANT_ID, "policy": _POLICY, "digest": "d" * 64}
            connection.execute(text(row), {name: value for name, value in values.items() if f":{name}" in row})
    upgrade(empty)
    with empty.rebuild() as connection:
        assert assignments.of_policy(connection, _POLICY) == (
            Assignment(policy_id=_POLICY, kind=AssignmentKind.ALL_DEVICES, group_id=None),
        )
        assert revisions.list_revisions(connection, _POLICY, Page())[0].reason == ""
        assert tenants.conflict_rules(connection, TENANT_ID) == {}
        command.downgrade(_config(connection), "0002")
        kept = connection.execute(text("SELECT policy_id, kind FROM assignments")).all()
    assert [tuple(row) for row in kept] == [(_POLICY, "allDevices")]


def test_every_row_gets_its_tenant_and_can_go_back(empty: Database) -> None:
    with empty.write() as connection:
        command.upgrade(_config(connection), "0004")
        before = _filled(connection)
        command.upgrade(_config(connection), "0005")
    with empty.write() as connection:
        after = _rows(connection)
        for table, rows in before.items():
            if table == "tenants":
                assert after[table] == rows
            else:
                assert after[table] == [{**row, "tenant_id": TENANT_ID} for row in rows], table
        command.downgrade(_config(connection), "0004")
        assert _rows(connection) == before


def test_devices_that_are_there_get_their_names_in_small_letters(empty: Database) -> None:
    with empty.write() as connection:
        command.upgrade(_config(connection), "0014")
        _filled(connection)
        connection.execute(text("UPDATE devices SET display_name = 'WEB-\u00c4\u03a3', os_type = 'macOS'"))
        command.upgrade(_config(connection), "0015")
        row = connection.execute(text("SELECT name_folded, os_folded, registered_at FROM inventory")).one()
        at = connection.execute(text("SELECT registered_at FROM devices")).scalar_one()
        command.downgrade(_config(connection), "0014")

    assert tuple(row) == ("web-\u00e4\u03c3", "macos", at)


def test_memberships_become_numbers_and_nothing_else_is_lost(empty: Database) -> None:
    with empty.rebuild() as connection:
        command.upgrade(_config(connection), "0032_0023")
        _fill_some(connection)
        _add_alike(connection, "devices", {"id": "another", "object_id": "o2", "key_thumbprint": "k2"})
        _add_alike(connection, "groups", {"id": "another"})
        for device, group in (("another", "another"), ("another", "id")):
            _add_alike(connection, "group_members", {"device_id": device, "group_id": group})
        _add_alike(connection, "inventory", {"device_id": "another"})
        before = _rows_of_some(connection)
    upgrade(empty)
    with empty.rebuild() as connection:
        assert connection.execute(text(_MEMBERS)).all() == [("another", "another"), ("another", "id"), ("id", "id")]
        listed = connection.execute(text("SELECT device_id, number FROM inventory ORDER BY 1")).all()
        numbered = connection.execute(text("SELECT id, number FROM devices ORDER BY 1")).all()
        assert listed == numbered
        assert len({number for _, number in numbered}) == 2
        _add_alike(connection, "devices", {"id": "new", "object_id": "o3", "key_thumbprint": "k3"}, "number")
        assert len(set(connection.scalars(text("SELECT number FROM devices")))) == 3
        connection.execute(text("DELETE FROM devices WHERE id = 'new'"))
        command.downgrade(_config(connection), "0032_0023")
        assert _rows_of_some(connection) == before
    upgrade(empty)
    with empty.write() as connection:  # where foreign keys do not rest
        connection.execute(text("DELETE FROM check_ins"))
        connection.execute(text("DELETE FROM devices WHERE id = 'id'"))
        assert connection.scalars(text("SELECT device_id FROM inventory")).all() == ["another"]
        assert connection.execute(text(_MEMBERS)).all() == [("another", "another"), ("another", "id")]


def test_each_row_stays_its_tenants_as_numbers_take_the_place_of_ids(empty: Database) -> None:
    with empty.rebuild() as connection:
        command.upgrade(_config(connection), "0032_0023")
        _filled(connection)
        command.upgrade(_config(connection), "0034_0033")
        _add_alike(connection, "tenants", {"id": FABRIKAM, "domain": "fabrikam"})
        alike = {"id": "another", "object_id": "o2", "key_thumbprint": "k2", "tenant_id": FABRIKAM}
        _add_alike(connection, "devices", alike | {"number": 8})
        _add_alike(connection, "inventory", {"device_id": "another", "tenant_id": FABRIKAM, "number": 8})
        _add_alike(connection, "sightings", {"id": "another", "device_id": "another", "tenant_id": FABRIKAM})
        for table in ("check_ins", "check_in_answers", "device_reports"):
            _add_alike(connection, table, {"device_id": "another", "tenant_id": FABRIKAM})
        before = _rows(connection)
        command.upgrade(_config(connection), "0036_0035")
    with empty.write() as connection:
        for table in _OF_DEVICES:
            joined = f"SELECT device_id, tenants.id FROM {table} JOIN tenants ON tenants.number = tenant_number"  # noqa: S608 - ours
            assert connection.execute(text(f"{joined} ORDER BY 1")).all() == [("another", FABRIKAM), ("id", TENANT_ID)]
            with pytest.raises(IntegrityError), connection.begin_nested():
                connection.execute(text(f"UPDATE {table} SET tenant_number = 77"))  # noqa: S608 - written below
    with empty.rebuild() as connection:
        command.downgrade(_config(connection), "0034_0033")
        assert _rows(connection) == before


def test_sightings_lose_their_ids_and_nothing_else(empty: Database) -> None:
    with empty.rebuild() as connection:
        command.upgrade(_config(connection), "0036_0035")
        _filled(connection)
        _add_alike(connection, "sightings", {"id": "another", "at": 77})
        _add_alike(connection, "device_reports", {"at": 77})
        before = _rows(connection)
        command.upgrade(_config(connection), "0037_0035")
        assert _rows(connection) == before
        _add_alike(connection, "sightings", {"at": 78}, "id")
        assert len(set(connection.scalars(text("SELECT id FROM sightings")))) == 3, "who gives no id is given one"
        connection.execute(text("DELETE FROM sightings WHERE at = 78"))
        command.upgrade(_config(connection), "0038_0037")
        without = _without_ids(before)
        assert _rows(connection) == without
        with pytest.raises(IntegrityError), connection.begin_nested():
            _add_alike(connection, "sightings", {})
        command.downgrade(_config(connection), "0036_0035")
        found = _rows(connection)
        assert len({row["id"] for row in found["sightings"]}) == 2
        assert _without_ids(found) == without
    upgrade(empty)
    with empty.write() as connection:  # where foreign keys do not rest
        for table in ("sightings", "device_reports"):
            if empty.is_sqlite:
                made = connection.scalars(text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": table})
                assert str(made.one()).endswith("WITHOUT ROWID")
        connection.execute(text("DELETE FROM check_in_answers"))
        connection.execute(text("DELETE FROM check_ins"))
        connection.execute(text("DELETE FROM devices"))
        assert not _rows(connection)["sightings"], "they go with their device"


def _without_ids(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    kept = [{name: value for name, value in row.items() if name != "id"} for row in rows["sightings"]]
    return {**rows, "sightings": sorted(kept, key=repr)}


def test_lists_keep_their_rows_while_their_indexes_are_made_anew(empty: Database) -> None:
    with empty.write() as connection:
        command.upgrade(_config(connection), "0038_0037")
        _filled(connection)
        before, built = _rows(connection), _anatomy(connection)
        command.upgrade(_config(connection), "0039_0037")
        assert _rows(connection) == before
        assert _anatomy(connection) != built
        command.downgrade(_config(connection), "0038_0037")
        assert _rows(connection) == before
        assert _anatomy(connection) == built


def test_what_is_searched_leaves_the_list_and_can_go_back(empty: Database) -> None:
    with empty.rebuild() as connection:
        command.upgrade(_config(connection), "0032_0023")
        _filled(connection)
        command.upgrade(_config(connection), "0039_0037")
        _add_alike(connection, "devices", {"id": "ONE", "object_id": "two", "key_thumbprint": "k2", "number": 8})
        search = "web\x1fone\x1ftwo\x1flinux\x1fone"
        _add_alike(connection, "inventory", {"device_id": "ONE", "number": 8, "search": search, "state": "retired"})
        before = _rows(connection)
    upgrade(empty)
    with empty.write() as connection:
        rows = connection.execute(text("SELECT state, text FROM device_texts ORDER BY number")).all()
        assert sorted(map(tuple, rows)) == [("retired", "web\x1flinux\x1fone"), ("state", "search")]
        assert "search" not in {column["name"] for column in inspect(connection).get_columns("inventory")}
    with empty.rebuild() as connection:
        command.downgrade(_config(connection), "0039_0037")
        assert _rows(connection) == before


def test_digests_become_bytes_and_texts_again(empty: Database) -> None:
    with empty.rebuild() as connection:
        command.upgrade(_config(connection), "0040_0039")
        _filled(connection)
        changes = {"id": "another", "object_id": "o2", "key_thumbprint": "k2", "number": 8, "tpm_ek_hash": None}
        _add_alike(connection, "devices", changes | {"machine_id_hash": "0f" * 32})
        nothing = dict.fromkeys(("request_digest", "target_digest", "facts_digest"))
        _add_alike(connection, "check_ins", {"device_id": "another", "status_digest": "e0" * 32, **nothing})
        before = _rows(connection)
        command.upgrade(_config(connection), "0041_0040")
        for table, rows in _rows(connection).items():
            digests = {column.name for column in metadata.tables[table].c if column.type is DIGEST}
            expected = [_with_bytes(row, digests) for row in before[table]]
            assert rows == sorted(expected, key=repr), table
            assert all(row[name] for row in rows for name in digests if "another" not in row.values()), table
        command.downgrade(_config(connection), "0040_0039")
        assert _rows(connection) == before


def _with_bytes(row: dict[str, Any], digests: set[str]) -> dict[str, Any]:
    return {name: bytes.fromhex(value) if name in digests and value else value for name, value in row.items()}


def test_tables_are_not_made_anew_where_rows_would_go_with_them(empty: Database) -> None:
    if not empty.is_sqlite:
        return
    with empty.rebuild() as connection:
        command.upgrade(_config(connection), "0032_0023")
        _fill_some(connection)
    with pytest.raises(ValueError, match="rest"), empty.write() as connection:
        command.upgrade(_config(connection), "0033_0023")
    with empty.read() as connection:
        assert connection.execute(text("SELECT device_id FROM inventory")).all() == [("id",)]


def test_every_table_says_whose_its_rows_are() -> None:
    unowned = [
        table.name
        for table in metadata.sorted_tables
        if table.name != "tenants" and ("tenant_id" not in table.c or table.c.tenant_id.nullable)
    ]
    assert unowned == ["group_members"]
    named = {key.column.table for key in metadata.tables["group_members"].foreign_keys}
    assert {table.name for table in named} == {"groups", "devices"}, "which say it"
    for table in metadata.sorted_tables:
        if table.name not in {"tenants", *unowned}:
            (whose,) = table.c.tenant_id.foreign_keys
            assert whose.column is (tenant_rows.c.number if table.c.tenant_id.type is TENANT else tenant_rows.c.id)


def _filled(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Put one row into every table there is, and return them."""
    reflected = MetaData()
    reflected.reflect(connection)
    fill(connection, reflected)
    return _rows(connection)


def _rows(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    reflected = MetaData()
    reflected.reflect(connection)
    return {
        table.name: sorted((dict(row) for row in connection.execute(table.select()).mappings()), key=repr)
        for table in reflected.sorted_tables
        if table.name != "alembic_version"
    }


_MEMBERS = (
    "SELECT devices.id, groups.id FROM group_members JOIN devices ON devices.number = device_number"
    " JOIN groups ON groups.number = group_number ORDER BY 1, 2"
)


_SOME = ("check_ins", "device_scope_tags", "devices", "group_members", "groups", "inventory", "tenants")


def _fill_some(connection: Connection) -> None:
    """Put a row into each table that has to do with memberships."""
    reflected = MetaData()
    reflected.reflect(connection, only=_SOME)
    fill(connection, reflected)


def _rows_of_some(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    return {table: rows for table, rows in _rows(connection).items() if table in _SOME}


def _add_alike(connection: Connection, name: str, changes: dict[str, Any], *left_out: str) -> None:
    """Add a row that is like another one of its table."""
    reflected = MetaData()
    reflected.reflect(connection, only=[name])
    table = reflected.tables[name]
    row = dict(connection.execute(table.select()).mappings().first() or {}) | changes
    connection.execute(table.insert().values({key: value for key, value in row.items() if key not in left_out}))


_OF_DEVICES = ("inventory", "check_ins", "check_in_answers", "device_reports", "sightings")
_POLICY = PolicyId("aaaaaaaa-0000-4000-8000-000000000001")
_OF_0002 = (
    "INSERT INTO tenants VALUES (:tenant, 'Contoso', 'contoso.example', 0)",
    "INSERT INTO policies VALUES (:policy, :tenant, 'P', '', 'linux', 'x', 't_1', '[]', '', 1, :digest, 0, 0)",
    "INSERT INTO policy_revisions VALUES (:digest, :policy, 1, 2, '', 0, 'ada')",
    "INSERT INTO assignments VALUES (:policy, 'allDevices', 'allDevices', NULL)",
)


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
            "indexes": sorted(map(_index, inspector.get_indexes(table))),
        }

    return {table: known(table) for table in inspector.get_table_names()}


def _index(found: Any) -> str:
    """Write an index with the condition that says which rows it holds: that is an object of its own each time."""
    options = {name: str(value) for name, value in found.get("dialect_options", {}).items()}
    return repr({**found, "dialect_options": options})
