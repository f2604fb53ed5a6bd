"""Reading filters: what is written is what is read, and whatever is not a filter is refused, at once."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.support.odata_strategies import PRINTABLE, TREES

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata import fields
from shieldwall.server.graph.odata.check import checked
from shieldwall.server.graph.odata.fields import FieldMap
from shieldwall.server.graph.odata.parse import DEEPEST, parse_filter
from shieldwall.server.graph.odata.printing import printed
from shieldwall.server.graph.odata.tree import Node

PLATFORMS = ("none", "macOS", "windows10", "linux")
THINGS = FieldMap(
    (
        fields.guid("id"),
        fields.text("displayName"),
        fields.boolean("enabled"),
        fields.number("size"),
        fields.moment("createdDateTime"),
        fields.choice("state", ("active", "retired")),
        fields.flags("platforms", PLATFORMS),
        fields.texts("tags"),
        fields.within("reference", fields.text("family")),
        *fields.shown("secretive"),
    ),
    searched={"displayName": "displayName"},
)


@given(TREES)
def test_a_filter_that_is_printed_is_read_as_what_it_was(tree: Node) -> None:
    text = printed(tree)
    try:
        found = parse_filter(text)
    except InvalidQueryError:
        assume(text.count("(") + text.count("not ") < DEEPEST)
        raise
    assert found == tree


@given(PRINTABLE | st.text() | st.text("()'/:,; \tabeqinort0.-") | TREES.map(printed).map(lambda text: text[:-1]))
def test_whatever_is_written_is_a_filter_or_is_refused(text: str) -> None:
    try:
        checked(parse_filter(text), THINGS)
    except InvalidQueryError:
        return


@pytest.mark.parametrize(
    "text",
    [
        "displayName eq 'it''s'",
        "displayName EQ 'x' AND NOT (size GT 5)",
        "startsWith(displayName,'x') or CONTAINS(tolower(displayName),'y') eq true",
        "endswith(trim(toupper(displayName)),'x')",
        "length(displayName) ge 3",
        "id eq 00000000-0000-0000-0000-00000000000A",
        "id in ('00000000-0000-0000-0000-00000000000a',00000000-0000-0000-0000-00000000000b)",
        "createdDateTime ge 2026-01-01T00:00:00Z and createdDateTime lt 2026-01-01T00:00:00.1234567+01:00",
        "createdDateTime ge 2026-01-01T00:00:00 01:00",
        "createdDateTime gt 2026-01-01",
        "state eq microsoft.graph.thingState'active' or state in ('Retired',null)",
        "platforms has 'linux,macOS'",
        "platforms eq 'LINUX,windows10'",
        "tags/any(t:t eq 'x') and tags/all(t:startswith(t,'a') or t eq null)",
        "tags/any()",
        "not tags/any()",
        "reference/family ne null",
        "REFERENCE/Family eq 'x'",
        "enabled",
        "not enabled and enabled eq false",
        "5 lt size",
        "size eq -1.50",
        "true",
        "  displayName  eq  'x' ",
    ],
)
def test_what_graph_documents_can_be_asked(text: str) -> None:
    checked(parse_filter(text), THINGS)


@pytest.mark.parametrize(
    ("text", "cause", "position"),
    [
        ("surprise eq 1", "no property 'surprise'", 1),
        ("size eq 1 and surprise eq 1", "no property 'surprise'", 15),
        ("reference/surprise eq 1", "'reference/surprise'", 1),
        ("size eq 'x'", "size is a number", 9),
        ("enabled eq 'true'", "enabled is a boolean", 12),
        ("displayName eq 5", "displayName is a text", 16),
        ("createdDateTime gt 'x'", "is a time", 20),
        ("state eq 'gone'", "has no member 'gone'", 10),
        ("platforms has 'plan9'", "has no member 'plan9'", 15),
        ("state gt 'active'", "gt cannot compare", 7),
        ("size gt null", "null", 6),
        ("size", "no condition", 1),
        ("tags eq 'x'", "is a collection", 1),
        ("displayName/any(x:x eq 'y')", "no collection", 1),
        ("tags/all()", "takes a condition", 6),
        ("secretive eq 'x'", "cannot be asked about", 1),
        ("reference eq null", "cannot be asked about", 1),
        ("explode(displayName)", "'explode' is not known", 1),
        ("startswith(displayName)", "two operands", 1),
        ("startswith('x',displayName)", "a property that is a text", 1),
        ("startswith(size,'x')", "a property that is a text", 1),
        ("tolower(displayName)", "gives no condition", 1),
        ("(size eq 1) eq 5", "true or false", 13),
        ("size eq 99999999999999999999", "larger", 9),
        ("createdDateTime eq 2026-02-30", "no time", 20),
        ("createdDateTime eq 0001-01-01T00:00:00+14:00", "no time", 20),
        ("displayName eq", "ends too early", 15),
        ("", "ends too early", 1),
        ("displayName eq 'x", "has no end", 16),
        ("displayName eq 'x' 'y'", "cannot stand", 20),
        ("displayName = 'x'", "cannot stand", 13),
        ("displayName eq \x00'x'", "control character", 16),
        ("displayName eq 'x\ud800'", "control character", 18),
        ("1 eq 1", "a property has to stand here", 1),
        ("displayName eq size", "cannot be compared with each other", 13),
    ],
)
def test_what_is_wrong_is_named_with_its_position(text: str, cause: str, position: int) -> None:
    with pytest.raises(InvalidQueryError) as refused:
        checked(parse_filter(text), THINGS)

    assert cause in refused.value.cause
    assert f"position {position}" in refused.value.cause


@pytest.mark.parametrize(
    "text",
    [
        " or ".join(["size eq 1"] * 5_000),
        " or ".join(["size eq 1"] * 101),
        " or ".join(["enabled"] * 499),
        "(" * 5_000 + "enabled" + ")" * 5_000,
        "(" * 30 + "enabled" + ")" * 30,
        "not " * 1_500 + "enabled",
        "id in (" + ",".join(["'x'"] * 251) + ")",
        "displayName eq '" + "x" * 9_000 + "'",
        "size eq " + "1" * 8_000,
        "size eq " + "1" * 31,
        "'" * 8_001,
        "tags/any(a:" * 9 + "enabled" + ")" * 9,
        "x/" * 900 + "x eq 1",
        "tolower(" * 20 + "displayName" + ")" * 20 + " eq 5",
        " " * 8_000 + "(",
    ],
)
def test_what_would_cost_much_is_refused_before_it_does(text: str) -> None:
    with pytest.raises(InvalidQueryError):
        checked(parse_filter(text), THINGS)

    assert cost_of(text) < 3 * cost_of(filter_of(99))


def test_a_filter_costs_what_is_in_it_and_no_more() -> None:
    checked(parse_filter(filter_of(99)), THINGS)

    assert cost_of(filter_of(99)) < 6 * cost_of(filter_of(33)), (
        "three times as much, or nine if each looked at all others"
    )


def filter_of(conditions: int) -> str:
    """Of the largest that are read with 99."""
    named = ",".join(["'x'"] * (conditions * 3 // 2))
    return " or ".join(["startswith(displayName,'x')"] * conditions) + f" or id in ({named})"


def cost_of(text: str) -> float:
    """The processor time of reading, or of refusing; the least of some, for others are at work here too."""

    def once() -> float:
        begun = time.process_time()
        with suppress(InvalidQueryError):
            checked(parse_filter(text), THINGS)
        return time.process_time() - begun

    return min(once() for _ in range(5))


def test_many_inversions_beside_each_other_are_no_depth() -> None:
    checked(parse_filter(" and ".join(["not (size eq 1)"] * 60)), THINGS)
