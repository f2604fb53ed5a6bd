"""One device, many rules on a device, one rule on a fleet, and the explanation: all say the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.laws import law
from tests.support.rules import Described, Sketch, devices, sketches, spelled

from shieldwall.policy.device_sets import of_places
from shieldwall.policy.membership import MembershipRule, parse_rule
from shieldwall.policy.rule_columns import Column, RuleColumns
from shieldwall.policy.rule_index import RuleIndex
from shieldwall.policy.rule_terms import MOST_TERMS, terms_of
from shieldwall.policy.rule_tree import PROPERTIES
from shieldwall.policy.rule_verdicts import Verdict, explain


def a_fleet(found: list[Described]) -> RuleColumns:
    return RuleColumns(len(found), {name: Column.of([device.get(name) for device in found]) for name in PROPERTIES})


@law
@given(st.lists(sketches, max_size=6), st.lists(devices, min_size=1, max_size=4))
def test_an_index_names_the_rules_that_match(rules: list[Sketch], found: list[Described]) -> None:
    named = {f"rule {number}": parse_rule(spelled(sketch)) for number, sketch in enumerate(rules)}
    index = RuleIndex(named)

    for device in found * 2:  # the second time from memory
        assert index.matching(device) == {name for name, rule in named.items() if rule.matches(device)}


@law
@given(sketches, st.one_of(st.lists(devices, max_size=2), st.lists(devices, max_size=12)))
def test_columns_name_the_devices_that_match(sketch: Sketch, found: list[Described]) -> None:
    rule = parse_rule(spelled(sketch))
    matching = [place for place, device in enumerate(found) if rule.matches(device)]

    assert a_fleet(found).matching(rule) == of_places(matching, len(found))


@law
@given(sketches, devices)
def test_an_explanation_says_what_the_rule_says(sketch: Sketch, device: Described) -> None:
    rule = parse_rule(spelled(sketch))
    verdict = explain(rule, device)

    assert verdict.holds == rule.matches(device)
    assert verdict.text == str(rule)
    for part in _every(verdict):
        assert part.holds == parse_rule(part.text).matches(device)
        assert (part.name is None) == bool(part.parts)


@law
@given(sketches, devices)
def test_a_rule_holds_exactly_when_one_of_its_terms_does(sketch: Sketch, device: Described) -> None:
    rule = parse_rule(spelled(sketch))
    terms = terms_of(rule.root)

    assert terms is None or rule.matches(device) == any(
        all(MembershipRule(literal.leaf).matches(device) is literal.holds for literal in term) for term in terms
    )


def test_a_rule_with_too_many_terms_is_still_right() -> None:
    text = " -and ".join(
        f'(device.displayName -contains "{number}" -or device.deviceTag -eq "{number}")' for number in range(8)
    )
    rule = parse_rule(text)
    index = RuleIndex({"long": rule, "short": parse_rule('device.displayName -eq "01234567"')})

    assert terms_of(rule.root) is None
    assert terms_of(parse_rule(" -or ".join(['device.displayName -eq "a"'] * (MOST_TERMS + 30))).root) is not None
    assert index.matching({"displayName": "01234567"}) == {"long", "short"}
    assert index.matching({"displayName": "0123456"}) == frozenset()


def test_a_term_that_cannot_hold_is_left_out() -> None:
    assert terms_of(parse_rule('device.deviceTag -eq "a" -and device.deviceTag -ne "a"').root) == ()


def test_an_index_forgets_before_it_grows_without_bound() -> None:
    index = RuleIndex({"odd": parse_rule('device.displayName -match "[13579]$"')})

    for number in range(9_000):
        assert index.matching({"displayName": f"device-{number}"}) == ({"odd"} if number % 2 else set())


def test_a_collection_that_all_devices_have_alike_is_looked_into() -> None:
    rule = parse_rule('device.deviceTag -eq "web"')

    assert a_fleet([{"deviceTag": ("web", "db")}]).matching(rule) == 0b1
    assert a_fleet([{"deviceTag": ("db",)}] * 2).matching(rule) == 0
    assert a_fleet([{"deviceTag": ("WEB",)}, {}, {"deviceTag": ("Web",)}]).matching(rule) == 0b101


def test_many_distinct_names_are_found_by_halving() -> None:
    found: list[Described] = [{"displayName": name} for name in ("web-2", "WEB-10", "db", "web", "Straße", "x")]
    found.append({})
    fleet = a_fleet(found)

    for text, places in {
        'device.displayName -startsWith "web"': [0, 1, 3],
        'device.displayName -startsWith "strass"': [4],
        'device.displayName -eq "STRASSE"': [4],
        'device.displayName -in ["db", "x", "web", "nobody"]': [2, 3, 5],
        'device.displayName -notIn ["db", "x", "web", "nobody"]': [0, 1, 4, 6],
        'device.displayName -startsWith ""': [0, 1, 2, 3, 4, 5],
        'device.displayName -ne "x"': [0, 1, 2, 3, 4, 6],
    }.items():
        assert fleet.matching(parse_rule(text)) == of_places(places, len(found)), text


def _every(verdict: Verdict) -> list[Verdict]:
    return [verdict, *(inner for part in verdict.parts for inner in _every(part))]
