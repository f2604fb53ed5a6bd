"""What policies are aimed by: the rules, filters, policies and settings of a tenant at one moment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from shieldwall.contract.conflicts import PUBLISHED, ConflictRules
from shieldwall.contract.ids import AssignmentFilterId, GroupId, PolicyId
from shieldwall.contract.messages import ManifestItem
from shieldwall.policy.membership import MembershipRule
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.storage.records import Assignment


@dataclass(frozen=True, slots=True, kw_only=True)
class AimedPolicy:
    """A policy that is assigned: what it delivers, to whom, and whether domain controllers are left out."""

    item: ManifestItem
    assignments: tuple[Assignment, ...]
    is_firewall: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """All of it. A group without a rule here keeps whoever belongs to it: it is an assigned one, or paused."""

    groups: Mapping[GroupId, MembershipRule | None] = field(default_factory=dict)
    filters: Mapping[AssignmentFilterId, MembershipRule] = field(default_factory=dict)
    """Those that narrow an assignment, with what their platform asks for in words."""
    policies: Mapping[PolicyId, AimedPolicy] = field(default_factory=dict)
    conflict_rules: ConflictRules = field(default_factory=lambda: PUBLISHED)
    protection: ProtectionSettings = field(default_factory=ProtectionSettings)

    def decided(self) -> frozenset[GroupId]:
        """Return the groups that a rule decides."""
        return frozenset(group_id for group_id, rule in self.groups.items() if rule is not None)


NOTHING_DEFINED: Final = Definitions()
