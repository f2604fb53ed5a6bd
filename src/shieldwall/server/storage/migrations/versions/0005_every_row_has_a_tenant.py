"""Every row says whose it is: child rows as their parents, documents once for each tenant that uses them.

Revision ID: 0005
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String

revision = "0005"
down_revision = "0004"

_PARENTS = {
    "check_ins": "SELECT tenant_id FROM devices WHERE devices.id = check_ins.device_id",
    "check_in_answers": "SELECT tenant_id FROM devices WHERE devices.id = check_in_answers.device_id",
    "group_members": "SELECT tenant_id FROM groups WHERE groups.id = group_members.group_id",
    "assignments": "SELECT tenant_id FROM policies WHERE policies.id = assignments.policy_id",
    "policy_references": "SELECT tenant_id FROM policies WHERE policies.id = policy_references.policy_id",
    # Revisions outlive their policy. Until now a server had one tenant, so an orphan belongs to the one there is.
    "policy_revisions": "SELECT COALESCE("
    "(SELECT tenant_id FROM policies WHERE policies.id = policy_revisions.policy_id),"
    " (SELECT MIN(id) FROM tenants))",
}
_INDEXES = {  # of check-ins: those of before, and those that take their place
    ("target_digest", "status_digest"): ("tenant_id", "target_digest", "status_digest"),
    ("status_digest",): ("tenant_id", "status_digest"),
}


def upgrade() -> None:
    """Add the tenant to each row that had none; what is there already stays."""
    for table, parent in _PARENTS.items():
        op.add_column(table, Column("tenant_id", String(36)))
        op.execute(f"UPDATE {table} SET tenant_id = ({parent})")  # noqa: S608 - both are written above
        # SQLite can do neither to a table that is there, so the table is made anew; nothing refers to one of these.
        with op.batch_alter_table(table) as anew:
            anew.alter_column("tenant_id", existing_type=String(36), nullable=False)
            anew.create_foreign_key(f"fk_{table}_tenant_id", "tenants", ["tenant_id"], ["id"])
    _replace_indexes({_name(before): after for before, after in _INDEXES.items()})
    for kind in ("target", "status"):
        with _made_anew(
            f"{kind}_documents",
            "tenant_id, digest, body",
            f"SELECT DISTINCT check_ins.tenant_id, {kind}_documents.digest, {kind}_documents.body"  # noqa: S608 - as above
            f" FROM {kind}_documents JOIN check_ins ON check_ins.{kind}_digest = {kind}_documents.digest",
        ):
            _create_documents(f"{kind}_documents", _tenant())
    with _made_anew(
        "used_nonces",
        "tenant_id, digest, expires_at",
        "SELECT tenants.id AS tenant_id, digest, expires_at FROM used_nonces CROSS JOIN tenants",
    ):
        _create_nonces(_tenant())


def downgrade() -> None:
    """Take it away again. What several tenants keep under one name is kept once."""
    with _made_anew(
        "used_nonces",
        "digest, expires_at",
        "SELECT digest, MAX(expires_at) AS expires_at FROM used_nonces GROUP BY digest",
    ):
        _create_nonces()
    for kind in ("target", "status"):
        with _made_anew(
            f"{kind}_documents",
            "digest, body",
            f"SELECT DISTINCT digest, body FROM {kind}_documents",  # noqa: S608 - as above
        ):
            _create_documents(f"{kind}_documents")
    _replace_indexes({_name(after): before for before, after in _INDEXES.items()})
    for table in reversed(_PARENTS):
        with op.batch_alter_table(table) as anew:
            anew.drop_constraint(f"fk_{table}_tenant_id", type_="foreignkey")
            anew.drop_column("tenant_id")


@contextmanager
def _made_anew(table: str, columns: str, rows: str) -> Iterator[None]:
    """Keep rows aside while the table of that name is dropped, and made by the body of the ``with``."""
    op.execute(f"CREATE TEMPORARY TABLE kept_{table} AS {rows}")
    op.drop_table(table)
    yield
    op.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM kept_{table}")  # noqa: S608 - as above
    op.execute(f"DROP TABLE kept_{table}")


def _create_documents(table: str, *tenant: Column[str]) -> None:
    op.create_table(
        table,
        *tenant,
        Column("digest", String(64), primary_key=True),
        Column("body", LargeBinary(), nullable=False),
    )


def _create_nonces(*tenant: Column[str]) -> None:
    op.create_table(
        "used_nonces",
        *tenant,
        Column("digest", String(64), primary_key=True),
        Column("expires_at", BigInteger(), nullable=False),
    )
    op.create_index("ix_used_nonces_expires_at", "used_nonces", ["expires_at"])


def _tenant() -> Column[str]:
    return Column("tenant_id", String(36), ForeignKey("tenants.id"), primary_key=True)


def _replace_indexes(replaced: dict[str, tuple[str, ...]]) -> None:
    for before, columns in replaced.items():
        op.drop_index(before, "check_ins")
        op.create_index(_name(columns), "check_ins", list(columns))


def _name(columns: tuple[str, ...]) -> str:
    return f"ix_check_ins_{'_'.join(columns)}"
