"""What a tenant may choose instead of the published rules, and what no choice may do."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import policies as p
from tests.support.laws import law

from shieldwall.catalog.model import Merge
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule, ConflictRules
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.policy.classify import ChangeClass, classify
from shieldwall.policy.families import conflict_family
from shieldwall.policy.outcomes import Conflict, Decided, Rule
from shieldwall.policy.resolve import explain, resolve

RULES = st.dictionaries(st.sampled_from(ConflictFamily), st.sampled_from(ConflictRule))
WITH_PRIORITIES = st.builds(
    lambda documents, priorities: [
        msgspec.structs.replace(document, priority=priority)
        for document, priority in zip(documents, priorities, strict=False)
    ],
    p.documents(),
    st.lists(st.none() | st.integers(1, 3), min_size=5, max_size=5),
)


@given(WITH_PRIORITIES, RULES, st.randoms(use_true_random=False))
def test_the_order_of_policies_never_matters_whatever_the_rules(
    documents: list[PolicyDocument], rules: ConflictRules, random: object
) -> None:
    shuffled = list(documents)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types its random as object

    assert resolve(p.catalog(), shuffled, rules) == resolve(p.catalog(), documents, rules)


@law
@given(WITH_PRIORITIES, RULES)
def test_equal_values_are_never_a_conflict_and_every_explanation_names_a_policy_that_exists(
    documents: list[PolicyDocument], rules: ConflictRules
) -> None:
    known = {document.policy_id: document for document in documents}
    for resolution in resolve(p.catalog(), documents, rules).settings.values():
        values = {contender.value for contender in resolution.contenders}
        assert isinstance(resolution, Decided) or len(values) > 1
        assert resolution.contenders
        for contender in resolution.contenders:
            assert known[contender.policy].name == contender.policy_name
            assert contender.policy_name in explain(p.catalog(), resolution)
        if isinstance(resolution, Decided):
            assert {*resolution.winners, *resolution.losers} <= known.keys()


@law
@given(WITH_PRIORITIES, RULES)
def test_merging_never_yields_weaker_than_the_weakest_input(
    documents: list[PolicyDocument], rules: ConflictRules
) -> None:
    """A single value is one that a policy wants; a list holds no item that no policy wants."""
    for setting, resolution in resolve(p.catalog(), documents, rules).settings.items():
        if not isinstance(resolution, Decided):
            continue
        wished = [contender.value for contender in resolution.contenders]
        if resolution.rule is Rule.UNION:
            assert isinstance(resolution.value, tuple)
            assert all(any(item in wish for wish in wished if isinstance(wish, tuple)) for item in resolution.value)
        elif not p.catalog().definition(setting).identity:
            assert resolution.value in wished
            strength = p.catalog().definition(setting).strength
            ranks = [strength.rank(wish) for wish in wished] if strength else [None]
            if strength and None not in ranks:
                rank = strength.rank(resolution.value)
                assert rank is not None
                assert rank <= max(rank for rank in ranks if rank is not None)


@given(WITH_PRIORITIES)
def test_nothing_means_that_every_difference_is_a_conflict(documents: list[PolicyDocument]) -> None:
    rules = dict.fromkeys(ConflictFamily, ConflictRule.NOTHING)
    for resolution in resolve(p.catalog(), documents, rules).settings.values():
        values = {contender.value for contender in resolution.contenders}
        assert isinstance(resolution, Conflict) == (len(values) > 1)


@given(WITH_PRIORITIES)
def test_the_best_priority_wins_and_ties_of_different_values_decide_nothing(documents: list[PolicyDocument]) -> None:
    rules = dict.fromkeys(ConflictFamily, ConflictRule.PRIORITY)
    for resolution in resolve(p.catalog(), documents, rules).settings.values():
        if len({contender.value for contender in resolution.contenders}) == 1:
            continue
        places = [contender.priority or 501 for contender in resolution.contenders]
        best = {
            contender.value
            for contender, place in zip(resolution.contenders, places, strict=True)
            if place == min(places)
        }
        assert isinstance(resolution, Conflict) == (len(best) > 1)
        if isinstance(resolution, Decided):
            assert {resolution.value} == best


@given(WITH_PRIORITIES)
def test_most_secure_never_chooses_what_another_policy_would_strengthen(documents: list[PolicyDocument]) -> None:
    rules = dict.fromkeys(ConflictFamily, ConflictRule.MOST_SECURE)
    for setting, resolution in resolve(p.catalog(), documents, rules).settings.items():
        if isinstance(resolution, Decided) and resolution.rule is Rule.MOST_SECURE:
            for contender in resolution.contenders:
                change = classify(p.catalog(), setting, resolution.value, contender.value)
                assert change in {ChangeClass.WEAKEN, ChangeClass.NEUTRAL}


@given(WITH_PRIORITIES, RULES)
def test_a_family_that_is_not_named_keeps_the_published_rule(
    documents: list[PolicyDocument], rules: ConflictRules
) -> None:
    published = resolve(p.catalog(), documents).settings
    for setting, resolution in resolve(p.catalog(), documents, rules).settings.items():
        if conflict_family(p.catalog(), setting) not in rules:
            assert resolution == published[setting]


@pytest.mark.parametrize(
    ("setting", "family"),
    [
        (p.LEVEL, ConflictFamily.ANTIVIRUS),
        (p.EXCLUSIONS, ConflictFamily.EXCLUSIONS),
        (p.THREAT_TYPES, ConflictFamily.EXCLUSIONS),
        (p.TAGS, ConflictFamily.ENDPOINT_DETECTION),
        (p.RULES, ConflictFamily.FIREWALL_RULES),
        ("vendor_msft_firewall_mdmstore_domainprofile_enablefirewall", ConflictFamily.FIREWALL),
        (
            "device_vendor_msft_policy_config_defender_attacksurfacereductionrules_blockadobereaderfromcreatingchildprocesses",
            ConflictFamily.ATTACK_SURFACE_REDUCTION,
        ),
    ],
)
def test_every_row_of_the_published_table_has_its_settings(setting: str, family: ConflictFamily) -> None:
    assert conflict_family(p.catalog(), SettingId(setting)) is family


FAMILY_RULES = {
    ConflictFamily.ANTIVIRUS: {Merge.MOST_SECURE, Merge.MEMBERS, Merge.AGREE},
    ConflictFamily.EXCLUSIONS: {Merge.UNION},
    ConflictFamily.FIREWALL_RULES: {Merge.UNION},
    ConflictFamily.FIREWALL: {Merge.AGREE, Merge.MEMBERS},
    ConflictFamily.ATTACK_SURFACE_REDUCTION: {Merge.AGREE, Merge.MEMBERS},
    ConflictFamily.ENDPOINT_DETECTION: {Merge.AGREE, Merge.MEMBERS},
}


NOT_RULES = "device_vendor_msft_policy_config_defender_{}"
"""Beside the rules of attack surface reduction; published as decided like antivirus settings."""
CONTROLLED_FOLDERS = {
    SettingId(NOT_RULES.format(name))
    for name in (
        "enablecontrolledfolderaccess",
        "controlledfolderaccessallowedapplications",
        "controlledfolderaccessprotectedfolders",
    )
}


def test_every_setting_that_is_decided_by_itself_follows_the_published_rule_of_its_family() -> None:
    catalog = p.catalog()
    members = {
        child
        for definition in catalog.definitions.values()
        if definition.merge is not Merge.MEMBERS and "ollection" in definition.kind and definition.children
        for child in _below(definition.id)
    }
    astray = {
        setting: (conflict_family(catalog, setting), definition.merge)
        for setting, definition in catalog.definitions.items()
        if setting in catalog.families
        and setting not in members | CONTROLLED_FOLDERS
        and definition.merge not in FAMILY_RULES[conflict_family(catalog, setting)]
    }
    assert astray == {}


def _below(setting: SettingId) -> set[SettingId]:
    nested = p.catalog().definition(setting).nested()
    return set(nested) | {deeper for child in nested for deeper in _below(child)}
