"""What the applier remembers between two runs, in one document that is replaced as a whole.

Because policies, what providers keep and the journal stand in the same file, one rename commits all of them: there is
no instant in which the device has the new files and has forgotten what was there before.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec

from shieldwall.agent.applier.uptime import Moment
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import Digest, DigestField, SettingIdField
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import RefusedPolicy
from shieldwall.contract.strict_json import digest_of, encode


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


class Policies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Documents that were enforced, on which terms."""

    terms: Terms = AS_PUBLISHED
    documents: tuple[PolicyDocument, ...] = ()


class WayBack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one provider gets back to what was confirmed last: its files, and what was remembered of it."""

    intent: Intent
    managed: Managed | None


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A change that may have cut the device off, and goes back unless somebody proves in time that it did not.

    ``nonce`` names the change, so that no proof of an earlier one counts; ``begun`` and ``seconds`` say until when.
    """

    nonce: str
    begun: Moment
    seconds: float
    ways_back: tuple[WayBack, ...]
    before: Policies
    """The documents of which the providers concerned held the settings."""
    committed: bool = False
    """Whether the change was carried out to its end."""

    def left(self, now: Moment) -> float:
        """Return the seconds left to confirm; none after a reboot."""
        passed = now.since(self.begun)
        return 0.0 if passed is None or passed < 0 else self.seconds - passed

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers that go back."""
        return tuple(way.intent.provider for way in self.ways_back)


class HeldBack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a target that cut the device off: they are not tried again; what held before holds instead."""

    target: DigestField
    providers: tuple[str, ...]
    instead: Policies


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New policies that have to show that the device lives with them, and what to return to if it does not.

    ``begun`` moves to the beginning of a boot that comes unexpectedly. ``falls`` counts how often the device
    went back to something since it was last calm.
    """

    target: DigestField
    begun: Moment
    before: Policies
    crashes: int = 0
    falls: int = 0


class Stage(StrEnum):
    """How much the device is trusted with."""

    NORMAL = "normal"
    LAST_KNOWN_GOOD = "lastKnownGood"
    """The policies before the last target hold, for the device crashed again and again with that."""
    SAFE_MODE = "safeMode"
    """Even that did not help. Of what comes, only what strengthens is taken."""


class Fallen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is held back after crashes: the target that is not tried again, and the policies that hold instead.

    ``calm_since`` is when the last crash was noticed.
    """

    stage: Stage
    target: DigestField
    instead: Policies
    calm_since: Moment


class Footing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How steadily the programs run. ``running`` are those that began in ``boot`` and have not said goodbye."""

    boot: str = ""
    running: tuple[str, ...] = ()
    trial: Trial | None = None
    fallen: Fallen | None = None


class Repair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a provider that were put back, when, and who had changed them, where that is known."""

    provider: str
    settings: tuple[SettingIdField, ...]
    at: Moment
    by: str = ""


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
    unconfirmed: Window | None = None
    held_back: HeldBack | None = None
    footing: Footing = Footing()
    repairs: tuple[Repair, ...] = ()

    @property
    def policies(self) -> Policies:
        """What is enforced."""
        return Policies(terms=self.terms, documents=self.documents)

    @property
    def aim(self) -> Digest:
        """What is enforced, in a word."""
        return aim_of(self.target, self.documents)

    @property
    def stage(self) -> Stage:
        """How much the device is trusted with."""
        return Stage.NORMAL if self.footing.fallen is None else self.footing.fallen.stage

    @property
    def holding(self) -> Policies:
        """The documents whose settings hold, as far as documents can say it."""
        if self.held_back is not None:
            return self.held_back.instead
        return self.policies if self.footing.fallen is None else self.footing.fallen.instead

    def intending(self, intents: Iterable[Intent]) -> State:
        """Add changes about to be made; of two for one provider the newer stays."""
        newer = {intent.provider: intent for intent in intents}
        older = tuple(intent for intent in self.intents if intent.provider not in newer)
        return msgspec.structs.replace(self, intents=older + tuple(newer.values()))

    def same_as(self, other: State) -> bool:
        """Say whether the two differ in nothing but the moment, as they are written: a tuple is read as a list."""
        return encode(msgspec.structs.replace(self, committed_at=other.committed_at)) == encode(other)


def aim_of(target: Digest | None, documents: Iterable[PolicyDocument]) -> Digest:
    """Name what is to be enforced: the target, or where none is named the documents themselves."""
    return target if target is not None else digest_of(sorted(digest_of(document) for document in documents))
