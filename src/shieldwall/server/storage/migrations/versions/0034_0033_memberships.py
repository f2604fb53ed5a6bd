"""Memberships are pairs of numbers, and a device's row in the list has the device's number.

It takes away what programs before it read and write: they do not serve from here on.

Revision ID: 0034_0033
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shieldwall.server.storage.migrations.made_anew import columns_of, make_anew
from shieldwall.server.storage.tables.change_triggers import Followed
from shieldwall.server.storage.tables.change_triggers import create as follow
from shieldwall.server.storage.tables.fleet_triggers import Watched, What
from shieldwall.server.storage.tables.fleet_triggers import create as watch

revision = "0034_0033"
down_revision = "0033_0023"

_FORMER_MEMBERS = "SELECT OLD.tenant_id, 'member', group_id, OLD.object_id FROM group_members WHERE device_id = OLD.id"
_MEMBERS = (
    "SELECT OLD.tenant_id, 'member', groups.id, OLD.object_id FROM group_members"
    " JOIN groups ON groups.number = group_members.group_number WHERE device_number = OLD.number"
)
_SHOWN = (
    "display_name",
    "registration",
    "trust_type",
    "state",
    "os_type",
    "os_version",
    "manufacturer",
    "model",
    "registered_at",
    "state_reason",
    "enrollment_code",
    "device_category",
    "device_ownership",
    "enrollment_profile_name",
    "mdm_app_id",
    "profile_type",
    "extension_attributes",
    "physical_ids",
    "system_labels",
    "is_rooted",
)
_FOLLOWED = Followed(
    table="group_members",
    feed="groups",
    kind="member",
    key=("group_number", "device_number"),
    id="groups.id",
    other="devices.object_id",
    tenant="groups.tenant_id",
    source="groups JOIN devices ON groups.number = {row}.group_number AND devices.number = {row}.device_number",
)
_FORMERLY_FOLLOWED = Followed(
    table="group_members",
    feed="groups",
    kind="member",
    key=("group_id", "device_id"),
    id="{row}.group_id",
    other="(SELECT object_id FROM devices WHERE id = {row}.device_id)",
)
_WATCHED = Watched(name="members", table="group_members", what=What.GROUPS, number="device_number")
_FORMERLY_WATCHED = Watched(name="members", table="group_members", what=What.GROUPS)

_FORMER_KEY = "CONSTRAINT pk_inventory PRIMARY KEY (device_id)"
_REFERENCE = "CONSTRAINT fk_inventory_number FOREIGN KEY(number) REFERENCES devices (number) ON DELETE CASCADE"
_KEY = (
    "number INTEGER NOT NULL, \n\tCONSTRAINT pk_inventory PRIMARY KEY (number), \n\t"
    f"CONSTRAINT uq_inventory_device_id UNIQUE (device_id), \n\t{_REFERENCE}"
)


def upgrade() -> None:
    """Write the memberships as numbers, and number the rows of the list of devices."""
    connection = op.get_bind()
    _keep_aside(
        "SELECT groups.number AS first, devices.number AS second FROM group_members"
        " JOIN groups ON groups.id = group_members.group_id JOIN devices ON devices.id = group_members.device_id"
    )
    op.create_table(
        "group_members",
        sa.Column("group_number", sa.Integer(), nullable=False),
        sa.Column("device_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("group_number", "device_number", name="pk_group_members"),
        *(
            sa.ForeignKeyConstraint(
                [f"{one}_number"], [f"{one}s.number"], name=f"fk_group_members_{one}_number", ondelete="CASCADE"
            )
            for one in ("group", "device")
        ),
        sqlite_with_rowid=False,
    )
    _bring_back("group_number, device_number", "first, second")
    op.create_index("ix_group_members_device_number", "group_members", ["device_number"])
    watch(connection, [_WATCHED])
    follow(connection, [_devices(_MEMBERS), _FOLLOWED])
    if connection.dialect.name == "sqlite":
        former = columns_of(connection, "inventory")
        rows = (
            f"SELECT devices.number, {', '.join(f'inventory.{each}' for each in former)} FROM devices"  # noqa: S608 - our own names
            " CROSS JOIN inventory ON inventory.device_id = devices.id ORDER BY devices.number"
        )
        make_anew(connection, "inventory", {_FORMER_KEY: _KEY}, ["number", *former], rows)
        return
    op.execute("ALTER TABLE inventory ADD COLUMN number INTEGER")
    op.execute("UPDATE inventory SET number = devices.number FROM devices WHERE devices.id = inventory.device_id")
    op.execute(
        "ALTER TABLE inventory ALTER COLUMN number SET NOT NULL, DROP CONSTRAINT pk_inventory,"
        " ADD CONSTRAINT pk_inventory PRIMARY KEY (number), ADD CONSTRAINT uq_inventory_device_id UNIQUE (device_id),"
        f" ADD {_REFERENCE}"
    )


def downgrade() -> None:
    """Write memberships as ids again, with their tenant."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        kept = [column for column in columns_of(connection, "inventory") if column != "number"]
        rows = f"SELECT {', '.join(kept)} FROM inventory ORDER BY number"  # noqa: S608 - our own names
        make_anew(connection, "inventory", {_KEY: _FORMER_KEY}, kept, rows)
    else:
        op.execute(
            "ALTER TABLE inventory DROP CONSTRAINT pk_inventory, DROP CONSTRAINT uq_inventory_device_id,"
            f" ADD {_FORMER_KEY}, DROP COLUMN number"
        )
    _keep_aside(
        "SELECT groups.id AS first, devices.id AS second, groups.tenant_id AS tenant FROM group_members"
        " JOIN groups ON groups.number = group_members.group_number"
        " JOIN devices ON devices.number = group_members.device_number"
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.String(36), nullable=False),
        sa.Column("device_id", sa.String(36), nullable=False),
        sa.Column("tenant_id", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "device_id", name="pk_group_members"),
        *(
            sa.ForeignKeyConstraint(
                [f"{one}_id"], [f"{one}s.id"], name=f"fk_group_members_{one}_id", ondelete="CASCADE"
            )
            for one in ("group", "device")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_group_members_tenant_id"),
    )
    _bring_back("group_id, device_id, tenant_id", "first, second, tenant")
    op.create_index("ix_group_members_device_id", "group_members", ["device_id"])
    watch(connection, [_FORMERLY_WATCHED])
    follow(connection, [_devices(_FORMER_MEMBERS), _FORMERLY_FOLLOWED])


def _devices(members: str) -> Followed:
    return Followed(
        table="devices",
        feed="devices",
        kind="device",
        key=("id", "object_id"),
        id="{row}.id",
        other="{row}.object_id",
        shown=_SHOWN,
        members=members,
    )


def _keep_aside(rows: str) -> None:
    op.execute(f"CREATE TEMPORARY TABLE kept_members AS {rows}")
    op.drop_table("group_members")


def _bring_back(columns: str, kept: str) -> None:
    op.execute(f"INSERT INTO group_members ({columns}) SELECT {kept} FROM kept_members ORDER BY 1, 2")  # noqa: S608 - our own names
    op.execute("DROP TABLE kept_members")
