"""Attempts to sign in that are under way: what was asked of a browser, kept by digest until it answers, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, insert

from shieldwall.contract.ids import Digest, TenantId
from shieldwall.server.storage.statements.rows import columns_of, map_from, to_text
from shieldwall.server.storage.tables.identity_schema import sign_in_attempts


class Purpose(StrEnum):
    """What an answer is good for, and nothing else."""

    REGISTER = "registerPasskey"
    SIGN_IN = "signIn"
    CONFIRM = "confirm"
    """Somebody who is signed in proves again who they are."""
    FEDERATED = "federated"
    """Somebody is away at an identity provider."""
    FEDERATED_PROOF = "federatedProof"
    """Somebody has come back from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInAttempt:
    """What was asked. ``digest`` binds purpose, browser and what was drawn; ``details`` are the purpose's own."""

    digest: Digest = field(repr=False)
    tenant_id: TenantId
    kind: Purpose
    person_id: str | None = None
    details: dict[str, str] = field(default_factory=dict, repr=False)
    expires_at: datetime


def add(connection: Connection, attempt: SignInAttempt) -> None:
    """Add an attempt."""
    encoded = columns_of(attempt, kind=attempt.kind.value, details=to_text(attempt.details))
    connection.execute(insert(sign_in_attempts).values(encoded))


def take(connection: Connection, digest: Digest, now: datetime) -> SignInAttempt | None:
    """Remove an attempt and return it; ``None`` where it is unknown, expired or taken already.

    One statement decides and removes, so of parallel callers one at most gets it.
    """
    row = connection.execute(
        delete(sign_in_attempts)
        .where(sign_in_attempts.c.digest == digest, sign_in_attempts.c.expires_at > now)
        .returning(*sign_in_attempts.c)
    ).one_or_none()
    if row is None:
        return None
    return SignInAttempt(**row._asdict() | {"kind": Purpose(row.kind), "details": map_from(row.details)})


def remove_expired(connection: Connection, now: datetime) -> int:
    """Forget attempts that nobody could finish any more; return how many."""
    return connection.execute(delete(sign_in_attempts).where(sign_in_attempts.c.expires_at <= now)).rowcount
