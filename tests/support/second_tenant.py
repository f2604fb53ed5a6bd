"""Fabrikam: the second tenant of every test. It looks just like the first one, and nothing of it may ever change.

``with_second_tenant`` puts a row of Fabrikam's into every table there is: devices, groups, policies and packages with
the names and hardware of those that tests make for the first tenant. What a test then lists, counts, matches, sweeps or
deletes must leave these rows out, and at the end they have to be what they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Boolean, Column, Connection, Integer, LargeBinary, Select, Table, select, text
from tests.support.samples import NOON, a_device, a_group, a_package
from tests.support.whole_database import rows_of_all

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, GroupId, KeyThumbprint, PackageId, SettingId, TenantId
from shieldwall.contract.settings import ChoiceSetting, ChoiceValue
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.tables.columns import Moment
from shieldwall.server.storage.tables.schema import metadata
from shieldwall.server.storage.tables.tenant_numbers import TENANT
from shieldwall.server.storage.tenants import tenants


def _id(number: int) -> str:
    """Make an id that no other test makes."""
    return f"fab00000-0000-4000-8000-{number:012x}"


FABRIKAM: Final = TenantId(_id(0))
FABRIKAM_DEVICE: Final = DeviceId(_id(1))
FABRIKAM_GROUP: Final = GroupId(_id(2))
FABRIKAM_PACKAGE: Final = PackageId(_id(3))
_NEVER: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""When rows of Fabrikam expire: no test waits that long, so no sweep has a reason to take them."""
_WORDS: Final[dict[str, Any]] = {
    "tenant_id": FABRIKAM,
    "platforms": "linux",
    "technologies": "microsoftSense",
    "platform": "linux",
    "kind": "include",
    "role_scope_tag_ids": "[]",
    "members": "[]",
    "scope_groups": "[]",
    "scope_type": "allDevices",
    "actions": "[]",
    "permissions": "[]",
    "details": "{}",
    "options": "{}",
    "event_kinds": "[]",
    "sort": "webhook",
    "settings": b"[]",
    "setting_instance": strict_json.encode(
        ChoiceSetting(definition=SettingId("choice"), value=ChoiceValue(value="choice_1"))
    ),
    "secret_hash": "x",
    "severity": "high",
    "rule": '(device.deviceOSType -eq "Linux")',
    "name": "Antivirus",
}
"""What stands in columns of these names; every other column gets something of its type."""

Rows = dict[str, list[dict[str, Any]]]


def fabrikam() -> Tenant:
    """The second tenant."""
    return Tenant(id=FABRIKAM, display_name="Fabrikam", domain="fabrikam.test", created_at=NOON)


@contextmanager
def with_second_tenant(database: Database) -> Iterator[None]:
    """Let Fabrikam live in a database that has its tables, and see at the end that nothing of it changed."""
    with database.write() as connection:
        add_fabrikam(connection)
        before = rows_of_all(connection, is_fabrikams)
    assert all(before.values()), "Fabrikam has a row in every table"
    yield
    with database.read() as connection:
        after = rows_of_all(connection, is_fabrikams)
    assert after == before, "another tenant's rows were changed"


def add_fabrikam(connection: Connection) -> None:
    """Make the tenant and its rows."""
    tenants.add(connection, fabrikam())
    packages.add(connection, a_package(id=FABRIKAM_PACKAGE, tenant_id=FABRIKAM))
    devices.add(
        connection,
        a_device(
            id=FABRIKAM_DEVICE,
            object_id=_id(4),
            tenant_id=FABRIKAM,
            key_thumbprint=KeyThumbprint("7" * 43),
            package_id=FABRIKAM_PACKAGE,
        ),
    )
    check_ins.add(connection, FABRIKAM_DEVICE)
    groups.add(connection, a_group(id=FABRIKAM_GROUP, tenant_id=FABRIKAM))
    group_members.add_members(connection, FABRIKAM_GROUP, [FABRIKAM_DEVICE])
    for table in metadata.sorted_tables:
        if not _rows(connection, table):
            _fill(connection, table)


def rows_of_fabrikam(connection: Connection) -> Rows:
    """Read every row of Fabrikam's, by table."""
    return {table.name: _rows(connection, table) for table in metadata.sorted_tables}


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(_of_fabrikam(table)).mappings()]


@cache
def _of_fabrikam(table: Table) -> Select[Any]:
    """Build the query once: every test asks for every table."""
    return select(table).where(text(is_fabrikams(table))).order_by(*table.primary_key)


def is_fabrikams(table: Table) -> str:
    """Say in SQL whose a row has to be; where it does not say so itself, what it names by a number does."""
    if table.name == "tenants":
        return f"tenants.id = '{FABRIKAM}'"
    if "tenant_id" in table.c:
        column, number = table.c.tenant_id, f"(SELECT number FROM tenants WHERE id = '{FABRIKAM}')"  # noqa: S608 - as below
        return f"{column} = {number}" if column.type is TENANT else f"{column} = '{FABRIKAM}'"
    named = next(key for column in table.c for key in column.foreign_keys)
    owned = f"SELECT number FROM {named.column.table.name} WHERE tenant_id = '{FABRIKAM}'"  # noqa: S608 - our own names
    return f"{table.name}.{named.parent.name} IN ({owned})"


def _fill(connection: Connection, table: Table) -> None:
    """Put one row into a table: what names another row names Fabrikam's own."""
    row: dict[str, Any] = {}
    for column in table.c:
        parent = next((key.column for key in column.foreign_keys if key.column.table.name != "tenants"), None)
        if parent is not None:
            row[column.key] = _rows(connection, parent.table)[0][parent.key]
        elif column.server_default is None and (not column.nullable or column.key in _WORDS):
            row[column.key] = _value(column)
    connection.execute(table.insert().values(row))


def _value(column: Column[Any]) -> Any:
    if column.key in _WORDS:
        return _WORDS[column.key]
    length = getattr(column.type, "length", None) or 64
    match column.type:
        case Moment():
            value: Any = _NEVER
        case LargeBinary():
            value = b"fabrikam"
        case Boolean():
            value = False
        case Integer():
            value = 7
        case _ if length == 36:
            value = FABRIKAM_DEVICE if column.name == "device_id" else _id(5)
        case _ if length == 64 and "digest" in column.name:
            value = "7" * 64
        case _:
            value = f"fabrikam-{column.name}"[:length]
    return value
