"""Digests are bytes, in rows and in indexes.

Programs from before bind texts, which are never equal to bytes: they do not serve from here on. There was no release,
so texts and bytes never stand side by side: each table is written anew once.

Revision ID: 0041_0040
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import Connection

from shieldwall.server.storage.migrations.made_anew import columns_of, make_anew
from shieldwall.server.storage.tables import triggers
from shieldwall.server.storage.tables.fleet_triggers import Watched, What, create, drop

revision = "0041_0040"
down_revision = "0040_0039"

_DIGESTS = {
    "attestation_challenges": ("secret_digest",),
    "authorization_codes": ("digest",),
    "check_ins": ("request_digest", "target_digest", "facts_digest", "status_digest"),
    "device_codes": ("digest",),
    "devices": ("request_digest", "machine_id_hash", "smbios_uuid_hash", "tpm_ek_hash"),
    "invitations": ("code_digest",),
    "passkeys": ("digest",),
    "policies": ("digest",),
    "policy_revisions": ("digest",),
    "refresh_tokens": ("digest",),
    "registrations": ("key_digest",),
    "sessions": ("token_digest",),
    "sightings": ("request_digest",),
    "sign_in_attempts": ("digest",),
    "status_documents": ("digest", "target"),
    "target_documents": ("digest",),
    "used_nonces": ("digest",),
}
_WATCHED = (
    Watched(
        name="targets",
        table="check_ins",
        what=What.TARGET,
        tenant="tenant_number",
        comes="NEW.target_digest IS NOT NULL",
        goes=False,
        columns=("target_digest",),
    ),
    Watched(
        name="statuses",
        table="check_ins",
        what=What.STATUS,
        tenant="tenant_number",
        comes="NEW.status_digest IS NOT NULL",
        goes=False,
        columns=("status_digest",),
    ),
    Watched(name="policies", table="policies", what=What.AIMS, device="", columns=("digest", "template_id")),
)
_TWINS = "twins_changed"
_TWINS_CAUSE = (
    "AFTER UPDATE OF state, tenant_id, machine_id_hash, smbios_uuid_hash, tpm_ek_hash ON devices FOR EACH ROW"
    " WHEN ((OLD.state = 'retired' AND NEW.state <> 'retired') OR OLD.tenant_id IS DISTINCT FROM NEW.tenant_id"
    " OR OLD.machine_id_hash IS DISTINCT FROM NEW.machine_id_hash"
    " OR OLD.smbios_uuid_hash IS DISTINCT FROM NEW.smbios_uuid_hash"
    " OR OLD.tpm_ek_hash IS DISTINCT FROM NEW.tpm_ek_hash)"
)
_TWINS_NOTED = "INSERT INTO twin_suspects (tenant_id, device_id) VALUES (NEW.tenant_id, NEW.id); RETURN NULL"
"""Triggers that look at a digest: PostgreSQL changes no column beneath one."""


def upgrade() -> None:
    """Put bytes in place of texts."""
    _change("VARCHAR(64)", "BLOB", "digest_bytes({})", "bytea USING decode({}, 'hex')")


def downgrade() -> None:
    """Put texts in place of bytes."""
    _change("BLOB", "VARCHAR(64)", "lower(hex({}))", "varchar(64) USING encode({}, 'hex')")


def _change(before: str, after: str, read: str, using: str) -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        raw: Any = connection.connection.driver_connection
        raw.create_function("digest_bytes", 1, _digest_bytes, deterministic=True)
        for table, digests in _DIGESTS.items():
            _make_anew(connection, table, digests, (before, after), read)
        return
    drop(connection, _WATCHED)
    triggers.drop(connection, _TWINS, "devices")
    for table, digests in _DIGESTS.items():
        changes = ", ".join(f"ALTER COLUMN {each} TYPE {using.format(each)}" for each in digests)
        op.execute(f"ALTER TABLE {table} {changes}")
    create(connection, _WATCHED)
    for statement in triggers.create_statements("postgresql", _TWINS, _TWINS_CAUSE, _TWINS_NOTED):
        op.execute(statement)


def _make_anew(connection: Connection, table: str, digests: tuple[str, ...], kind: tuple[str, str], read: str) -> None:
    """Have SQLite write a table anew; a column that is there says what it is either in a line of its own, or not."""
    former, present = kind
    made = str(connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).scalar_one())
    changed = {}
    for digest in digests:
        (place,) = (each for each in ("\t", " ") if f"{each}{digest} {former}" in made)
        changed[f"{place}{digest} {former}"] = f"{place}{digest} {present}"
    columns = columns_of(connection, table)
    rows = ", ".join(_if_any(each, read) if each in digests else each for each in columns)
    order = "" if "WITHOUT ROWID" in made else " ORDER BY rowid"  # without, they are read in the order of their key
    make_anew(connection, table, changed, columns, f"SELECT {rows} FROM {table}{order}")  # noqa: S608 - our own names


def _if_any(column: str, read: str) -> str:
    return f"CASE WHEN {column} IS NOT NULL THEN {read.format(column)} END"


def _digest_bytes(text: str) -> bytes:
    return bytes.fromhex(text)
