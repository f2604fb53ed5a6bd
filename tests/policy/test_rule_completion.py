"""Laws of completion: whatever is offered can be read, and whatever a rule goes on with is offered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.laws import law
from tests.support.rules import Sketch, sketches, spelled

from shieldwall.policy.membership import InvalidRuleError, parse_rule
from shieldwall.policy.rule_completion import Part, Word, expected_at, values_first
from shieldwall.policy.rule_tokens import tokens


def fails_at(text: str) -> int | None:
    try:
        parse_rule(text)
    except InvalidRuleError as error:
        return error.position
    return None


@law
@given(sketches, st.integers(0, 400))
def test_what_is_offered_can_be_read(sketch: Sketch, place: int) -> None:
    rule = str(parse_rule(spelled(sketch)))
    place = min(place, len(rule))

    expected = expected_at(rule, place)

    assert expected.start <= place <= expected.end
    offered = list(values_first(expected, [expected.typed] if expected.asks else []))
    for word in offered:
        head = rule[: expected.start]
        gap = "" if not head or head[-1].isspace() or head[-1] in "([," else " "
        written = f"{head}{gap}{word.text}"
        failed = fails_at(written)
        if word.part is Part.VALUE and "memberOf" in rule:
            continue  # any text may begin there, and only the id of a group is one in the end
        if word.part is Part.VALUE and ("-match" in head or "-notMatch" in head):
            continue  # the same with patterns
        assert failed is None or failed >= len(written), (rule, place, word)


@law
@given(sketches, st.integers(0, 1_000))
def test_what_a_rule_goes_on_with_is_offered(sketch: Sketch, number: int) -> None:
    rule = str(parse_rule(spelled(sketch)))
    every = tokens(rule)[:-1]
    token = every[number % len(every)]
    head = f"{rule[: token.position]} "  # with a space: else a word that ends there might go on

    expected = expected_at(head, len(head))

    if token.kind == "text":
        assert expected.asks is not None
    else:
        wanted = f"-{token.text}" if token.kind == "operator" else token.text
        assert wanted in {word.text for word in expected.words}


@given(st.text(max_size=80), st.integers(-5, 100))
def test_nothing_makes_it_fail(text: str, place: int) -> None:
    expected = expected_at(text, place)

    assert 0 <= expected.start <= expected.end <= max(len(text), 0)


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        ("", "device.accountEnabled"),
        ("device.deviceOST", "device.deviceOSType"),
        ("ostype", None),
        ("osv", None),
        ("(deviceosv", "device.deviceOSVersion"),
        ("device.deviceOSType -e", "-eq"),
        ("device.deviceOSType ", "-eq"),
        ("device.isRooted -eq ", "true"),
        ('device.deviceOSType -eq "Linux"', "-and"),
        ('device.deviceOSType -eq "Linux" -', "-and"),
        ("device.memberOf ", "-any"),
        ("device.memberOf -any (", "group.objectId"),
        ("device.deviceTag -any (", "_"),
        ("device.deviceOSType -eq Linux", None),
    ],
)
def test_words_go_on_with_what_is_typed(rule: str, first: str | None) -> None:
    words = [word.text for word in expected_at(rule, len(rule)).words]

    assert (words[0] if words else None) == first


def test_a_text_that_is_typed_asks_for_the_values_of_its_property() -> None:
    rule = 'device.displayName -eq "a" -and device.deviceOSType -in ["Linux", "wi'

    expected = expected_at(rule + '" ]', len(rule))

    assert (expected.asks, expected.typed) == ("deviceOSType", "wi")
    assert rule[expected.start :] == '"wi'
    assert expected.end == len(rule) + 1
    found = list(values_first(expected, ["Windows", 'a"wi', "Linux"]))
    assert found == [Word(Part.VALUE, '"Windows"'), Word(Part.VALUE, '"a`"wi"')]
