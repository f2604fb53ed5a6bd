"""How policies that want different values are brought together: the rule of each family, which a tenant may change.

The rules travel in a device's signed manifest, because the device itself decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias


class ConflictFamily(StrEnum):
    """Settings that are decided alike: a row of the published table."""

    ANTIVIRUS = "antivirus"
    """Single values of antivirus policies."""
    EXCLUSIONS = "exclusions"
    """Exclusions and other lists that are united, of whatever policy type."""
    ATTACK_SURFACE_REDUCTION = "attackSurfaceReduction"
    FIREWALL = "firewall"
    """Settings of firewall profiles."""
    FIREWALL_RULES = "firewallRules"
    ENDPOINT_DETECTION = "endpointDetection"


class ConflictRule(StrEnum):
    """What a tenant may choose instead of the published rule."""

    NOTHING = "nothing"
    """Values that differ are a conflict: none is applied."""
    PRIORITY = "priority"
    """The policy with the best priority wins (1 is best); one without a priority comes last."""
    MOST_SECURE = "mostSecure"
    """The strongest value; without an order of strength the policy modified last; else nothing."""


ConflictRules: TypeAlias = Mapping[ConflictFamily, ConflictRule]
"""The families a tenant decides otherwise; one that is not named keeps the published rule."""

PUBLISHED: Final[ConflictRules] = MappingProxyType({})
"""Every family as published."""
