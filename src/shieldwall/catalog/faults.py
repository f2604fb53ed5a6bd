"""What can be wrong with one value, or with one item of a group, before anybody knows where in a policy it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from shieldwall.contract.ids import SettingId


class Fault(Struct, frozen=True):
    """Something wrong with a value: stable code, plain words, and what is allowed instead."""

    code: str
    message: str
    allowed: str = ""


Members: TypeAlias = Mapping[SettingId, str | tuple[str, ...]]
"""The members of one item of a group: item ids and texts."""

LocatedFault: TypeAlias = tuple[SettingId, Fault]
"""A fault, and the member of an item it stands in."""
