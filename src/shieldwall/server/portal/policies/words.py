"""Policies in words: types, platforms, rules, whom they are for. Marked texts, translated where they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.policy.outcomes import Rule
from shieldwall.server.portal.language import marked
from shieldwall.server.storage.records import AssignmentKind, FilterKind

FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "endpointSecurityAntivirus": marked("Antivirus"),
        "endpointSecurityFirewall": marked("Firewall"),
        "endpointSecurityEndpointDetectionAndResponse": marked("Endpoint detection and response"),
        "endpointSecurityAttackSurfaceReduction": marked("Attack surface reduction"),
    }
)
"""Policy types, in the order of other consoles; by the family of their templates."""
PLATFORMS: Final[Mapping[str, str]] = MappingProxyType({"windows10": "Windows", "linux": "Linux", "macOS": "macOS"})
"""Platforms of policies, by the names that they have in them."""
FILTER_PLATFORMS: Final[Mapping[str, str]] = MappingProxyType(
    {"windows10AndLater": "Windows", "linux": "Linux", "macOS": "macOS"}
)
"""Platforms of assignment filters, by the names that they have in them."""
KINDS: Final[Mapping[AssignmentKind, str]] = MappingProxyType(
    {
        AssignmentKind.ALL_DEVICES: marked("All devices"),
        AssignmentKind.INCLUDE: marked("Included"),
        AssignmentKind.EXCLUDE: marked("Excluded"),
    }
)
FILTER_KINDS: Final[Mapping[FilterKind, str]] = MappingProxyType(
    {
        FilterKind.NONE: marked("No filter"),
        FilterKind.INCLUDE: marked("Only devices that match"),
        FilterKind.EXCLUDE: marked("Only devices that do not match"),
    }
)
CONFLICT_FAMILIES: Final[Mapping[ConflictFamily, tuple[str, str]]] = MappingProxyType(
    {
        ConflictFamily.ANTIVIRUS: (
            marked("Antivirus"),
            marked("As published: the strongest value wins; where no order is known, the policy modified last."),
        ),
        ConflictFamily.EXCLUSIONS: (
            marked("Exclusions and other lists"),
            marked("As published: the items of all policies count together."),
        ),
        ConflictFamily.ATTACK_SURFACE_REDUCTION: (
            marked("Attack surface reduction"),
            marked("As published: values that differ are a conflict, and the setting is left as it was."),
        ),
        ConflictFamily.FIREWALL: (
            marked("Firewall settings"),
            marked("As published: values that differ are a conflict, and the setting is left as it was."),
        ),
        ConflictFamily.FIREWALL_RULES: (
            marked("Firewall rules"),
            marked("As published: the rules of all policies count together."),
        ),
        ConflictFamily.ENDPOINT_DETECTION: (
            marked("Endpoint detection and response"),
            marked("As published: values that differ are a conflict, and the setting is left as it was."),
        ),
    }
)
"""Families of settings that are decided alike: their name, and what is published for them."""
CONFLICT_RULES: Final[Mapping[ConflictRule, tuple[str, str]]] = MappingProxyType(
    {
        ConflictRule.NOTHING: (
            marked("Nothing wins"),
            marked("Values that differ are a conflict: the setting stays as it was before management."),
        ),
        ConflictRule.PRIORITY: (
            marked("The best priority wins"),
            marked(
                "1 is the best. A policy without a priority comes last; where two share the best, it is a conflict."
            ),
        ),
        ConflictRule.MOST_SECURE: (
            marked("The strongest value wins"),
            marked("By our order of strength; where there is none, the policy modified last."),
        ),
    }
)
"""Rules that a tenant may choose instead: their name, and what they mean."""
WHY: Final[Mapping[Rule, str]] = MappingProxyType(
    {
        Rule.ONLY: marked("No other policy sets it."),
        Rule.EQUAL: marked("The policies agree."),
        Rule.UNION: marked("The items of all policies count together; a stronger one replaces a weaker one."),
        Rule.MOST_SECURE: marked("The strongest value wins. The order of strength is ours."),
        Rule.LAST_MODIFIED: marked("The policy modified last wins."),
        Rule.PRIORITY: marked("The policy with the best priority wins."),
    }
)
"""Why a value won."""
WHY_NOT: Final[Mapping[Rule, str]] = MappingProxyType(
    {
        Rule.DIFFERING: marked("The values differ, and in this family nothing decides between them."),
        Rule.LAST_MODIFIED: marked("The values differ, none is known to be stronger and none was modified last."),
        Rule.PRIORITY: marked("The values differ, and no policy has the best priority alone."),
    }
)
"""Why no value won."""
