"""What comes out for one setting on one device, with its sources: a value, a conflict, or that it does not apply."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

import msgspec

from shieldwall.contract.ids import PolicyId, SettingId
from shieldwall.policy.values import SettingValue


class Rule(StrEnum):
    """What decided, or for a conflict what did not."""

    ONLY = "only"
    EQUAL = "equal"
    UNION = "union"
    MOST_SECURE = "mostSecure"
    LAST_MODIFIED = "lastModified"
    PRIORITY = "priority"
    DIFFERING = "differing"
    INAPPLICABLE = "inapplicable"


class Reason(StrEnum):
    """Why a setting does not apply to a device, known before the device says so."""

    OTHER_PLATFORM = "otherPlatform"
    AGENT_TOO_OLD = "agentTooOld"


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that sets the setting, and to what. ``moment`` is ``modified_at``, read."""

    policy: PolicyId
    policy_name: str
    value: SettingValue
    modified_at: str
    moment: datetime
    revision: int = 1
    priority: int | None = None


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """The setting has a value. Winners wanted just that, or find all their items in it; losers do not."""

    setting: SettingId
    value: SettingValue
    winners: tuple[PolicyId, ...]
    losers: tuple[PolicyId, ...]
    rule: Rule
    contenders: tuple[Contender, ...]


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """Values differ and the rule does not decide: the setting keeps its state from before management."""

    setting: SettingId
    contenders: tuple[Contender, ...]
    rule: Rule


class Inapplicable(msgspec.Struct, frozen=True, kw_only=True):
    """Policies set it, and this device has nothing it could be set on."""

    setting: SettingId
    contenders: tuple[Contender, ...]
    reason: Reason
    rule: Rule = Rule.INAPPLICABLE


Resolution: TypeAlias = Decided | Conflict | Inapplicable


class EffectivePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for every setting that any policy speaks about, in the order of setting ids."""

    settings: Mapping[SettingId, Resolution]

    def decided(self) -> Mapping[SettingId, SettingValue]:
        """Return the values to enforce; settings in conflict are not among them."""
        return {
            setting: resolution.value
            for setting, resolution in self.settings.items()
            if isinstance(resolution, Decided)
        }

    def conflicts(self) -> tuple[Conflict, ...]:
        """Return the settings on which the policies could not be brought together."""
        return tuple(resolution for resolution in self.settings.values() if isinstance(resolution, Conflict))
