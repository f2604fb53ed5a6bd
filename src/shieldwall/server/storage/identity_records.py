"""Records of people and applications, and of what shows who they are. Times are aware UTC; lists are parsed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shieldwall.contract.ids import Digest, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who administers a tenant. ``user_name`` is lower case and theirs alone in the tenant.

    What was handed out before ``valid_from``, sessions and tokens, is worth nothing.
    """

    id: str
    tenant_id: TenantId
    user_name: str
    display_name: str
    enabled: bool = True
    sees_tenants: bool = False
    """Whether the person sees the figures of all tenants of the server."""
    created_at: datetime
    last_sign_in_at: datetime | None = None
    valid_from: datetime

    def principal_name(self, domain: str) -> str:
        """Return the name by which somebody of the tenant with this domain is known everywhere."""
        return self.user_name if "@" in self.user_name else f"{self.user_name}@{domain}"


class ProofMethod(StrEnum):
    """How a person showed who they are."""

    CODE = "code"
    """By a one-time code that somebody else made for them."""
    PASSKEY = "passkey"
    FEDERATED = "federated"
    """At an identity provider that the tenant trusts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A person signed in to the admin center; the token itself is never kept.

    ``proved_at`` is when they last showed who they are, and ``method`` how. ``client`` says where they sit, for the
    list of their sessions.
    """

    token_digest: Digest = field(repr=False)
    tenant_id: TenantId
    person_id: str
    display_name: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    proved_at: datetime
    method: ProofMethod
    client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An application. ``permissions`` are its own; ``delegated`` those it may use for a person who signs in to it.

    A *public* one runs where no secret can be kept. What was handed out before ``valid_from`` is worth nothing.
    ``object_id`` names it in the directory, ``client_id`` where it signs in.
    """

    client_id: str
    tenant_id: TenantId
    object_id: str
    display_name: str
    permissions: tuple[str, ...]
    delegated: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    is_public: bool = False
    enabled: bool = True
    requires_proof: bool = False
    """Whether it gets no token that is not bound to a key of its own."""
    created_at: datetime
    valid_from: datetime


class CredentialKind(StrEnum):
    """What an application shows who it is by."""

    SECRET = "secret"  # noqa: S105 - the kind, not one of them
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppCredential:
    """A secret of an application, kept as its hash, or its certificate (DER). ``hint`` is how a secret begins."""

    id: str
    tenant_id: TenantId
    client_id: str
    kind: CredentialKind
    display_name: str
    secret_hash: str | None = field(default=None, repr=False)
    hint: str = ""
    certificate: bytes | None = None
    starts_at: datetime
    expires_at: datetime
