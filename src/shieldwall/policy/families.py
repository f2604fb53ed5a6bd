"""Which row of the published table decides a setting."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shieldwall.catalog.model import Catalog, Merge
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule, ConflictRules
from shieldwall.contract.ids import SettingId

_SINGLE: Final[Mapping[str, ConflictFamily]] = MappingProxyType(
    {
        "endpointSecurityAntivirus": ConflictFamily.ANTIVIRUS,
        "endpointSecurityAttackSurfaceReduction": ConflictFamily.ATTACK_SURFACE_REDUCTION,
        "endpointSecurityEndpointDetectionAndResponse": ConflictFamily.ENDPOINT_DETECTION,
        "endpointSecurityFirewall": ConflictFamily.FIREWALL,
    }
)


def conflict_family(catalog: Catalog, setting: SettingId) -> ConflictFamily:
    """Return the family that a setting is decided with."""
    single = _SINGLE.get(catalog.families.get(setting, ""), ConflictFamily.ANTIVIRUS)
    if catalog.definition(setting).merge is not Merge.UNION:
        return single
    return ConflictFamily.FIREWALL_RULES if single is ConflictFamily.FIREWALL else ConflictFamily.EXCLUSIONS


def chosen_rule(catalog: Catalog, setting: SettingId, rules: ConflictRules) -> ConflictRule | None:
    """Return what the tenant chose for a setting's family, ``None`` for the published rule."""
    return rules.get(conflict_family(catalog, setting)) if rules else None
