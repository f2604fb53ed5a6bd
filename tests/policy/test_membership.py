"""Laws of membership rules: what is written is what is read, and evaluation agrees with an independent oracle."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.laws import law
from tests.support.rules import Described, Sketch, devices, expected, sketches, spelled

from shieldwall.policy.membership import PROPERTIES, InvalidRuleError, parse_rule
from shieldwall.policy.rule_syntax import MAX_DEPTH, MAX_GROUPS, MAX_LENGTH
from shieldwall.policy.rule_tree import KINDS, Kind


@law
@given(sketches, devices)
def test_evaluation_agrees_with_the_oracle(sketch: Sketch, device: Described) -> None:
    assert parse_rule(spelled(sketch)).matches(device) == expected(sketch, device)


@law
@given(sketches)
def test_what_is_written_is_what_is_read(sketch: Sketch) -> None:
    rule = parse_rule(spelled(sketch))

    assert parse_rule(str(rule)) == rule
    assert str(parse_rule(str(rule))) == str(rule)


@given(sketches, devices)
def test_only_the_properties_a_rule_asks_for_decide(sketch: Sketch, device: Described) -> None:
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
                    "-any",
                    "all",
                    "_",
                    "group.objectId",
                    "device.memberOf",
                    "device.deviceTag",
                    "device.isRooted",
                    "true",
                    "-match",
                    "'",
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


@pytest.mark.parametrize("name", [name for name in PROPERTIES if KINDS[name] in {Kind.TEXT, Kind.COLLECTION}])
def test_every_text_and_collection_may_be_asked_for_in_any_case(name: str) -> None:
    rule = parse_rule(f'DEVICE.{name.upper()} -in "yes"')

    assert rule.matches({name: ("Yes",) if KINDS[name] is Kind.COLLECTION else "Yes"})
    assert rule.properties() == {name}
    assert str(rule) == f'device.{name} -in ["yes"]'


@pytest.mark.parametrize("name", [name for name in PROPERTIES if KINDS[name] is Kind.FLAG])
@pytest.mark.parametrize("wanted", ["true", "TRUE", '"true"', "$true", "'True'"])
def test_a_flag_is_asked_with_or_without_quotes(name: str, wanted: str) -> None:
    rule = parse_rule(f"device.{name} -eq {wanted}")

    assert str(rule) == f"device.{name} -eq true"
    assert [rule.matches({name: value}) for value in (True, False, None)] == [True, False, False]
    assert [parse_rule(f"device.{name} -ne {wanted}").matches({name: value}) for value in (True, False)] == [
        False,
        True,
    ]


def test_all_devices_are_those_with_an_object_id() -> None:
    assert parse_rule("device.objectId -ne null").matches({"objectId": "x"})


@pytest.mark.parametrize(
    "text",
    [
        'device.deviceOSType eq "Linux" AND NOT device.deviceModel startswith "x"',
        'device.deviceOSType \u2013eq "Linux" \u2013and \u2013not device.deviceModel \u2013startsWith "x"',
        "device.deviceOSType -eq 'Linux'-and(-not(device.deviceModel-startsWith'x'))",
    ],
)
def test_operators_are_read_with_and_without_their_dash(text: str) -> None:
    assert parse_rule(text) == parse_rule(
        '(device.deviceOSType -eq "Linux") -and -not (device.deviceModel -startsWith "x")'
    )


def test_texts_stand_in_either_quotes_and_escapes_are_theirs() -> None:
    assert parse_rule("device.displayName -eq 'it''s `\"x`\"'").matches({"displayName": 'it\'s "x"'})
    assert parse_rule("device.displayName -eq \"it''s ``\"").matches({"displayName": "it''s `"})
    assert parse_rule('device.displayName -eq "null"').matches({"displayName": "NULL"})
    assert not parse_rule('device.displayName -eq "null"').matches({})


def test_tags_and_device_tag_are_the_same() -> None:
    assert parse_rule('device.tags -any (_ -eq "web")') == parse_rule('device.deviceTag -any _ -eq "web"')


def test_any_wants_one_value_and_all_every_value_there_is() -> None:
    one, every = (parse_rule(f'device.deviceTag {word} (_ -startsWith "web")') for word in ("-any", "-all"))
    tags: list[tuple[str, ...]] = [(), ("web-1",), ("web-1", "db"), ("db",)]

    assert [one.matches({"deviceTag": each}) for each in tags] == [False, True, True, False]
    assert [every.matches({"deviceTag": each}) for each in tags] == [True, True, False, False]


def test_a_condition_without_parentheses_reaches_as_far_as_it_can() -> None:
    rule = parse_rule('device.devicePhysicalIds -any _ -contains "[ztdid]" -or _ -eq "x" -and -not _ -eq "y"')

    assert str(rule) == 'device.devicePhysicalIds -any (_ -contains "[ztdid]" -or _ -eq "x" -and -not _ -eq "y")'
    assert rule.matches({"devicePhysicalIds": ("a", "[ZTDId]:7")})


def test_a_contains_that_is_asked_of_a_collection_looks_into_its_texts() -> None:
    assert parse_rule('device.systemLabels -startsWith "M365"').matches({"systemLabels": ("x", "m365managed")})


def test_a_rule_names_the_groups_it_asks_for() -> None:
    group = "AAAAAAAA-0000-4000-8000-000000000001"
    rule = parse_rule(f"-not device.memberof -any (group.objectid -in ['{group}', '{group.lower()}'])")

    assert rule.groups() == {group.lower()}
    assert rule == parse_rule(f'-not (device.memberOf any group.objectId eq "{group}")')
    assert not rule.matches({"memberOf": (group.lower(),)})
    assert parse_rule('device.displayName -eq "a"').groups() == frozenset()


def test_a_pattern_is_found_anywhere_unless_it_says_where_and_in_linear_time() -> None:
    assert [
        parse_rule('device.displayName -match "^Da.*"').matches({"displayName": name}) for name in ("dave", "ada")
    ] == [
        True,
        False,
    ]
    assert parse_rule('device.displayName -match ".*vid"').matches({"displayName": "David"})
    assert parse_rule('device.displayName -notMatch "x"').matches({})
    hostile = parse_rule('device.displayName -match "^(a+)+$"')  # exponential for whoever goes back
    assert not hostile.matches({"displayName": "a" * 50_000 + "!"})


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
        ("device.displayName -eq 3", 23),
        ('device.displayName "x"', 19),
        ('device.displayName -match "ok" -and device.deviceModel -match "(a"', 62),
        ('device.displayName -match "(?=a)"', 26),
        ('device.displayName -match "a{5000}"', 26),
        ('device.isRooted -eq "yes"', 20),
        ('device.isRooted -eq "null"', 20),
        ("device.isRooted -in [true]", 16),
        ('device.displayName -any (_ -eq "a")', 19),
        ("device.isRooted -all (_ -eq null)", 16),
        ('_ -eq "a"', 0),
        ('group.objectId -eq "a"', 0),
        ('device.deviceTag -any (device.displayName -eq "a")', 23),
        ('device.deviceTag -any _ -eq "a" -and device.displayName -eq "b"', 37),
        ('device.deviceTag -any (_ -eq "a") -or _ -eq "b"', 38),
        ('device.deviceTag -any (_ -any (_ -eq "a"))', 25),
        ('device.deviceTag -any (group.objectId -eq "a")', 23),
        ('device.deviceTag -any "a"', 22),
        ('device.memberOf -eq "a"', 16),
        ('device.memberOf -all (group.objectId -eq "a")', 16),
        ('device.memberOf -any (group.objectId -eq "a")', 22),
        ("device.memberOf -any (group.objectId -eq null)", 22),
        ('device.memberOf -any (_ -eq "a")', 22),
        ('device.memberOf -any (group.objectId -notIn ["a"])', 22),
        ("-not null", 5),
        ("device.displayName -not null", 19),
        ("device.displayName -startsWith null", 31),
        ('device.displayName -in ["a", null]', 29),
        ("device.displayName -in []", 24),
        ('device.displayName -eq "a" xor device.displayName -eq "b"', 27),
        ('(device.displayName -eq "a"', 27),
        ('device.displayName -eq "a")', 26),
        ('device.displayName -eq "a', 23),
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


def test_the_groups_of_a_rule_are_bounded() -> None:
    ids = [f"'aaaaaaaa-0000-4000-8000-{number:012x}'" for number in range(MAX_GROUPS + 1)]
    parse_rule(f"device.memberOf -any (group.objectId -in [{','.join(ids[1:])}])")
    with pytest.raises(InvalidRuleError, match="1 to 50"):
        parse_rule(f"device.memberOf -any (group.objectId -in [{','.join(ids)}])")


def test_a_property_may_be_refused_where_it_makes_no_sense() -> None:
    with pytest.raises(InvalidRuleError, match="isRooted") as raised:
        parse_rule("device.displayName -eq 'a' -or device.isRooted -eq true", without=["isRooted"])
    assert raised.value.position == 31
