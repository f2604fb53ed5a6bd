"""Rules of assignment filters: membership rules, in which the names that Intune's filters use are understood as well.

Pure. A filter is for one platform; devices of another never match it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from shieldwall.contract.ids import AssignmentFilterId
from shieldwall.policy.membership import MEMBER_OF, Attributes, MembershipRule, parse_rule
from shieldwall.policy.rule_tree import All, Comparison, Operator
from shieldwall.server.storage.records import Assignment, AssignmentFilter, FilterKind

PLATFORMS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "linux": frozenset({"Linux"}),
        "macOS": frozenset({"macOS"}),
        "windows10AndLater": frozenset({"Windows", "Windows Server"}),
    }
)
"""The platforms of filters, and the operating systems that each is for."""

_OTHER_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "devicename": "displayName",
        "manufacturer": "deviceManufacturer",
        "model": "deviceModel",
        "operatingsystem": "deviceOSType",
        "operatingsystemversion": "deviceOSVersion",
        "osversion": "deviceOSVersion",
    }
)
"""From Intune's names of properties, in small letters, to those of the directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """A filter that was read, to be asked about many devices."""

    id: AssignmentFilterId
    os_types: frozenset[str]
    rule: MembershipRule

    @property
    def whole_rule(self) -> MembershipRule:
        """The rule, with what the platform asks for in words."""
        return _whole(self.os_types, self.rule)

    def matches(self, attributes: Attributes) -> bool:
        """Say whether a device with these properties matches."""
        return attributes.get("deviceOSType") in self.os_types and self.rule.matches(attributes)


def rule_for(platform: str, rule: MembershipRule) -> MembershipRule:
    """Return the rule of a filter for a platform, with what that asks for in words."""
    return _whole(PLATFORMS[platform], rule)


def _whole(os_types: Collection[str], rule: MembershipRule) -> MembershipRule:
    platform = Comparison("deviceOSType", Operator.IN, tuple(sorted(os_types)))
    return MembershipRule(All((platform, rule.root)))


def narrowing(kept: AssignmentFilter) -> Narrowing:
    """Read a filter that was checked when it was saved."""
    return Narrowing(id=kept.id, os_types=PLATFORMS[kept.platform], rule=read_filter_rule(kept.rule))


def matching(narrowings: Iterable[Narrowing], attributes: Attributes) -> frozenset[AssignmentFilterId]:
    """Return the filters that a device with these properties matches."""
    return frozenset(each.id for each in narrowings if each.matches(attributes))


def lets_through(assignment: Assignment, matched: Collection[AssignmentFilterId]) -> bool:
    """Say whether an assignment, by its filter, is for a device that matches these filters."""
    match assignment.filter_kind:
        case FilterKind.NONE:
            return True
        case FilterKind.INCLUDE:
            return assignment.filter_id in matched
        case FilterKind.EXCLUDE:
            return assignment.filter_id not in matched


def read_filter_rule(text: str) -> MembershipRule:
    """Read the rule of a filter.

    It cannot ask for groups: to whom a policy is assigned says that.

    Raises:
        InvalidRuleError: It cannot be read, or asks for what is not known of devices; the cause names it.
    """
    return parse_rule(text, other_names=_OTHER_NAMES, without=[MEMBER_OF])
