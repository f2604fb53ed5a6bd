"""A fleet and the policies that stand in it: who is there, which policy reaches whom, and by which rules they meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from shieldwall.contract.conflicts import ConflictRules
from shieldwall.contract.ids import PolicyId, SettingId
from shieldwall.policy.applicability import Traits, Version
from shieldwall.policy.device_sets import NOBODY, DeviceSet
from shieldwall.policy.outcomes import Contender, Reason
from shieldwall.policy.prepared import PreparedPolicy


class Standing(Struct, frozen=True, kw_only=True):
    """A policy as it stands: its newest revision, and the devices it is assigned to."""

    policy: PreparedPolicy
    devices: DeviceSet


class Situation(Struct, frozen=True, kw_only=True):
    """All policies at one moment, and the rules by which they are brought together."""

    policies: Mapping[PolicyId, Standing]
    rules: ConflictRules


class Entry(Struct, frozen=True, kw_only=True):
    """A policy that sets one setting: the devices it contends on, and those where the setting does not apply."""

    contender: Contender
    applies: DeviceSet
    inapplicable: Mapping[Reason, DeviceSet]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The devices there are, told apart by what decides which settings apply to them."""

    traits: Mapping[Traits, DeviceSet]
    _known: dict[tuple[str, Version], dict[Reason | None, DeviceSet]] = field(default_factory=dict, repr=False)

    @property
    def everybody(self) -> DeviceSet:
        """All devices."""
        found = NOBODY
        for devices in self.traits.values():
            found |= devices
        return found

    def entries(self, situation: Situation, setting: SettingId) -> Iterator[Entry]:
        """Yield every policy that sets a setting."""
        for standing in situation.policies.values():
            contender = standing.policy.contenders.get(setting)
            if contender is not None:
                divided = self._divided(standing.policy.platforms, standing.policy.needs[setting])
                yield Entry(
                    contender=contender,
                    applies=standing.devices & divided.get(None, NOBODY),
                    inapplicable={
                        reason: standing.devices & devices for reason, devices in divided.items() if reason is not None
                    },
                )

    def _divided(self, platforms: str, needed: Version) -> Mapping[Reason | None, DeviceSet]:
        """Divide the devices by whether a setting applies to them, and else why not."""
        divided = self._known.get((platforms, needed))
        if divided is None:
            divided = self._known[platforms, needed] = {}
            for traits, devices in self.traits.items():
                reason = traits.reason_against(platforms, needed)
                divided[reason] = divided.get(reason, NOBODY) | devices
        return divided
