"""The index, told of one change after the other, holds what it would hold had it been told of all at once.

And that is what the directory and the manager say of one device: they are asked here by their own pure functions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from tests.support.samples import counted_id, device_id, group_id

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import AssignmentFilterId, DeviceId, Digest, GroupId, PolicyId, TemplateId
from shieldwall.contract.messages import ManifestItem
from shieldwall.contract.target import read_target, write_target
from shieldwall.policy.membership import MEMBER_OF, Value, parse_rule
from shieldwall.policy.protection import ProtectionSettings, protection_of
from shieldwall.server.manager.targeting import Aim, items_for
from shieldwall.server.storage.policies.assignments import AssignedItem
from shieldwall.server.storage.records import Assignment, AssignmentKind, FilterKind
from shieldwall.server.targeting import index as index_module
from shieldwall.server.targeting.definitions import AimedPolicy, Definitions
from shieldwall.server.targeting.fleet import PROPERTIES, Devices, Fleet, Trait
from shieldwall.server.targeting.hashes import Hasher
from shieldwall.server.targeting.index import FleetIndex

HASHER: Final = Hasher(b"s" * 32)
LEAVES: Final = (
    'device.deviceOSType -eq "Linux"',
    'device.deviceOSType -ne "Windows"',
    'device.deviceOSVersion -startsWith "1"',
    'device.displayName -eq "name-3"',
    'device.displayName -contains "7"',
    'device.deviceTag -any (_ -eq "blue")',
    'device.deviceTag -all (_ -startsWith "b")',
    "device.isRooted -eq true",
    "device.deviceModel -eq null",
    'device.extensionAttribute3 -in ["x", "y"]',
    "device.accountEnabled -eq true",
)
TRAITS: Final = (
    Trait(Aim.MANAGED, understands=True),
    Trait(Aim.MANAGED, understands=True),
    Trait(Aim.MANAGED, understands=False),
    Trait(Aim.DOMAIN_CONTROLLER, understands=True),
    Trait(Aim.UNMANAGED, understands=True, enrollment=5),
    Trait(Aim.UNMANAGED, understands=False, enrollment=5),
    Trait(Aim.LEAVING, understands=True, stays=False),
    Trait(None, understands=True),
    Trait(Aim.MANAGED, understands=True, is_unsure=True),
)


@dataclass
class Known:
    """A device as the world has it."""

    attributes: dict[str, Value]
    trait: Trait
    recorded: set[GroupId] = field(default_factory=set)


@dataclass
class World:
    """What is true, and an index that is told what changes."""

    drawn: random.Random
    index: FleetIndex
    devices: dict[DeviceId, Known] = field(default_factory=dict)
    definitions: Definitions = field(default_factory=Definitions)
    revisions: int = 0

    def some_devices(self) -> None:
        """Devices come, or are others than before."""
        numbers = self.drawn.sample(range(60), self.drawn.choice((1, 1, 2, 5, 40)))
        for number in numbers:
            recorded = {group for group in self.definitions.groups if self.drawn.random() < 0.3}
            self.devices[device_id(number)] = Known(self.attributes(), self.drawn.choice(TRAITS), recorded)
        self.index.put(self.told([device_id(number) for number in numbers]))

    def one_attribute(self) -> None:
        """One property of a device is another one."""
        if self.devices:
            chosen = self.drawn.choice(sorted(self.devices))
            name = self.drawn.choice(sorted(self.attributes()))
            self.devices[chosen].attributes[name] = self.attributes()[name]
            self.index.put(self.told([chosen]))

    def what_it_is(self) -> None:
        """A device is managed no more, or again, is a domain controller, leaves."""
        if self.devices:
            chosen = self.drawn.choice(sorted(self.devices))
            self.devices[chosen].trait = self.drawn.choice(TRAITS)
            self.index.put(self.told([chosen]))

    def recorded(self) -> None:
        """Devices join and leave assigned groups."""
        chosen = self.drawn.sample(sorted(self.devices), min(len(self.devices), self.drawn.choice((1, 3, 30))))
        for each in chosen:
            self.devices[each].recorded = {group for group in self.definitions.groups if self.drawn.random() < 0.4}
        if chosen:
            self.index.put(self.told(chosen))

    def gone(self) -> None:
        """Devices are deleted or retired."""
        chosen = self.drawn.sample(sorted(self.devices), min(len(self.devices), 2))
        for each in chosen:
            del self.devices[each]
        self.index.remove(chosen)

    def groups(self) -> None:
        """A group comes, goes, gets another rule, is paused or asks for another one."""
        groups = dict(self.definitions.groups)
        for _ in range(self.drawn.choice((1, 1, 3))):
            number = self.drawn.randrange(10)
            match self.drawn.randrange(5):
                case 0:
                    groups.pop(group_id(number), None)
                case 1:
                    groups[group_id(number)] = None
                case 2 if number >= 7:  # those from 7 on ask for the others, and nobody for them
                    named = ", ".join(f'"{group_id(each)}"' for each in self.drawn.sample(range(7), 2))
                    asks = f"device.memberOf -any (group.objectId -in [{named}])"
                    groups[group_id(number)] = parse_rule(
                        self.drawn.choice((asks, f"-not {asks}", f"{asks} -and {self.rule()}"))
                    )
                case _:
                    groups[group_id(number)] = parse_rule(self.rule())
        used = {each.group_id for policy in self.definitions.policies.values() for each in policy.assignments}
        for each in used - groups.keys() - {None}:
            groups[GroupId(str(each))] = None  # a group that policies are assigned to cannot be deleted
        self.define(groups=groups)

    def filters(self) -> None:
        """The filters that narrow assignments are others."""
        filters = dict(self.definitions.filters)
        filters[a_filter(self.drawn.randrange(3))] = parse_rule(self.rule())
        self.define(filters=filters)

    def policies(self) -> None:
        """A policy is published, assigned, unassigned."""
        policies = dict(self.definitions.policies)
        policy_id = PolicyId(counted_id("c", self.drawn.randrange(8)))
        match self.drawn.randrange(4):
            case 0:
                policies.pop(policy_id, None)
            case 1 if policy_id in policies:
                former = policies[policy_id]
                policies[policy_id] = AimedPolicy(
                    item=self.item(policy_id), assignments=former.assignments, is_firewall=former.is_firewall
                )
            case _:
                assignments = tuple(self.assignments(policy_id))
                policies[policy_id] = AimedPolicy(
                    item=self.item(policy_id), assignments=assignments, is_firewall=self.drawn.random() < 0.3
                )
        self.define(policies=policies)

    def conflict_rules(self) -> None:
        """The tenant decides conflicts otherwise."""
        rules = {ConflictFamily.FIREWALL: ConflictRule.NOTHING} if self.drawn.random() < 0.5 else {}
        self.define(conflict_rules=rules)

    def protection(self) -> None:
        """The tenant protects otherwise."""
        groups = {each: self.drawn.random() < 0.5 for each in self.definitions.groups if self.drawn.random() < 0.3}
        excluded = tuple(sorted(self.drawn.sample([device_id(number) for number in range(60)], 3)))
        enabled = self.drawn.random() < 0.5
        self.define(protection=ProtectionSettings(enabled=enabled, groups=groups, excluded=excluded))

    def define(self, **changes: Any) -> None:
        fields = ("groups", "filters", "policies", "conflict_rules", "protection")
        wanted = Definitions(**{name: getattr(self.definitions, name) for name in fields} | changes)
        for known in self.devices.values():
            known.recorded &= wanted.groups.keys()
        self.definitions = wanted
        recorded = {
            group: [each for each, known in self.devices.items() if group in known.recorded]
            for group in self.index.newly_recorded(wanted)
        }
        self.index.define(wanted, recorded)

    def told(self, ids: list[DeviceId]) -> Devices:
        known = [self.devices[each] for each in ids]
        return Devices(
            ids=ids,
            traits=[each.trait for each in known],
            attributes={name: [each.attributes.get(name) for each in known] for name in PROPERTIES},
            members={
                group: [number for number, each in enumerate(known) if group in each.recorded]
                for group in self.definitions.groups
            },
        )

    def attributes(self) -> dict[str, Value]:
        choice = self.drawn.choice
        return {
            "deviceOSType": choice(("Linux", "Windows", "macOS")),
            "deviceOSVersion": choice(("10", "11", "12", None)),
            "displayName": f"name-{self.drawn.randrange(40)}",
            "deviceTag": choice((("blue",), ("blue", "black"), ("red",), ())),
            "isRooted": choice((True, False, None)),
            "deviceModel": choice(("T1", None)),
            "extensionAttribute3": choice(("x", "Y", "z", None)),
            "accountEnabled": choice((True, False)),
        }

    def rule(self) -> str:
        parts = self.drawn.sample(LEAVES, self.drawn.choice((1, 2, 3)))
        return self.drawn.choice((" -and ", " -or ", " -and -not ")).join(parts)

    def item(self, policy_id: PolicyId) -> ManifestItem:
        self.revisions += 1
        digest = Digest(f"{self.revisions:064x}")
        return ManifestItem(policy_id=policy_id, revision=self.revisions, digest=digest, length=7)

    def assignments(self, policy_id: PolicyId) -> list[Assignment]:
        found = []
        for group in (None, *self.definitions.groups):
            if self.drawn.random() < 0.3:
                kinds = (AssignmentKind.INCLUDE, AssignmentKind.EXCLUDE)
                kind = AssignmentKind.ALL_DEVICES if group is None else self.drawn.choice(kinds)
                narrowed = self.drawn.random() < 0.4 and bool(self.definitions.filters)
                found.append(
                    Assignment(
                        policy_id=policy_id,
                        kind=kind,
                        group_id=group,
                        filter_id=self.drawn.choice(sorted(self.definitions.filters)) if narrowed else None,
                        filter_kind=self.drawn.choice((FilterKind.INCLUDE, FilterKind.EXCLUDE))
                        if narrowed
                        else FilterKind.NONE,
                    )
                )
        return found

    # What is true -----------------------------------------------------------------------------------------------------

    def groups_of(self, known: Known) -> frozenset[GroupId]:
        rules = self.definitions.groups
        belongs = {group for group in known.recorded if rules[group] is None}
        if known.trait.stays:
            for asks in (False, True):
                seen = {**known.attributes, MEMBER_OF: tuple(sorted(belongs))}
                belongs |= {
                    group
                    for group, rule in rules.items()
                    if rule is not None and bool(rule.groups()) is asks and rule.matches(seen)
                }
        return frozenset(belongs)

    def target_of(self, each: DeviceId) -> bytes | None:
        """What ``manager.targeting`` keeps for a device, by its own functions."""
        known = self.devices[each]
        trait, belongs = known.trait, self.groups_of(known)
        if trait.aim is None or trait.is_unsure:
            return None
        if trait.aim is Aim.LEAVING:
            return write_target((), offboard=True)
        if trait.aim is Aim.UNMANAGED:
            return write_target((), enrollment=trait.enrollment if trait.understands else 1)
        matched = {name for name, rule in self.definitions.filters.items() if rule.matches(known.attributes)}
        assigned = [
            AssignedItem(assignment=assignment, item=policy.item, template_id=TemplateId("t_1"))
            for policy in self.definitions.policies.values()
            for assignment in policy.assignments
            if not (policy.is_firewall and trait.aim is Aim.DOMAIN_CONTROLLER)
        ]
        now = datetime(2026, 1, 1, tzinfo=UTC)
        protection = protection_of(self.definitions.protection, belongs, each, now=now)
        said: dict[str, Any] = {"protection": protection} if trait.understands else {}
        return write_target(items_for(belongs, assigned, matched), self.definitions.conflict_rules, **said)


def a_filter(number: int) -> AssignmentFilterId:
    return AssignmentFilterId(counted_id("9", number))


CHANGES: Final = (
    World.some_devices,
    World.one_attribute,
    World.one_attribute,
    World.what_it_is,
    World.recorded,
    World.gone,
    World.groups,
    World.groups,
    World.filters,
    World.policies,
    World.policies,
    World.conflict_rules,
    World.protection,
)


def hashes(index: FleetIndex, devices: list[DeviceId]) -> dict[DeviceId, bytes | None]:
    found = {each: index.hash_of(each) for each in devices}
    return {each: None if value is None else value.tobytes() for each, value in found.items()}


@pytest.mark.parametrize("seed", range(16))
def test_told_of_changes_it_holds_what_is_true(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = random.Random(seed)  # noqa: S311 - a test
    monkeypatch.setattr(index_module, "FEW", drawn.choice((0, 2, 24)))
    world = World(drawn, FleetIndex(HASHER, Fleet()))
    everybody = [device_id(number) for number in range(60)]
    for _ in range(40):
        before = hashes(world.index, everybody)
        drawn.choice(CHANGES)(world)
        after = hashes(world.index, everybody)
        wanted = {each: world.target_of(each) for each in world.devices}
        numbers = {
            each: None if body is None else HASHER.of(read_target(body)).tobytes() for each, body in wanted.items()
        }
        assert after == dict.fromkeys(everybody) | numbers, before
        belongs = {
            group: sorted(each for each in world.devices if group in world.groups_of(world.devices[each]))
            for group in world.definitions.groups
        }
        assert {
            group: sorted(world.index.fleet.ids_at(found)) for group, found in world.index.members.items()
        } == belongs

    anew = FleetIndex(HASHER, Fleet())
    anew.put(world.told(sorted(world.devices)))
    recorded = {
        group: [each for each, known in world.devices.items() if group in known.recorded]
        for group in anew.newly_recorded(world.definitions)
    }
    anew.define(world.definitions, recorded)
    assert hashes(anew, everybody) == hashes(world.index, everybody)
    assert {each: anew.fleet.ids_at(found) for each, found in anew.reached.items()}.keys() == world.index.reached.keys()
