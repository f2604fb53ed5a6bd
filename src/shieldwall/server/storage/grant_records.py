"""Records of what is handed out to applications for people: codes and refresh tokens. Only digests are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shieldwall.contract.ids import Digest, TenantId
from shieldwall.server.storage.identity_records import ProofMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCode:
    """What an application exchanges once for the tokens of a person (RFC 6749 section 4.1).

    ``family_id`` names all refresh tokens that come of it; ``code_challenge`` is PKCE's S256.
    """

    digest: Digest = field(repr=False)
    tenant_id: TenantId
    client_id: str
    person_id: str
    family_id: str
    redirect_uri: str
    code_challenge: str
    audience: str
    scopes: tuple[str, ...]
    nonce: str
    proved_at: datetime
    method: ProofMethod
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """What an application exchanges once for new tokens of a person, the next of its family among them.

    ``proof_key`` is the thumbprint of the key that it is bound to, if any.
    """

    digest: Digest = field(repr=False)
    tenant_id: TenantId
    family_id: str
    client_id: str
    person_id: str
    audience: str
    scopes: tuple[str, ...]
    proved_at: datetime
    method: ProofMethod
    proof_key: str | None = None
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


class DeviceCodeState(StrEnum):
    """How far a device code has come."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """What a program without a browser asks with while a person decides elsewhere (RFC 8628).

    ``asked_at`` is when it last asked, or was made.
    """

    digest: Digest = field(repr=False)
    tenant_id: TenantId
    client_id: str
    user_code: str
    audience: str
    scopes: tuple[str, ...]
    person_id: str | None = None
    state: DeviceCodeState
    proved_at: datetime | None = None
    method: str = ""
    asked_at: datetime
    expires_at: datetime
