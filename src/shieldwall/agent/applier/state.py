"""What the applier remembers between two runs, in one document that is replaced as a whole.

Because policies, what providers keep and the journal stand in the same file, one rename commits all of them: there is
no instant in which the device has the new files and has forgotten what was there before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import DigestField
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import RefusedPolicy


class SavedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file as it was before; without content there was none."""

    path: str
    content: bytes | None


class Intent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of one provider that was begun and is not committed: how to go back."""

    provider: str
    files: tuple[SavedFile, ...]


class Managed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider that holds settings: what it needs to let go one day, and which settings it was given last."""

    kept: dict[str, Any]
    desired: DigestField


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """On which terms policies are enforced: the tenant's conflict rules, and the way to the server that stays open."""

    conflict_rules: dict[ConflictFamily, ConflictRule] = {}
    server_urls: tuple[str, ...] = ()


AS_PUBLISHED: Final = Terms()
"""No rule chosen otherwise, and nothing known of the server."""


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Everything there is to remember. ``committed_at`` is RFC 3339, for people."""

    format: Literal[1] = 1
    target: DigestField | None = None
    terms: Terms = AS_PUBLISHED
    documents: tuple[PolicyDocument, ...] = ()
    refused: tuple[RefusedPolicy, ...] = ()
    providers: dict[str, Managed] = {}
    intents: tuple[Intent, ...] = ()
    committed_at: str | None = None

    def intending(self, intents: Iterable[Intent]) -> State:
        """Add changes about to be made; of two for one provider the newer stays."""
        newer = {intent.provider: intent for intent in intents}
        older = tuple(intent for intent in self.intents if intent.provider not in newer)
        return msgspec.structs.replace(self, intents=older + tuple(newer.values()))

    def same_as(self, other: State) -> bool:
        """Say whether the two differ in nothing but the moment."""
        return msgspec.structs.replace(self, committed_at=other.committed_at) == other
