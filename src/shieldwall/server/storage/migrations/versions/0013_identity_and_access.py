"""Who people and applications are, how they prove it, and what they may do.

People were names in invitations and sessions until now. Whoever is signed in signs in once more with a new invitation;
applications keep their secrets.

Revision ID: 0013
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.types import BigInteger

revision = "0013"
down_revision = "0012"

_UUID = String(36)
_DIGEST = String(64)
_NAME = String(256)
_MOMENT = BigInteger
_NO_LIST = text("'[]'")
_EMPTY = text("''")


def upgrade() -> None:
    """Add the tables, and take secrets out of the applications' own."""
    _people()
    _applications()
    _roles()
    _sessions()


def downgrade() -> None:
    """Take them away; sessions and what people had is lost, applications keep the secret that ends last."""
    op.execute("DELETE FROM sessions")
    op.execute("DELETE FROM invitations")
    for table in ("sessions", "invitations"):
        op.add_column(table, Column("sees_tenants", Boolean(), nullable=False, server_default=false()))
    op.drop_index("ix_sessions_person_id", "sessions")
    with op.batch_alter_table("sessions") as sessions:
        for column in ("person_id", "proved_at", "method", "client"):
            sessions.drop_column(column)
    with op.batch_alter_table("invitations") as invitations:
        invitations.drop_column("person_id")
    op.add_column("apps", Column("secret_hash", Text(), nullable=False, server_default=_EMPTY))
    op.add_column("apps", Column("expires_at", _MOMENT(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE apps SET secret_hash = COALESCE((SELECT c.secret_hash FROM app_credentials c WHERE c.client_id ="
        " apps.client_id AND c.kind = 'secret' ORDER BY c.expires_at DESC LIMIT 1), ''), expires_at = COALESCE((SELECT"
        " MAX(c.expires_at) FROM app_credentials c WHERE c.client_id = apps.client_id AND c.kind = 'secret'), 0)"
    )
    for table in _TABLES:
        op.drop_table(table)
    op.drop_index("ix_apps_tenant_id_display_name", "apps")
    with op.batch_alter_table("apps") as apps:
        apps.drop_constraint("uq_apps_object_id", type_="unique")
        for column in (
            "object_id",
            "delegated",
            "redirect_uris",
            "is_public",
            "enabled",
            "requires_proof",
            "valid_from",
        ):
            apps.drop_column(column)


_TABLES = (
    "group_people",
    "device_scope_tags",
    "scope_tag_groups",
    "scope_tags",
    "role_assignments",
    "role_definitions",
    "device_codes",
    "refresh_tokens",
    "authorization_codes",
    "app_credentials",
    "sign_in_attempts",
    "federated_identities",
    "identity_providers",
    "passkeys",
    "people",
)


def _tenant(*, primary_key: bool = False) -> Column[str]:
    return Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False, primary_key=primary_key)


def _person(*, nullable: bool = False) -> Column[str]:
    return Column("person_id", _UUID, ForeignKey("people.id", ondelete="CASCADE"), nullable=nullable)


def _client() -> Column[str]:
    return Column("client_id", _UUID, ForeignKey("apps.client_id", ondelete="CASCADE"), nullable=False)


def _group() -> Column[str]:
    return Column("group_id", _UUID, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)


def _people() -> None:
    op.create_table(
        "people",
        Column("id", _UUID, primary_key=True),
        _tenant(),
        Column("user_name", _NAME, nullable=False),
        Column("display_name", _NAME, nullable=False),
        Column("enabled", Boolean(), nullable=False, server_default=true()),
        Column("sees_tenants", Boolean(), nullable=False, server_default=false()),
        Column("created_at", _MOMENT(), nullable=False),
        Column("last_sign_in_at", _MOMENT()),
        Column("valid_from", _MOMENT(), nullable=False),
        UniqueConstraint("tenant_id", "user_name", name="uq_people_tenant_id_user_name"),
    )
    op.create_table(
        "passkeys",
        Column("digest", _DIGEST, primary_key=True),
        _tenant(),
        _person(),
        Column("credential_id", LargeBinary(), nullable=False),
        Column("public_key", LargeBinary(), nullable=False),
        Column("sign_count", Integer(), nullable=False),
        Column("display_name", _NAME, nullable=False),
        Column("authenticator", String(36), nullable=False),
        Column("transports", Text(), nullable=False, server_default=_NO_LIST),
        Column("backed_up", Boolean(), nullable=False, server_default=false()),
        Column("created_at", _MOMENT(), nullable=False),
        Column("last_used_at", _MOMENT()),
    )
    op.create_index("ix_passkeys_person_id", "passkeys", ["person_id"])
    op.create_table(
        "identity_providers",
        Column("id", _UUID, primary_key=True),
        _tenant(),
        Column("display_name", _NAME, nullable=False),
        Column("issuer", Text(), nullable=False),
        Column("client_id", Text(), nullable=False),
        Column("client_secret", Text(), nullable=False),
        Column("settings", Text(), nullable=False),
        Column("enabled", Boolean(), nullable=False, server_default=true()),
        Column("created_at", _MOMENT(), nullable=False),
        Column("modified_at", _MOMENT(), nullable=False),
    )
    op.create_index("ix_identity_providers_tenant_id", "identity_providers", ["tenant_id"])
    op.create_table(
        "federated_identities",
        Column("provider_id", _UUID, ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True),
        Column("subject", _NAME, primary_key=True),
        _tenant(),
        _person(),
        Column("groups", Text(), nullable=False, server_default=_NO_LIST),
        Column("created_at", _MOMENT(), nullable=False),
    )
    op.create_index("ix_federated_identities_person_id", "federated_identities", ["person_id"])
    op.create_table(
        "sign_in_attempts",
        Column("digest", _DIGEST, primary_key=True),
        _tenant(),
        Column("kind", String(32), nullable=False),
        _person(nullable=True),
        Column("details", Text(), nullable=False),
        Column("expires_at", _MOMENT(), nullable=False),
    )
    op.create_index("ix_sign_in_attempts_expires_at", "sign_in_attempts", ["expires_at"])


def _applications() -> None:
    op.create_table(
        "app_credentials",
        Column("id", _UUID, primary_key=True),
        _tenant(),
        _client(),
        Column("kind", String(16), nullable=False),
        Column("display_name", _NAME, nullable=False),
        Column("secret_hash", Text()),
        Column("hint", String(8), nullable=False, server_default=_EMPTY),
        Column("certificate", LargeBinary()),
        Column("starts_at", _MOMENT(), nullable=False),
        Column("expires_at", _MOMENT(), nullable=False),
    )
    op.create_index("ix_app_credentials_client_id", "app_credentials", ["client_id"])
    op.execute(
        "INSERT INTO app_credentials (id, tenant_id, client_id, kind, display_name, secret_hash, starts_at, expires_at)"
        " SELECT client_id, tenant_id, client_id, 'secret', 'First secret', secret_hash, created_at, expires_at"
        " FROM apps"
    )
    op.add_column("apps", Column("object_id", _UUID, nullable=True))
    op.add_column("apps", Column("delegated", Text(), nullable=False, server_default=_NO_LIST))
    op.add_column("apps", Column("redirect_uris", Text(), nullable=False, server_default=_NO_LIST))
    op.add_column("apps", Column("is_public", Boolean(), nullable=False, server_default=false()))
    op.add_column("apps", Column("enabled", Boolean(), nullable=False, server_default=true()))
    op.add_column("apps", Column("requires_proof", Boolean(), nullable=False, server_default=false()))
    op.add_column("apps", Column("valid_from", _MOMENT(), nullable=True))
    op.execute("UPDATE apps SET object_id = client_id, valid_from = created_at")
    with op.batch_alter_table("apps") as apps:
        apps.alter_column("object_id", existing_type=_UUID, nullable=False)
        apps.alter_column("valid_from", existing_type=_MOMENT(), nullable=False)
        apps.create_unique_constraint("uq_apps_object_id", ["object_id"])
        apps.drop_column("secret_hash")
        apps.drop_column("expires_at")
    op.create_index("ix_apps_tenant_id_display_name", "apps", ["tenant_id", "display_name"])
    op.create_table(
        "authorization_codes",
        Column("digest", _DIGEST, primary_key=True),
        _tenant(),
        _client(),
        _person(),
        Column("family_id", _UUID, nullable=False),
        Column("redirect_uri", Text(), nullable=False),
        Column("code_challenge", Text(), nullable=False),
        Column("audience", Text(), nullable=False),
        Column("scopes", Text(), nullable=False),
        Column("nonce", Text(), nullable=False),
        Column("proved_at", _MOMENT(), nullable=False),
        Column("method", String(16), nullable=False),
        Column("expires_at", _MOMENT(), nullable=False),
        Column("used_at", _MOMENT()),
    )
    op.create_index("ix_authorization_codes_expires_at", "authorization_codes", ["expires_at"])
    op.create_table(
        "refresh_tokens",
        Column("digest", _DIGEST, primary_key=True),
        _tenant(),
        Column("family_id", _UUID, nullable=False),
        _client(),
        _person(),
        Column("audience", Text(), nullable=False),
        Column("scopes", Text(), nullable=False),
        Column("proved_at", _MOMENT(), nullable=False),
        Column("method", String(16), nullable=False),
        Column("proof_key", String(43)),
        Column("issued_at", _MOMENT(), nullable=False),
        Column("expires_at", _MOMENT(), nullable=False),
        Column("used_at", _MOMENT()),
    )
    for column in ("family_id", "person_id", "expires_at"):
        op.create_index(f"ix_refresh_tokens_{column}", "refresh_tokens", [column])
    op.create_table(
        "device_codes",
        Column("digest", _DIGEST, primary_key=True),
        _tenant(),
        _client(),
        Column("user_code", String(16), nullable=False),
        Column("audience", Text(), nullable=False),
        Column("scopes", Text(), nullable=False),
        _person(nullable=True),
        Column("state", String(16), nullable=False),
        Column("proved_at", _MOMENT()),
        Column("method", String(16), nullable=False, server_default=_EMPTY),
        Column("asked_at", _MOMENT(), nullable=False),
        Column("expires_at", _MOMENT(), nullable=False),
        UniqueConstraint("user_code", name="uq_device_codes_user_code"),
    )
    op.create_index("ix_device_codes_expires_at", "device_codes", ["expires_at"])


def _roles() -> None:
    op.create_table(
        "role_definitions",
        Column("id", _UUID, primary_key=True),
        _tenant(),
        Column("display_name", _NAME, nullable=False),
        Column("description", Text(), nullable=False),
        Column("actions", Text(), nullable=False),
        Column("role_scope_tag_ids", Text(), nullable=False),
        Column("created_at", _MOMENT(), nullable=False),
        Column("modified_at", _MOMENT(), nullable=False),
    )
    op.create_index("ix_role_definitions_tenant_id_display_name", "role_definitions", ["tenant_id", "display_name"])
    op.create_table(
        "role_assignments",
        Column("id", _UUID, primary_key=True),
        _tenant(),
        Column("role_id", _UUID, nullable=False),
        Column("display_name", _NAME, nullable=False),
        Column("description", Text(), nullable=False),
        Column("members", Text(), nullable=False),
        Column("scope_type", String(32), nullable=False),
        Column("scope_groups", Text(), nullable=False),
        Column("role_scope_tag_ids", Text(), nullable=False),
        Column("created_at", _MOMENT(), nullable=False),
        Column("modified_at", _MOMENT(), nullable=False),
    )
    op.create_index("ix_role_assignments_tenant_id", "role_assignments", ["tenant_id"])
    op.create_table(
        "scope_tags",
        _tenant(primary_key=True),
        Column("id", String(16), primary_key=True),
        Column("display_name", _NAME, nullable=False),
        Column("description", Text(), nullable=False),
        Column("created_at", _MOMENT(), nullable=False),
    )
    op.create_table(
        "scope_tag_groups", _tenant(primary_key=True), Column("tag_id", String(16), primary_key=True), _group()
    )
    op.create_index("ix_scope_tag_groups_group_id", "scope_tag_groups", ["group_id"])
    op.create_table(
        "device_scope_tags",
        Column("device_id", _UUID, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
        Column("tag_id", String(16), primary_key=True),
        _tenant(),
    )
    op.create_index("ix_device_scope_tags_tenant_id_tag_id", "device_scope_tags", ["tenant_id", "tag_id"])
    op.create_table(
        "group_people",
        _group(),
        Column("person_id", _UUID, ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
        _tenant(),
    )
    op.create_index("ix_group_people_person_id", "group_people", ["person_id"])


def _sessions() -> None:
    op.execute("DELETE FROM sessions")
    op.execute("DELETE FROM invitations")
    with op.batch_alter_table("sessions") as sessions:
        sessions.drop_column("sees_tenants")
        sessions.add_column(_person_of("sessions"))
        sessions.add_column(Column("proved_at", _MOMENT(), nullable=False))
        sessions.add_column(Column("method", String(16), nullable=False))
        sessions.add_column(Column("client", _NAME, nullable=False, server_default=_EMPTY))
    op.create_index("ix_sessions_person_id", "sessions", ["person_id"])
    with op.batch_alter_table("invitations") as invitations:
        invitations.drop_column("sees_tenants")
        invitations.add_column(_person_of("invitations"))


def _person_of(table: str) -> Column[str]:
    named = ForeignKey("people.id", ondelete="CASCADE", name=f"fk_{table}_person_id")
    return Column("person_id", _UUID, named, nullable=False)
