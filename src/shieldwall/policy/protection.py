"""Tamper protection of one device: from the word of the tenant, of its groups, and about the device itself. Pure.

An exclusion of the device is the most specific word, then its groups, then the tenant. Where two of its groups
disagree, protected wins: whoever turns protection off for a few must not reach devices that somebody else protects.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Final

import msgspec

from shieldwall.contract.ids import UUID_PATTERN, DeviceId, DeviceIdField, GroupId
from shieldwall.contract.messages import LONGEST_TROUBLESHOOTING_SECONDS, UNPROTECTED, Protection
from shieldwall.policy.classify import ChangeClass

MAX_GROUPS: Final = 500
MAX_EXCLUDED: Final = 1_000
"""Whoever excludes more devices than that means a group."""
SHORTEST_WINDOW: Final = timedelta(minutes=5)
DEFAULT_WINDOW: Final = timedelta(hours=4)
LONGEST_WINDOW: Final = timedelta(seconds=LONGEST_TROUBLESHOOTING_SECONDS)
"""How long troubleshooting may last; who needs longer turns protection off, which says so."""

_GroupId = Annotated[GroupId, msgspec.Meta(pattern=UUID_PATTERN)]


class ProtectionSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What a tenant says of tamper protection; a group left out has no word of its own."""

    enabled: bool = False
    groups: Annotated[dict[_GroupId, bool], msgspec.Meta(max_length=MAX_GROUPS)] = {}
    excluded: Annotated[tuple[DeviceIdField, ...], msgspec.Meta(max_length=MAX_EXCLUDED)] = ()
    """In ascending order, each once, so that looking one up among many costs nothing."""

    def __post_init__(self) -> None:
        """Refuse another order. Raises: ValueError."""
        if any(one >= other for one, other in pairwise(self.excluded)):
            raise ValueError("the devices excluded are not in ascending order")

    def is_excluded(self, device_id: DeviceId) -> bool:
        """Say whether a device is excepted from protection."""
        place = bisect_left(self.excluded, device_id)
        return self.excluded[place : place + 1] == (device_id,)


def is_protected(settings: ProtectionSettings, memberships: Collection[GroupId], device_id: DeviceId) -> bool:
    """Say whether a device in these groups is protected."""
    if settings.is_excluded(device_id):
        return False
    words = {settings.groups[group] for group in memberships if group in settings.groups}
    return True in words if words else settings.enabled


def protection_of(
    settings: ProtectionSettings,
    memberships: Collection[GroupId],
    device_id: DeviceId,
    *,
    troubleshooting_until: datetime | None = None,
    now: datetime,
) -> Protection:
    """Return how a device is protected; troubleshooting that is over is not mentioned any more."""
    tamper = is_protected(settings, memberships, device_id)
    until = None if troubleshooting_until is None or troubleshooting_until <= now else troubleshooting_until
    if not tamper and until is None:
        return UNPROTECTED
    return Protection(tamper=tamper, troubleshooting_until=None if until is None else _written(until))


def protected_among(
    settings: ProtectionSettings, everybody: frozenset[DeviceId], members: Mapping[GroupId, frozenset[DeviceId]]
) -> frozenset[DeviceId]:
    """Return those that are protected: ``is_protected`` for all at once, from who belongs to the groups named."""
    on, off = (
        frozenset[DeviceId]().union(*(members[group] for group, word in settings.groups.items() if word is wanted))
        for wanted in (True, False)
    )
    others = everybody - on - off if settings.enabled else frozenset[DeviceId]()
    return ((on & everybody) | others) - frozenset(settings.excluded)


def class_of(*, gained: int, lost: int) -> ChangeClass:
    """Classify a change of protection: whoever takes it from a single device weakens."""
    if lost:
        return ChangeClass.WEAKEN
    return ChangeClass.STRENGTHEN if gained else ChangeClass.NEUTRAL


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
