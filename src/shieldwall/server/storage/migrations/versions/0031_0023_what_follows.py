"""A device's row in the list follows where something changed, and sets nothing beside that.

Revision ID: 0031_0023
"""

from __future__ import annotations

from alembic import op

revision = "0031_0023"
down_revision = "0030_0023"

_NAME = "inventory_follows"
_FOLLOWING = {
    _NAME: (
        ("state", "enrollment_code", "managed_elsewhere", "manager"),
        """
UPDATE inventory SET state = NEW.state, enrollment_code = NEW.enrollment_code,
    managed_by = CASE WHEN NEW.state IN ('active', 'quarantined', 'leaving') AND NEW.enrollment_code = 1 THEN 'MDE'
        ELSE COALESCE(NULLIF(NEW.managed_elsewhere, ''), NEW.manager, '') END
    WHERE device_id = NEW.id;
""",
    ),
    "inventory_follows_attestation": (
        ("attestation_level",),
        """
UPDATE inventory SET attestation_level = NEW.attestation_level WHERE device_id = NEW.id;
""",
    ),
}
_FORMER = """
UPDATE inventory SET state = NEW.state, enrollment_code = NEW.enrollment_code,
    attestation_level = NEW.attestation_level,
    managed_by = CASE WHEN NEW.state IN ('active', 'quarantined', 'leaving') AND NEW.enrollment_code = 1 THEN 'MDE'
        ELSE COALESCE(NULLIF(NEW.managed_elsewhere, ''), NEW.manager, '') END
    WHERE device_id = NEW.id;
"""
_FORMER_COLUMNS = ("state", "enrollment_code", "attestation_level", "managed_elsewhere", "manager")


def upgrade() -> None:
    """Make one trigger anew, and another of a part of it."""
    _drop(_NAME)
    for name, (columns, following) in _FOLLOWING.items():
        differs = "IS NOT" if _is_sqlite() else "IS DISTINCT FROM"
        condition = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in columns)
        _create(name, f"AFTER UPDATE OF {', '.join(columns)} ON devices FOR EACH ROW WHEN ({condition})", following)


def downgrade() -> None:
    """Let one follow all, as before."""
    for name in _FOLLOWING:
        _drop(name)
    _create(_NAME, f"AFTER UPDATE OF {', '.join(_FORMER_COLUMNS)} ON devices FOR EACH ROW", _FORMER)


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _drop(name: str) -> None:
    if _is_sqlite():
        op.execute(f"DROP TRIGGER {name}")
    else:
        op.execute(f"DROP TRIGGER {name} ON devices")
        op.execute(f"DROP FUNCTION {name}()")


def _create(name: str, cause: str, following: str) -> None:
    if _is_sqlite():
        op.execute(f"CREATE TRIGGER {name} {cause} BEGIN {following} END")
        return
    body = f"BEGIN {following} RETURN NULL; END"
    op.execute(f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger AS $$ {body} $$ LANGUAGE plpgsql")
    op.execute(f"CREATE TRIGGER {name} {cause} EXECUTE FUNCTION {name}()")
