"""Laws of membership rules: what is written is what is read, and evaluation agrees with an independent oracle."""

from __future__ import annotations

import fnmatch
import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shieldwall.policy.membership import PROPERTIES, InvalidRuleError, parse_rule
from shieldwall.policy.rule_syntax import MAX_DEPTH, MAX_LENGTH

# Few names and texts, so that rules and devices meet often. Case differs on purpose.
NAMES = ("displayName", "deviceOSType", "deviceTag")
TEXTS = ("linux", "Lin", "web", "WEB-1", "", 'a"b', "c`d", "straße", "STRASSE")

# A rule as the oracle sees it: ("eq", name, text), ("not", rule), ("and", rule, rule), ("or", rule, rule).
Sketch = tuple[object, ...]
WORDS = {
    "eq": "-EQ",
    "ne": "-ne",
    "starts": "-startswith",
    "notstarts": "-notStartsWith",
    "contains": "-Contains",
    "notcontains": "-notContains",
    "in": "-in",
    "notin": "-NOTIN",
}

comparisons: st.SearchStrategy[Sketch] = st.one_of(
    st.tuples(
        st.sampled_from(["eq", "ne", "starts", "notstarts", "contains", "notcontains"]),
        st.sampled_from(NAMES),
        st.sampled_from(TEXTS),
    ),
    st.tuples(st.sampled_from(["eq", "ne"]), st.sampled_from(NAMES), st.none()),
    st.tuples(
        st.sampled_from(["in", "notin"]),
        st.sampled_from(NAMES),
        st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3).map(tuple),
    ),
)
sketches: st.SearchStrategy[Sketch] = st.recursive(
    comparisons,
    lambda inner: st.one_of(st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)),
    max_leaves=8,
)
devices: st.SearchStrategy[dict[str, str | tuple[str, ...] | None]] = st.dictionaries(
    st.sampled_from(NAMES),
    st.one_of(st.none(), st.sampled_from(TEXTS), st.lists(st.sampled_from(TEXTS), max_size=3).map(tuple)),
)


def quoted(text: object) -> str:
    return "null" if text is None else '"' + str(text).replace("`", "``").replace('"', '`"') + '"'


def spelled(sketch: Sketch) -> str:
    """Write a sketch with all parentheses, so that precedence plays no part."""
    match sketch:
        case ("not", inner):
            return f"-not ({spelled(inner)})"  # type: ignore[arg-type]  # sketches nest
        case ("and" | "or" as word, left, right):
            return f"({spelled(left)}) -{word} ({spelled(right)})"  # type: ignore[arg-type]  # as above
        case (operator, name, tuple(texts)):
            return f"device.{name} {WORDS[str(operator)]} [{','.join(map(quoted, texts))}]"
        case (operator, name, text):
            return f"device.{name} {WORDS[str(operator)]} {quoted(text)}"
        case _:
            raise AssertionError(sketch)


def expected(  # noqa: PLR0911 - one return per kind of rule
    sketch: Sketch, device: dict[str, str | tuple[str, ...] | None]
) -> bool:
    """Evaluate a sketch in other ways than the code does."""
    match sketch:
        case ("not", inner):
            return not expected(inner, device)  # type: ignore[arg-type]  # sketches nest
        case ("and", left, right):
            return min(expected(left, device), expected(right, device))  # type: ignore[arg-type]  # as above
        case ("or", left, right):
            return max(expected(left, device), expected(right, device))  # type: ignore[arg-type]  # as above
        case (("ne" | "notstarts" | "notcontains" | "notin") as operator, name, text):
            positive = operator.removeprefix("not") if operator != "ne" else "eq"
            return not expected((positive, name, text), device)
        case (operator, name, wanted):
            value = device.get(str(name))
            if isinstance(value, tuple) and value:
                return any(expected(sketch, {str(name): one}) for one in value)
            if not isinstance(value, str) or wanted is None:
                return not isinstance(value, str) and wanted is None
            texts = wanted if isinstance(wanted, tuple) else (wanted,)
            shape = {"eq": "{}", "in": "{}", "starts": "{}*", "contains": "*{}*"}[str(operator)]
            return any(fnmatch.fnmatchcase(value.casefold(), shape.format(str(text).casefold())) for text in texts)
        case _:
            raise AssertionError(sketch)


@given(sketches, devices)
def test_evaluation_agrees_with_the_oracle(sketch: Sketch, device: dict[str, str | tuple[str, ...] | None]) -> None:
    assert parse_rule(spelled(sketch)).matches(device) == expected(sketch, device)


@given(sketches)
def test_what_is_written_is_what_is_read(sketch: Sketch) -> None:
    rule = parse_rule(spelled(sketch))

    assert parse_rule(str(rule)) == rule
    assert str(parse_rule(str(rule))) == str(rule)


@given(sketches, devices)
def test_only_the_properties_a_rule_asks_for_decide(
    sketch: Sketch, device: dict[str, str | tuple[str, ...] | None]
) -> None:
    rule = parse_rule(spelled(sketch))
    asked = {name: value for name, value in device.items() if name in rule.properties()}

    assert rule.matches(asked) == rule.matches(device)


@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(
            st.sampled_from(
                [
                    "(",
                    ")",
                    "[",
                    "]",
                    ",",
                    '"',
                    "`",
                    "-and",
                    "-or",
                    "-not",
                    "-eq",
                    "-in",
                    "device.displayName",
                    '"x"',
                    "null",
                    " ",
                ]
            ),
            max_size=40,
        ).map("".join),
    )
)
@example("(" * 3000)
@example("-not " * 600)
@example("device.displayName -eq " + '"' + "`" * 1000)
@example("\x00")
@example("\ud800")
def test_garbage_raises_nothing_but_an_invalid_rule(text: str) -> None:
    try:
        rule = parse_rule(text)
    except InvalidRuleError as error:
        position = error.position
    else:
        rule, position = parse_rule(str(rule)), 0
    assert 0 <= position <= len(text)


def test_and_binds_tighter_than_or_and_not_tightest() -> None:
    for tag, name, system in itertools.product(("x", "y"), repeat=3):
        rule = parse_rule(
            '-not device.deviceTag -eq "x" -and device.displayName -eq "x" -or device.deviceOSType -eq "x"'
        )
        device = {"deviceTag": tag, "displayName": name, "deviceOSType": system}

        assert rule.matches(device) == ((tag != "x" and name == "x") or system == "x")


def test_the_rules_of_the_handbook_hold() -> None:
    rule = parse_rule('(device.deviceOSType -eq "Linux") -and (device.managementType -eq "MicrosoftSense")')

    assert rule.matches({"deviceOSType": "LINUX", "managementType": "microsoftsense"})
    assert not rule.matches({"deviceOSType": "Linux"})
    assert str(rule) == 'device.deviceOSType -eq "Linux" -and device.managementType -eq "MicrosoftSense"'


def test_windows_does_not_mean_windows_server() -> None:
    assert not parse_rule('device.deviceOSType -eq "Windows"').matches({"deviceOSType": "Windows Server"})


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_property_may_be_asked_for_in_any_case(name: str) -> None:
    rule = parse_rule(f'DEVICE.{name.upper()} -in "yes"')

    assert rule.matches({name: "Yes"})
    assert rule.properties() == {name}
    assert str(rule) == f'device.{name} -in ["yes"]'


def test_one_value_that_fits_is_enough_and_a_negation_wants_none() -> None:
    tags = {"deviceTag": ("web", "blue")}

    assert parse_rule('device.deviceTag -eq "blue"').matches(tags)
    assert not parse_rule('device.deviceTag -ne "blue"').matches(tags)
    assert parse_rule('device.deviceTag -notIn ["red", "green"]').matches(tags)
    assert parse_rule("device.deviceTag -eq null").matches({"deviceTag": ()})


def test_a_property_that_is_absent_equals_only_null() -> None:
    assert parse_rule("device.deviceTag -eq null").matches({})
    assert not parse_rule("device.deviceTag -ne null").matches({"deviceTag": None})
    assert not parse_rule('device.deviceTag -contains ""').matches({})
    assert not parse_rule("device.deviceTag -eq null").matches({"deviceTag": ""})


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("   ", 3),
        ('device.shoeSize -eq "x"', 0),
        ('user.displayName -eq "x"', 0),
        ('device.displayName -like "x"', 19),
        ("device.displayName -eq Linux", 23),
        ('device.displayName -eq ["a"]', 23),
        ("device.displayName -startsWith null", 31),
        ('device.displayName -in ["a", null]', 29),
        ("device.displayName -in []", 24),
        ('device.displayName -eq "a" and device.displayName -eq "b"', 27),
        ('(device.displayName -eq "a"', 27),
        ('device.displayName -eq "a")', 26),
        ('device.displayName -eq "a', 22),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused_with_its_place(text: str, position: int) -> None:
    with pytest.raises(InvalidRuleError) as raised:
        parse_rule(text)

    assert raised.value.position == position


def test_depth_and_length_are_bounded() -> None:
    comparison = 'device.displayName -eq "a"'
    parse_rule("(" * MAX_DEPTH + comparison + ")" * MAX_DEPTH)
    with pytest.raises(InvalidRuleError, match="deeper"):
        parse_rule("(" * (MAX_DEPTH + 1) + comparison + ")" * (MAX_DEPTH + 1))

    filler = MAX_LENGTH - len('device.displayName -eq ""')
    parse_rule(f'device.displayName -eq "{"a" * filler}"')
    with pytest.raises(InvalidRuleError, match="longer"):
        parse_rule(f'device.displayName -eq "{"a" * (filler + 1)}"')
    with pytest.raises(InvalidRuleError, match="longer"):
        parse_rule(f'device.displayName -eq"{"a" * (filler + 1)}"')
