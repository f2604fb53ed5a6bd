"""The target: what a device shall enforce, named by one digest that serves as its ETag."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shieldwall.contract.conflicts import PUBLISHED, ConflictFamily, ConflictRule, ConflictRules
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import ManifestItem
from shieldwall.contract.strict_json import decode, digest_of_bytes, encode


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Policy revisions in their one order, and the rules by which they are brought together."""

    items: tuple[ManifestItem, ...]
    conflict_rules: dict[ConflictFamily, ConflictRule] = {}


def ordered(items: Iterable[ManifestItem]) -> tuple[ManifestItem, ...]:
    """Put manifest items into their one order: by policy id."""
    return tuple(sorted(items, key=lambda item: item.policy_id))


def write_target(items: Iterable[ManifestItem], rules: ConflictRules = PUBLISHED) -> bytes:
    """Write a target in its one form: the items alone where every family is decided as published.

    The order the items come in does not matter.
    """
    return encode(Target(items=ordered(items), conflict_rules=dict(rules)) if rules else ordered(items))


def read_target(body: bytes) -> Target:
    """Read what ``write_target`` wrote. Raises: InvalidJsonError."""
    if body.startswith(b"["):
        return Target(items=decode(body, tuple[ManifestItem, ...]))
    return decode(body, Target)


def target_digest(items: Iterable[ManifestItem], rules: ConflictRules = PUBLISHED) -> Digest:
    """Name a set of items and the rules they are brought together by."""
    return digest_of_bytes(write_target(items, rules))
