"""The target: what a device shall enforce, named by one digest that serves as its ETag."""

from __future__ import annotations

from collections.abc import Iterable

from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import ManifestItem
from shieldwall.contract.strict_json import digest_of


def ordered(items: Iterable[ManifestItem]) -> tuple[ManifestItem, ...]:
    """Put manifest items into their one order: by policy id."""
    return tuple(sorted(items, key=lambda item: item.policy_id))


def target_digest(items: Iterable[ManifestItem]) -> Digest:
    """Name a set of items; the order they come in does not matter."""
    return digest_of(ordered(items))
