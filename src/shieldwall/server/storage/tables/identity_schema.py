"""Tables of people and applications: who they are, how they prove it, and what was handed to them for it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from shieldwall.server.storage.tables.columns import NAME, UUID, Moment, metadata
from shieldwall.server.storage.tables.digests import DIGEST

_NO_LIST: Final = text("'[]'")

people: Final = Table(
    "people",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("user_name", NAME, nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("sees_tenants", Boolean, nullable=False, server_default=false()),
    Column("created_at", Moment, nullable=False),
    Column("last_sign_in_at", Moment),
    Column("valid_from", Moment, nullable=False),
    UniqueConstraint("tenant_id", "user_name"),
)

passkeys: Final = Table(
    "passkeys",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("person_id", UUID, ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", Integer, nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("authenticator", String(36), nullable=False),
    Column("transports", Text, nullable=False, server_default=_NO_LIST),
    Column("backed_up", Boolean, nullable=False, server_default=false()),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
)

identity_providers: Final = Table(
    "identity_providers",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("client_secret", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("created_at", Moment, nullable=False),
    Column("modified_at", Moment, nullable=False),
    Index(None, "tenant_id"),
)

federated_identities: Final = Table(
    "federated_identities",
    metadata,
    Column("provider_id", UUID, ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True),
    Column("subject", NAME, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("person_id", UUID, ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("groups", Text, nullable=False, server_default=_NO_LIST),
    Column("created_at", Moment, nullable=False),
)

sign_in_attempts: Final = Table(
    "sign_in_attempts",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("person_id", UUID, ForeignKey("people.id", ondelete="CASCADE")),
    Column("details", Text, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)

app_credentials: Final = Table(
    "app_credentials",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("client_id", UUID, ForeignKey("apps.client_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("secret_hash", Text),
    Column("hint", String(8), nullable=False, server_default=text("''")),
    Column("certificate", LargeBinary),
    Column("starts_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

authorization_codes: Final = Table(
    "authorization_codes",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("client_id", UUID, ForeignKey("apps.client_id", ondelete="CASCADE"), nullable=False),
    Column("person_id", UUID, ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    Column("family_id", UUID, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("code_challenge", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("proved_at", Moment, nullable=False),
    Column("method", String(16), nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("used_at", Moment),
)

refresh_tokens: Final = Table(
    "refresh_tokens",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("family_id", UUID, nullable=False, index=True),
    Column("client_id", UUID, ForeignKey("apps.client_id", ondelete="CASCADE"), nullable=False),
    Column("person_id", UUID, ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("audience", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("proved_at", Moment, nullable=False),
    Column("method", String(16), nullable=False),
    Column("proof_key", String(43)),
    Column("issued_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("used_at", Moment),
)

device_codes: Final = Table(
    "device_codes",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("client_id", UUID, ForeignKey("apps.client_id", ondelete="CASCADE"), nullable=False),
    Column("user_code", String(16), nullable=False, unique=True),
    Column("audience", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("person_id", UUID, ForeignKey("people.id", ondelete="CASCADE")),
    Column("state", String(16), nullable=False),
    Column("proved_at", Moment),
    Column("method", String(16), nullable=False, server_default=text("''")),
    Column("asked_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)
