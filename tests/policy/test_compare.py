"""A preview is what then happens: comparing whole fleets equals deciding device by device, before and after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.support import policies as p
from tests.support.laws import law
from tests.support.outcomes import aspects

from shieldwall.catalog.model import Merge
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule, ConflictRules
from shieldwall.contract.ids import PolicyId, SettingId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.policy.applicability import Traits
from shieldwall.policy.classify import ChangeClass
from shieldwall.policy.compare import Comparison, compare
from shieldwall.policy.device_sets import of_places, places
from shieldwall.policy.families import conflict_family
from shieldwall.policy.fleet import Fleet, Situation, Standing
from shieldwall.policy.outcomes import Conflict, Resolution
from shieldwall.policy.partition import UNSET
from shieldwall.policy.prepared import prepare
from shieldwall.policy.resolve import resolve

CURRENT = Traits("linux", p.catalog().version)
OLD = Traits("linux", "2026.10.9")
OTHER = Traits("windows10", p.catalog().version)


@dataclass(frozen=True)
class World:
    """Devices by place, and which policies reach each, at one moment."""

    devices: tuple[Traits, ...]
    documents: Mapping[PolicyId, PolicyDocument]
    reach: Mapping[PolicyId, frozenset[int]]
    rules: ConflictRules

    def situation(self) -> Situation:
        return Situation(
            policies={
                policy: Standing(
                    policy=prepare(p.catalog(), document),
                    devices=of_places(self.reach[policy], len(self.devices)),
                )
                for policy, document in self.documents.items()
            },
            rules=self.rules,
        )

    def on(self, place: int) -> Mapping[SettingId, Resolution]:
        """What one device makes of it all by itself."""
        own = [document for policy, document in self.documents.items() if place in self.reach[policy]]
        return resolve(p.catalog(), own, self.rules, self.devices[place]).settings

    def target(self, place: int) -> object:
        return {policy: self.documents[policy] for policy in self.documents if place in self.reach[policy]}, self.rules


def fleet(devices: tuple[Traits, ...]) -> Fleet:
    by_traits: defaultdict[Traits, list[int]] = defaultdict(list)
    for place, traits in enumerate(devices):
        by_traits[traits].append(place)
    return Fleet(traits={traits: of_places(found, len(devices)) for traits, found in by_traits.items()})


PRIORITIES = st.none() | st.integers(1, 3)


@st.composite
def changes(draw: st.DrawFn) -> tuple[World, World]:
    """Policies that meet on a few settings, on devices that each get some of them; then an edit of any kind."""
    devices = tuple(draw(st.lists(st.sampled_from([CURRENT, CURRENT, CURRENT, OLD, OTHER]), min_size=2, max_size=6)))
    count = draw(st.integers(2, 5))
    setting = draw(st.sampled_from([*p.CONTESTED, p.THREADS, p.THREADS, p.DAY, p.DAY]))
    drawing = draw(st.sampled_from([p.rivals(setting, count)] * 3 + [p.documents(at_most=count)]))
    anybody = st.frozensets(st.integers(0, len(devices) - 1), min_size=1)
    before, after = (
        {
            document.policy_id: msgspec.structs.replace(document, priority=draw(PRIORITIES), revision=revision)
            for document in draw(drawing)
        }
        for revision in (1, 2)
    )
    for policy in list(before):
        match draw(st.sampled_from(["keep", "edit", "delete"])):
            case "keep":
                after[policy] = before[policy]
            case "delete":
                after.pop(policy, None)
            case _:
                pass
    former = {policy: draw(anybody) for policy in before}
    later = {policy: draw(st.just(former.get(policy, frozenset())) | anybody) for policy in after}
    family = conflict_family(p.catalog(), setting)
    chosen: st.SearchStrategy[dict[ConflictFamily, ConflictRule]] = st.just({}) | st.sampled_from(ConflictRule).map(
        lambda rule: {family: rule}
    )
    rules = draw(chosen)
    return World(devices, before, former, rules), World(devices, after, later, draw(st.just(rules) | chosen))


def expected(before: World, after: World) -> tuple[dict[Any, set[int]], set[int], dict[Any, set[PolicyId]]]:
    settings = {
        instance
        for world in (before, after)
        for document in world.documents.values()
        for instance in prepare(p.catalog(), document).contenders
    }
    united = {setting: p.catalog().definition(setting).merge is Merge.UNION for setting in settings}
    found: defaultdict[Any, set[int]] = defaultdict(set)
    involved: defaultdict[Any, set[PolicyId]] = defaultdict(set)
    targeted: set[int] = set()
    for place in range(len(before.devices)):
        if before.target(place) != after.target(place):
            targeted.add(place)
        was, now = before.on(place), after.on(place)
        former, later = aspects(p.catalog(), was, united), aspects(p.catalog(), now, united)
        for key in former.keys() | later.keys():
            if former.get(key, UNSET) != later.get(key, UNSET):
                found[*key, former.get(key, UNSET), later.get(key, UNSET)].add(place)
        for setting in was.keys() | now.keys():
            one, other = was.get(setting), now.get(setting)
            if isinstance(one, Conflict) != isinstance(other, Conflict):
                clash = one if isinstance(one, Conflict) else other
                assert isinstance(clash, Conflict)
                involved[setting, clash is other] |= {contender.policy for contender in clash.contenders}
    return dict(found), targeted, dict(involved)


def compared(before: World, after: World) -> Comparison:
    return compare(p.catalog(), fleet(before.devices), before.situation(), after.situation())


@law
@given(changes())
def test_comparing_a_fleet_equals_deciding_device_by_device(worlds: tuple[World, World]) -> None:
    before, after = worlds
    comparison = compared(before, after)
    found, targeted, involved = expected(before, after)

    assert {
        (change.setting, change.subject, change.before, change.after): set(places(change.devices))
        for change in comparison.changes
    } == found
    assert set(places(comparison.targeted)) == targeted
    clashes = {(clash.setting, True): set(clash.policies) for clash in comparison.conflicts_made} | {
        (clash.setting, False): set(clash.policies) for clash in comparison.conflicts_solved
    }
    assert clashes == involved


@given(changes())
def test_only_devices_that_get_something_else_can_change(worlds: tuple[World, World]) -> None:
    comparison = compared(*worlds)

    assert comparison.changed & ~comparison.targeted == 0


@given(changes())
def test_nothing_changes_between_a_situation_and_itself(worlds: tuple[World, World]) -> None:
    comparison = compared(worlds[0], worlds[0])

    assert comparison == Comparison(targeted=0, changes=(), conflicts_made=(), conflicts_solved=(), lapses=())


@given(changes())
def test_what_a_change_strengthens_its_reversal_weakens(worlds: tuple[World, World]) -> None:
    before, after = worlds
    back = {
        (change.setting, change.subject, change.after, change.before): change.change_class
        for change in compared(after, before).changes
    }
    for change in compared(before, after).changes:
        if change.change_class is ChangeClass.STRENGTHEN:
            key = change.setting, change.subject, change.before, change.after
            assert back[key] is ChangeClass.WEAKEN


def test_a_policy_for_another_platform_becomes_not_applicable_and_not_a_change_of_protection() -> None:
    document = p.document(1, p.choice(p.LEVEL, "_0"))
    nothing = World((OTHER,), {}, {}, {})
    assigned = World((OTHER,), {document.policy_id: document}, {document.policy_id: frozenset({0})}, {})

    (lapse,) = compared(nothing, assigned).lapses

    assert (lapse.setting, lapse.reason, list(places(lapse.devices))) == (p.LEVEL, "otherPlatform", [0])


def test_of_equally_strong_values_each_device_gets_the_newest_that_reaches_it() -> None:
    """Two devices on which the same two days contend, and on which another policy is the newest."""
    first, second, third = (
        p.document(number, p.choice(p.DAY, suffix), modified_at=f"2026-11-2{number}T00:00:00Z")
        for number, suffix in ((1, "_1"), (2, "_2"), (3, "_1"))
    )
    reach = {first.policy_id: {0}, second.policy_id: {0, 1}, third.policy_id: {1}}
    nothing = World((CURRENT, CURRENT), {}, {}, {})
    assigned = World(
        (CURRENT, CURRENT),
        {document.policy_id: document for document in (first, second, third)},
        {policy: frozenset(reached) for policy, reached in reach.items()},
        {},
    )

    changes = compared(nothing, assigned).changes

    assert {change.after.value: list(places(change.devices)) for change in changes} == {
        f"{p.DAY}_2": [0],
        f"{p.DAY}_1": [1],
    }


def test_a_list_that_another_rule_would_decide_is_told_item_by_item() -> None:
    """Told list by list, twelve policies that meet in every way would be thousands of changes."""
    count = 12
    devices = tuple(CURRENT for _ in range(2**count))
    documents = {
        document.policy_id: document
        for document in (p.document(n, p.items(p.EXCLUSIONS, p.excluded_path(f"/srv/{n}"))) for n in range(count))
    }
    reach = {
        policy: frozenset(place for place in range(len(devices)) if place >> n & 1)
        for n, policy in enumerate(documents)
    }
    published, chosen = (
        World(devices, documents, reach, rules) for rules in ({}, {ConflictFamily.EXCLUSIONS: ConflictRule.NOTHING})
    )

    comparison = compare(p.catalog(), fleet(devices), published.situation(), chosen.situation())

    assert len(comparison.changes) == 1 + count
    assert sum(clash.devices.bit_count() for clash in comparison.conflicts_made) == 2**count - 1 - count
