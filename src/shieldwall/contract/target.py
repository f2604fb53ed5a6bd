"""The target: what a device shall enforce, named by one digest that serves as its ETag."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from shieldwall.contract.conflicts import PUBLISHED, ConflictFamily, ConflictRule, ConflictRules
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import MANAGED_CODE, UNPROTECTED, EnrollmentField, ManifestItem, Protection
from shieldwall.contract.strict_json import decode, digest_of_bytes, encode


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Policy revisions in their one order, how they are brought together and protected, and the enrollment."""

    items: tuple[ManifestItem, ...]
    conflict_rules: dict[ConflictFamily, ConflictRule] = {}
    protection: Protection = UNPROTECTED
    offboard: bool = False
    enrollment: EnrollmentField = MANAGED_CODE


def ordered(items: Iterable[ManifestItem]) -> tuple[ManifestItem, ...]:
    """Put manifest items into their one order: by policy id."""
    return tuple(sorted(items, key=lambda item: item.policy_id))


def write_target(
    items: Iterable[ManifestItem],
    rules: ConflictRules = PUBLISHED,
    protection: Protection = UNPROTECTED,
    *,
    offboard: bool = False,
    enrollment: int = MANAGED_CODE,
) -> bytes:
    """Write a target in its one form: the items alone where there is nothing else to say.

    The order the items come in does not matter.
    """
    if protection == UNPROTECTED:
        protection = UNPROTECTED  # of objects that are equal, the encoder leaves out the very default alone
    target = Target(
        items=ordered(items),
        conflict_rules=dict(rules),
        protection=protection,
        offboard=offboard,
        enrollment=int(enrollment),  # nor does it leave out an enumeration's member that equals the default
    )
    return encode(target.items if target == Target(items=target.items) else target)


def read_target(body: bytes) -> Target:
    """Read what ``write_target`` wrote. Raises: InvalidJsonError."""
    if body.startswith(b"["):
        return Target(items=decode(body, tuple[ManifestItem, ...]))
    return decode(body, Target)


def target_digest(
    items: Iterable[ManifestItem],
    rules: ConflictRules = PUBLISHED,
    protection: Protection = UNPROTECTED,
    *,
    offboard: bool = False,
    enrollment: int = MANAGED_CODE,
) -> Digest:
    """Name a set of items, the rules they are brought together by, how they are protected, and the enrollment."""
    return digest_of_bytes(write_target(items, rules, protection, offboard=offboard, enrollment=enrollment))


ORDER_TO_LEAVE: Final = target_digest((), offboard=True)
"""The target of every device that shall leave management: nothing to enforce, and the order to go."""
