"""Rules of assignment filters: membership rules, in which the names that Intune's filters use are understood as well.

Pure. A filter is for one platform; devices of another never match it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from shieldwall.contract.ids import AssignmentFilterId
from shieldwall.policy.membership import Attributes, InvalidRuleError, MembershipRule, parse_rule
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
_WORD: Final = re.compile(
    r'"(?:[^"`]|`.)*"|(?<![-\w.])(?:device\.(?P<name>\w+)|(?P<join>and|or|not)\b)', re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """A filter that was read, to be asked about many devices."""

    id: AssignmentFilterId
    os_types: frozenset[str]
    rule: MembershipRule

    def matches(self, attributes: Attributes) -> bool:
        """Say whether a device with these properties matches."""
        return attributes.get("deviceOSType") in self.os_types and self.rule.matches(attributes)


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

    Raises:
        InvalidRuleError: It cannot be read, or asks for what is not known of devices; the cause names it.
    """
    moved: list[tuple[int, int]] = []

    def in_our_words(found: re.Match[str]) -> str:
        ours = _in_our_words(found)
        moved.append((found.end(), len(ours) - len(found[0])))
        return ours

    try:
        return parse_rule(_WORD.sub(in_our_words, text))
    except InvalidRuleError as error:
        cause = str(error).rpartition(" (at character ")[0]
        raise InvalidRuleError(cause, _position_before(moved, error.position)) from None


def _in_our_words(found: re.Match[str]) -> str:
    if found["join"]:
        return f"-{found['join']}"
    if found["name"]:
        return f"device.{_OTHER_NAMES.get(found['name'].lower(), found['name'])}"
    return found[0]


def _position_before(moved: Iterable[tuple[int, int]], position: int) -> int:
    """Say where in the text as it was written a position of the translated text is."""
    grown = 0
    for end, growth in moved:
        if end + grown + growth > position:
            break
        grown += growth
    return position - grown
