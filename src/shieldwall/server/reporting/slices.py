"""Slices of a fleet: which devices are asked about, and how they are found among places and kinds. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from pyroaring import BitMap

from shieldwall.contract.ids import GroupId
from shieldwall.server.access.grants import DEFAULT_TAG, Scope
from shieldwall.server.reporting.image import FleetImage, union
from shieldwall.server.reporting.kinds import Mask
from shieldwall.server.storage.inventory.inventory_rows import SEPARATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Devices that fit every part that is named; of a part with several values, any of them.

    Texts are compared as they are, but for tags, whose letters are folded in the inventory.
    """

    groups: frozenset[GroupId] = frozenset()
    tags: frozenset[str] = frozenset()
    os_type: frozenset[str] = frozenset()
    os_version: frozenset[str] = frozenset()
    state: frozenset[str] = frozenset()
    managed_by: frozenset[str] = frozenset()
    enrollment_code: frozenset[int] = frozenset()
    agent_version: frozenset[str] = frozenset()
    attestation_level: frozenset[str] = frozenset()

    def values(self) -> dict[str, Collection[Any]]:
        """Return the parts that name values of what is listed."""
        return {name: getattr(self, name) for name in _BY_VALUE}


EVERYTHING: Final = Slice()
_BY_VALUE: Final = tuple(each.name for each in fields(Slice) if each.name not in {"groups", "tags"})


def members_of(image: FleetImage, asked: Slice) -> BitMap | None:
    """Return the members of the groups that a slice names; ``None`` where it names none."""
    return union(image.groups.get(group, BitMap()) for group in asked.groups) if asked.groups else None


def fitting(image: FleetImage, asked: Slice) -> Mask | None:
    """Say of every listed kind whether it fits a slice; ``None`` where all do."""
    wanted = {name: values for name, values in asked.values().items() if values}
    if not wanted and not asked.tags:
        return None
    found = image.where(**wanted)
    if asked.tags:
        marks = [f"{SEPARATOR}{tag.casefold()}{SEPARATOR}" for tag in asked.tags]
        found &= image.listed_kinds.where("tags", lambda tags: any(mark in tags for mark in marks))
    return found


def seen_within(
    image: FleetImage, scopes: Iterable[Scope], groups_by_tag: Mapping[str, Collection[GroupId]]
) -> BitMap | None:
    """Return the devices that are seen within one of these scopes, as ``scoping.sees_device`` says; ``None``: all."""
    scopes = tuple(scopes)
    if any(scope.tags is None for scope in scopes):
        return None
    tags = frozenset[str]().union(*(scope.tags for scope in scopes if scope.tags is not None))
    found = _tagged(image, tags, groups_by_tag)
    if DEFAULT_TAG in tags:
        found |= image.everyone - _tagged(image, groups_by_tag.keys() | image.tagged.keys(), groups_by_tag)
    return found


def both(one: BitMap | None, other: BitMap | None) -> BitMap | None:
    """Return what is in both; ``None`` stands for all devices."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _tagged(image: FleetImage, tags: Iterable[str], groups_by_tag: Mapping[str, Collection[GroupId]]) -> BitMap:
    wanted = tuple(tags)
    groups = {group for tag in wanted for group in groups_by_tag.get(tag, ())}
    bitmaps = [*(image.groups.get(group) for group in groups), *(image.tagged.get(tag) for tag in wanted)]
    return union(bitmap for bitmap in bitmaps if bitmap is not None)
