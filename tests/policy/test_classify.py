"""Whether a change strengthens or weakens: the orders of strength, and the law that going back is the opposite."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.support import policies as p
from tests.support.laws import law

from shieldwall.catalog.model import Kind, Lists, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.policy.classify import ChangeClass, classify, classify_all, gravest
from shieldwall.policy.values import Item, SettingValue, as_set

DEFINITIONS = st.sampled_from(sorted(p.catalog().definitions.values(), key=lambda definition: definition.id))
ASR_RULE = SettingId(
    "device_vendor_msft_policy_config_defender_attacksurfacereductionrules_blockadobereaderfromcreatingchildprocesses"
)


def values_of(definition: SettingDefinition) -> st.SearchStrategy[SettingValue]:
    """Values of a setting's own kind, as flattening yields them; members of items among them."""
    match definition.kind:
        case Kind.CHOICE:
            return st.sampled_from([option.item_id for option in definition.options])
        case Kind.SIMPLE_INTEGER:
            return st.integers(definition.limits.minimum or 0, definition.limits.maximum or 100)
        case Kind.SIMPLE_STRING | Kind.SIMPLE_SECRET:
            return st.sampled_from(["one", "two"])
        case Kind.CHOICE_COLLECTION:
            options = [option.item_id for option in definition.options]
            return st.lists(st.sampled_from(options)).map(as_set)
        case Kind.SIMPLE_STRING_COLLECTION:
            return st.lists(st.sampled_from(["one", "two", "three"])).map(as_set)
        case Kind.GROUP | Kind.GROUP_COLLECTION:
            return st.lists(_items(definition), max_size=3).map(as_set)


def _items(definition: SettingDefinition) -> st.SearchStrategy[SettingValue]:
    members = [p.catalog().definition(child) for child in definition.children]
    optional = st.fixed_dictionaries({}, optional={member.id: values_of(member) for member in members})
    return optional.map(lambda chosen: Item(tuple(sorted(chosen.items()))))


PAIRS = DEFINITIONS.flatmap(
    lambda definition: st.tuples(
        st.just(definition), st.none() | values_of(definition), st.none() | values_of(definition)
    )
)


@law
@given(PAIRS)
def test_where_a_change_strengthens_going_back_weakens(
    change: tuple[SettingDefinition, SettingValue | None, SettingValue | None],
) -> None:
    definition, before, after = change
    if classify(p.catalog(), definition.id, before, after) is ChangeClass.STRENGTHEN:
        assert classify(p.catalog(), definition.id, after, before) is ChangeClass.WEAKEN


@given(PAIRS)
def test_no_change_is_neutral(change: tuple[SettingDefinition, SettingValue | None, SettingValue | None]) -> None:
    definition, before, _ = change
    assert classify(p.catalog(), definition.id, before, before) is ChangeClass.NEUTRAL


WITHOUT_ORDER = [
    definition
    for definition in p.catalog().definitions.values()
    if definition.strength is None and not definition.identity
]


@given(st.sampled_from(WITHOUT_ORDER).flatmap(lambda each: st.tuples(st.just(each), values_of(each), values_of(each))))
def test_what_no_order_speaks_about_weakens(change: tuple[SettingDefinition, SettingValue, SettingValue]) -> None:
    definition, before, after = change
    assume(before != after)
    assert classify(p.catalog(), definition.id, before, after) is ChangeClass.WEAKEN


def test_a_setting_that_nobody_knows_weakens() -> None:
    assert classify(p.catalog(), SettingId("unheard_of"), None, "anything") is ChangeClass.WEAKEN


@pytest.mark.parametrize(
    ("setting", "before", "after", "expected"),
    [
        (p.LEVEL, f"{p.LEVEL}_2", f"{p.LEVEL}_0", ChangeClass.STRENGTHEN),
        (p.LEVEL, f"{p.LEVEL}_0", f"{p.LEVEL}_3", ChangeClass.WEAKEN),
        (p.LEVEL, f"{p.LEVEL}_0", None, ChangeClass.WEAKEN),
        (ASR_RULE, f"{ASR_RULE}_audit", f"{ASR_RULE}_block", ChangeClass.STRENGTHEN),
        (ASR_RULE, f"{ASR_RULE}_warn", f"{ASR_RULE}_audit", ChangeClass.WEAKEN),
        (ASR_RULE, None, f"{ASR_RULE}_off", ChangeClass.NEUTRAL),
        (p.EXCLUSIONS, None, (), ChangeClass.NEUTRAL),
    ],
)
def test_the_order_of_strength_decides(
    setting: SettingId, before: SettingValue | None, after: SettingValue | None, expected: ChangeClass
) -> None:
    assert classify(p.catalog(), setting, before, after) is expected


def rule(action: str, *others: tuple[str, str]) -> Item:
    members = {f"{p.RULES}_item_action": f"{p.RULES}_item_action_{action}", **dict(others)}
    return Item(tuple(sorted((SettingId(name), value) for name, value in members.items())))


BLOCK, ALLOW = rule("block"), rule("allow")
OFF = rule("allow", (f"{p.RULES}_item_enabled", f"{p.RULES}_item_enabled_0"))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((), (BLOCK,), ChangeClass.CONNECTIVITY_RISK),
        ((BLOCK,), (), ChangeClass.WEAKEN),
        ((), (ALLOW,), ChangeClass.WEAKEN),
        ((ALLOW,), (), ChangeClass.CONNECTIVITY_RISK),
        ((), (OFF,), ChangeClass.NEUTRAL),
        ((ALLOW,), (OFF,), ChangeClass.CONNECTIVITY_RISK),
        ((BLOCK,), (ALLOW,), ChangeClass.WEAKEN),
    ],
)
def test_a_rule_that_blocks_protects_and_one_that_allows_is_a_hole(
    before: tuple[SettingValue, ...], after: tuple[SettingValue, ...], expected: ChangeClass
) -> None:
    assert classify(p.catalog(), p.RULES, before, after) is expected


def test_an_exclusion_more_weakens_and_one_less_strengthens() -> None:
    one, two = Item(((SettingId("a"), "1"),)), Item(((SettingId("a"), "2"),))

    assert classify(p.catalog(), p.EXCLUSIONS, (one,), (one, two)) is ChangeClass.WEAKEN
    assert classify(p.catalog(), p.EXCLUSIONS, (one, two), (one,)) is ChangeClass.STRENGTHEN
    assert classify(p.catalog(), p.EXCLUSIONS, (one,), (two,)) is ChangeClass.WEAKEN


def test_every_list_of_exclusions_has_the_order_of_exclusions() -> None:
    lists = [d for d in p.catalog().definitions.values() if d.id.endswith("exclusions") and "ollection" in d.kind]

    assert len(lists) > 20
    assert all(each.strength is not None and each.strength.lists is Lists.FEWER for each in lists)


def test_the_class_of_a_whole_is_that_of_its_gravest_part() -> None:
    before: dict[SettingId, SettingValue] = {p.LEVEL: f"{p.LEVEL}_2", p.RULES: (ALLOW,)}
    after: dict[SettingId, SettingValue] = {p.LEVEL: f"{p.LEVEL}_0", p.RULES: ()}

    classes = classify_all(p.catalog(), before, after)

    assert classes == {p.LEVEL: ChangeClass.STRENGTHEN, p.RULES: ChangeClass.CONNECTIVITY_RISK}
    assert gravest(classes.values()) is ChangeClass.CONNECTIVITY_RISK
    assert gravest([]) is ChangeClass.NEUTRAL
