"""Laws of bringing policies together, and the published behaviour per family."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support import policies as p

from shieldwall.catalog.model import Merge, SettingDefinition, UnknownSettingError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.policy.applicability import Traits
from shieldwall.policy.flatten import flatten
from shieldwall.policy.outcomes import Reason
from shieldwall.policy.prepared import prepare
from shieldwall.policy.resolve import Conflict, Decided, Rule, explain, resolve
from shieldwall.policy.values import Item, SettingValue


def wanted(documents: list[PolicyDocument]) -> dict[SettingId, list[tuple[PolicyDocument, SettingValue]]]:
    by_setting: defaultdict[SettingId, list[tuple[PolicyDocument, SettingValue]]] = defaultdict(list)
    for document in documents:
        for setting, value in flatten(p.catalog(), document).items():
            by_setting[setting].append((document, value))
    return by_setting


def standing(definition: SettingDefinition, values: set[SettingValue]) -> set[SettingValue]:
    """Return the values that none of the others beats; of lists the one that all others hold, or every one."""
    strength = definition.strength
    if strength is None or strength.neutral:
        return values
    lists = [set(value) for value in values if isinstance(value, tuple)]
    if lists:
        within: set[SettingValue] = {
            one for one in values if isinstance(one, tuple) and all(set(one) <= other for other in lists)
        }
        return within or values
    ranks = {value: strength.rank(value) for value in values}
    assert None not in ranks.values()
    return {value for value in values if ranks[value] == min(rank for rank in ranks.values() if rank is not None)}


@given(p.documents(), st.randoms(use_true_random=False))
def test_the_order_of_policies_never_matters(documents: list[PolicyDocument], random: object) -> None:
    shuffled = list(documents)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types its random as object

    assert resolve(p.catalog(), shuffled) == resolve(p.catalog(), documents)


@given(p.documents())
def test_a_conflict_is_exactly_where_values_differ_and_the_rule_does_not_decide(
    documents: list[PolicyDocument],
) -> None:
    outcome = resolve(p.catalog(), documents).settings

    assert set(outcome) == set(wanted(documents))
    for setting, wishes in wanted(documents).items():
        definition = p.catalog().definition(setting)
        values = {value for _, value in wishes}
        moments = [datetime.fromisoformat(document.modified_at) for document, _ in wishes]
        left = standing(definition, values)
        last = max(moment for (_, value), moment in zip(wishes, moments, strict=True) if value in left)
        newest = {value for (_, value), moment in zip(wishes, moments, strict=True) if moment == last and value in left}
        undecided = definition.merge is Merge.AGREE or (definition.merge is Merge.MOST_SECURE and len(newest) > 1)
        assert isinstance(outcome[setting], Conflict) == (len(values) > 1 and undecided)


@given(p.documents())
def test_every_decided_value_but_a_union_is_one_that_somebody_wanted(documents: list[PolicyDocument]) -> None:
    wishes = wanted(documents)
    for setting, resolution in resolve(p.catalog(), documents).settings.items():
        if isinstance(resolution, Decided) and resolution.rule is not Rule.UNION:
            assert resolution.value in [value for _, value in wishes[setting]]


@given(p.documents())
def test_the_most_secure_value_is_never_weaker_than_the_strongest_wish(documents: list[PolicyDocument]) -> None:
    wishes = wanted(documents)
    for setting, resolution in resolve(p.catalog(), documents).settings.items():
        strength = p.catalog().definition(setting).strength
        if strength is None or not strength.options:
            continue
        places = {value: strength.rank(value) for _, value in wishes[setting]}
        best = min(place for place in places.values() if place is not None)
        if isinstance(resolution, Decided):
            assert places[resolution.value] == best
        else:
            assert {value for value, place in places.items() if place == best} <= set(strength.tied)


@given(p.documents())
def test_a_union_holds_every_item_once_and_in_one_order(documents: list[PolicyDocument]) -> None:
    wishes = wanted(documents)
    for setting, resolution in resolve(p.catalog(), documents).settings.items():
        definition = p.catalog().definition(setting)
        if definition.merge is not Merge.UNION or definition.identity:
            continue
        assert isinstance(resolution, Decided)
        assert isinstance(resolution.value, tuple)
        everything = {part for _, value in wishes[setting] if isinstance(value, tuple) for part in value}
        assert set(resolution.value) == everything
        assert len(resolution.value) == len(everything)
        assert resolution.losers == ()


@given(p.documents())
def test_saying_everything_twice_changes_no_value(documents: list[PolicyDocument]) -> None:
    once, twice = resolve(p.catalog(), documents), resolve(p.catalog(), documents + documents)

    assert twice.decided() == once.decided()
    assert {conflict.setting for conflict in twice.conflicts()} == {conflict.setting for conflict in once.conflicts()}


@given(p.documents())
def test_a_policy_changes_only_settings_that_it_speaks_about(documents: list[PolicyDocument]) -> None:
    before, last = resolve(p.catalog(), documents[:-1]).settings, documents[-1]
    after = resolve(p.catalog(), documents).settings

    spoken = set(flatten(p.catalog(), last))
    assert {s: r for s, r in after.items() if s not in spoken} == {s: r for s, r in before.items() if s not in spoken}


@given(p.documents())
def test_everybody_who_contends_wins_or_loses_and_never_both(documents: list[PolicyDocument]) -> None:
    for resolution in resolve(p.catalog(), documents).settings.values():
        contenders = {contender.policy for contender in resolution.contenders}
        if isinstance(resolution, Decided):
            assert set(resolution.winners) | set(resolution.losers) == contenders
            assert not set(resolution.winners) & set(resolution.losers)
            assert resolution.winners or resolution.rule is Rule.UNION


@given(p.documents())
def test_every_outcome_has_one_sentence_that_names_every_contender(documents: list[PolicyDocument]) -> None:
    for resolution in resolve(p.catalog(), documents).settings.values():
        sentence = explain(p.catalog(), resolution)

        assert sentence.endswith(".")
        assert p.catalog().definition(resolution.setting).display_name in sentence
        assert all(contender.policy_name in sentence for contender in resolution.contenders)


def decided(*documents: PolicyDocument, setting: SettingId) -> Decided:
    resolution = resolve(p.catalog(), documents).settings[setting]
    assert isinstance(resolution, Decided)
    return resolution


def test_real_time_wins_over_every_weaker_level() -> None:
    weak, strong = p.document(1, p.choice(p.LEVEL, "_2")), p.document(2, p.choice(p.LEVEL, "_0"))

    outcome = decided(weak, strong, setting=p.LEVEL)

    assert (outcome.value, outcome.rule) == (f"{p.LEVEL}_0", Rule.MOST_SECURE)
    assert (outcome.winners, outcome.losers) == ((strong.policy_id,), (weak.policy_id,))
    assert explain(p.catalog(), outcome) == (
        "Enforcement Level is Realtime because the value of Policy 2 is the strongest in our order, "
        "stronger than that of Policy 1."
    )


def test_without_an_order_of_strength_the_policy_modified_last_wins_to_the_fraction_of_a_second() -> None:
    old = p.document(1, p.number(p.THREADS, 10), modified_at="2026-11-23T12:00:00Z")
    new = p.document(2, p.number(p.THREADS, 20), modified_at="2026-11-23T12:00:00.000001Z")

    outcome = decided(old, new, setting=p.THREADS)

    assert (outcome.value, outcome.rule) == (20, Rule.LAST_MODIFIED)
    assert (
        explain(p.catalog(), outcome)
        == "maximum on demand scan threads is 20 because Policy 2 was modified last; Policy 1 lost."
    )


def test_other_time_zones_name_the_same_moments() -> None:
    old = p.document(1, p.number(p.THREADS, 10), modified_at="2026-11-23T23:00:00+12:00")
    new = p.document(2, p.number(p.THREADS, 20), modified_at="2026-11-23T12:00:00Z")

    assert decided(old, new, setting=p.THREADS).value == 20


def test_a_moment_that_cannot_be_read_never_wins() -> None:
    bad = p.document(1, p.number(p.THREADS, 10), modified_at="whenever")
    good = p.document(2, p.number(p.THREADS, 20), modified_at="2020-01-01T00:00:00Z")

    assert decided(bad, good, setting=p.THREADS).value == 20


def test_policies_modified_at_the_same_moment_with_different_values_decide_nothing() -> None:
    outcome = resolve(p.catalog(), [p.document(1, p.number(p.THREADS, 10)), p.document(2, p.number(p.THREADS, 20))])

    (conflict,) = outcome.conflicts()
    assert conflict.rule is Rule.LAST_MODIFIED
    assert p.THREADS not in outcome.decided()
    assert explain(p.catalog(), conflict) == (
        "maximum on demand scan threads is left as it was: the values of Policy 1 and Policy 2 differ, "
        "none is known to be stronger and none was modified last."
    )


def test_equal_values_are_never_a_conflict_even_where_policies_must_agree() -> None:
    tag = p.items(p.TAGS, (p.choice(f"{p.TAGS}_item_key", "_0"), p.text(f"{p.TAGS}_item_value", "blue")))

    outcome = decided(p.document(1, tag), p.document(2, tag), setting=p.TAGS)

    assert outcome.rule is Rule.EQUAL
    assert outcome.losers == ()


def test_different_tags_are_a_conflict() -> None:
    def tagged(number: int, name: str) -> PolicyDocument:
        return p.document(
            number, p.items(p.TAGS, (p.choice(f"{p.TAGS}_item_key", "_0"), p.text(f"{p.TAGS}_item_value", name)))
        )

    (conflict,) = resolve(p.catalog(), [tagged(1, "blue"), tagged(2, "red")]).conflicts()

    assert conflict.rule is Rule.DIFFERING
    assert [contender.policy_name for contender in conflict.contenders] == ["Policy 1", "Policy 2"]


def test_exclusions_of_all_policies_count_together() -> None:
    one = p.document(1, p.items(p.EXCLUSIONS, p.excluded_path("/srv/b"), p.excluded_path("/srv/a")))
    two = p.document(2, p.items(p.EXCLUSIONS, p.excluded_path("/srv/b"), p.excluded_path("/srv/c")))

    outcome = decided(one, two, setting=p.EXCLUSIONS)

    path = SettingId(f"{p.EXCLUSIONS}_item_path")
    assert isinstance(outcome.value, tuple)
    assert [item.get(path) for item in outcome.value if isinstance(item, Item)] == ["/srv/a", "/srv/b", "/srv/c"]
    assert (outcome.rule, outcome.winners) == (Rule.UNION, (one.policy_id, two.policy_id))


def test_a_union_says_one_thing_about_one_threat_type_the_strongest() -> None:
    def acting(number: int, value: str) -> PolicyDocument:
        members = (p.choice(f"{p.THREAT_TYPES}_item_key", "_0"), p.choice(f"{p.THREAT_TYPES}_item_value", value))
        return p.document(number, p.items(p.THREAT_TYPES, members))

    off, block, audit = acting(1, "_2"), acting(2, "_1"), acting(3, "_0")
    outcome = decided(off, block, audit, setting=p.THREAT_TYPES)

    assert isinstance(outcome.value, tuple)
    (item,) = outcome.value
    assert isinstance(item, Item)
    assert item.get(SettingId(f"{p.THREAT_TYPES}_item_value")) == f"{p.THREAT_TYPES}_item_value_1"
    assert (outcome.winners, outcome.losers) == ((block.policy_id,), (off.policy_id, audit.policy_id))


def test_the_members_of_a_group_with_one_item_are_decided_apart() -> None:
    scan = SettingId("linux_advancedsettings_memoryscan")

    def scanning(number: int, suffix: str) -> PolicyDocument:
        return p.document(number, p.items("linux_advancedsettings", (p.choice(scan, suffix),)))

    assert decided(scanning(1, "_disabled"), scanning(2, "_enabled"), setting=scan).value == f"{scan}_enabled"


def test_no_policies_decide_nothing() -> None:
    assert resolve(p.catalog(), []).settings == {}


def test_a_setting_outside_the_catalog_is_refused() -> None:
    with pytest.raises(UnknownSettingError):
        resolve(p.catalog(), [p.document(1, p.text("linux_unheard_of", "x"))])


def test_of_equally_strong_values_the_newest_wins_and_a_weaker_one_never_does() -> None:
    sunday = p.document(1, p.choice(p.DAY, "_1"), modified_at="2026-11-21T00:00:00Z")
    monday = p.document(2, p.choice(p.DAY, "_2"), modified_at="2026-11-22T00:00:00Z")
    never = p.document(3, p.choice(p.DAY, "_0"), modified_at="2026-11-23T00:00:00Z")

    outcome = decided(sunday, monday, never, setting=p.DAY)

    assert (outcome.value, outcome.rule) == (f"{p.DAY}_2", Rule.LAST_MODIFIED)
    assert explain(p.catalog(), outcome) == (
        "Weekly Schedule scan day is Monday because of the values that share the first place in our order, "
        "that of Policy 2 is the newest; Policy 1 and Policy 3 lost."
    )


def test_equally_strong_values_of_one_moment_decide_nothing() -> None:
    documents = [p.document(number, p.choice(p.DAY, f"_{number}")) for number in (1, 2)]

    (conflict,) = resolve(p.catalog(), documents).conflicts()

    assert (conflict.setting, conflict.rule) == (p.DAY, Rule.LAST_MODIFIED)


def test_a_setting_set_to_a_newer_option_needs_a_newer_agent() -> None:
    definition = p.catalog().definition(p.LEVEL)
    newest = msgspec.structs.replace(definition.options[0], since="9999.1")
    catalog = replace(
        p.catalog(),
        definitions={
            **p.catalog().definitions,
            p.LEVEL: msgspec.structs.replace(definition, options=(newest, *definition.options[1:])),
        },
    )
    device = Traits("linux", p.catalog().version)
    suffixes = [option.item_id.removeprefix(p.LEVEL) for option in definition.options[:2]]

    reasons = [
        prepare(catalog, p.document(1, p.choice(p.LEVEL, suffix))).reason_against(p.LEVEL, device)
        for suffix in suffixes
    ]

    assert reasons == [Reason.AGENT_TOO_OLD, None]
