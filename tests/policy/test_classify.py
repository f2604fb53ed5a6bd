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


DEFENDER = "device_vendor_msft_policy_config_defender_"
REAL_TIME = SettingId(f"{DEFENDER}allowrealtimemonitoring")
INTERVAL = SettingId(f"{DEFENDER}signatureupdateinterval")
KEEPING = SettingId(f"{DEFENDER}daystoretaincleanedmalware")
QUARANTINE_OR_REMOVE = SettingId(f"{DEFENDER}threatseveritydefaultaction_severethreats")
SUCCESS_OR_FAILURE = SettingId("device_vendor_msft_policy_config_audit_objectaccess_auditfilteringplatformconnection")
FIREWALL = SettingId("vendor_msft_firewall_mdmstore_publicprofile_enablefirewall")
KEY_ENCODING = SettingId("vendor_msft_firewall_mdmstore_global_presharedkeyencoding")
WINDOWS_RULES = SettingId("vendor_msft_firewall_mdmstore_firewallrules_{firewallrulename}")


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
        (p.EXCLUSIONS, None, (), ChangeClass.NEUTRAL),
        (p.DAY, f"{p.DAY}_1", f"{p.DAY}_2", ChangeClass.NEUTRAL),
        (p.DAY, f"{p.DAY}_0", f"{p.DAY}_2", ChangeClass.STRENGTHEN),
        (p.DAY, f"{p.DAY}_8", f"{p.DAY}_2", ChangeClass.WEAKEN),
        (SUCCESS_OR_FAILURE, f"{SUCCESS_OR_FAILURE}_1", f"{SUCCESS_OR_FAILURE}_2", ChangeClass.WEAKEN),
        (SUCCESS_OR_FAILURE, f"{SUCCESS_OR_FAILURE}_2", f"{SUCCESS_OR_FAILURE}_1", ChangeClass.WEAKEN),
        (SUCCESS_OR_FAILURE, f"{SUCCESS_OR_FAILURE}_2", f"{SUCCESS_OR_FAILURE}_3", ChangeClass.STRENGTHEN),
        (QUARANTINE_OR_REMOVE, None, f"{QUARANTINE_OR_REMOVE}_quarantine", ChangeClass.WEAKEN),
        (INTERVAL, 8, 0, ChangeClass.WEAKEN),
        (INTERVAL, 0, 24, ChangeClass.STRENGTHEN),
        (INTERVAL, 24, 1, ChangeClass.STRENGTHEN),
        (KEEPING, 90, 0, ChangeClass.STRENGTHEN),
        (KEEPING, 0, 90, ChangeClass.WEAKEN),
        (p.FILE_SYSTEMS, ("nfs",), None, ChangeClass.WEAKEN),
        (p.FILE_SYSTEMS, None, (), ChangeClass.WEAKEN),
        (p.FILE_SYSTEMS, ("fuse", "nfs"), ("nfs",), ChangeClass.STRENGTHEN),
        (KEY_ENCODING, f"{KEY_ENCODING}_0", f"{KEY_ENCODING}_1", ChangeClass.CONNECTIVITY_RISK),
    ],
)
def test_the_order_of_strength_decides(
    setting: SettingId, before: SettingValue | None, after: SettingValue | None, expected: ChangeClass
) -> None:
    assert classify(p.catalog(), setting, before, after) is expected


def rule(action: str, *others: tuple[str, str]) -> Item:
    members = {f"{p.RULES}_item_action": f"{p.RULES}_item_action_{action}", **dict(others)}
    return Item(tuple(sorted((SettingId(name), value) for name, value in members.items())))


@pytest.mark.parametrize(
    ("setting", "before", "after", "expected"),
    [
        (ASR_RULE, None, f"{ASR_RULE}_off", ChangeClass.WEAKEN),
        (ASR_RULE, f"{ASR_RULE}_off", None, ChangeClass.NEUTRAL),
        (ASR_RULE, None, f"{ASR_RULE}_audit", ChangeClass.STRENGTHEN),
        (p.LEVEL, None, f"{p.LEVEL}_2", ChangeClass.WEAKEN),
        (REAL_TIME, None, f"{REAL_TIME}_1", ChangeClass.NEUTRAL),
        (REAL_TIME, f"{REAL_TIME}_1", None, ChangeClass.WEAKEN),
        (FIREWALL, None, f"{FIREWALL}_true", ChangeClass.CONNECTIVITY_RISK),
        (FIREWALL, f"{FIREWALL}_true", None, ChangeClass.WEAKEN),
        (INTERVAL, 8, None, ChangeClass.WEAKEN),
        (KEEPING, None, 0, ChangeClass.NEUTRAL),
    ],
)
def test_what_the_product_does_by_itself_hides_neither_a_switching_off_nor_a_letting_go(
    setting: SettingId, before: SettingValue | None, after: SettingValue | None, expected: ChangeClass
) -> None:
    """A device without a policy may be in a better state than the product's own, or slip into a worse one."""
    assert classify(p.catalog(), setting, before, after) is expected


def test_a_rule_of_which_nobody_knows_what_it_does_weakens_as_it_comes_and_as_it_goes() -> None:
    (name,) = [child for child in p.catalog().definition(WINDOWS_RULES).children if child.endswith("}_name")]
    vague = Item(((name, "vague"),))

    assert classify(p.catalog(), WINDOWS_RULES, (), (vague,)) is ChangeClass.WEAKEN
    assert classify(p.catalog(), WINDOWS_RULES, (vague,), ()) is ChangeClass.WEAKEN


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
