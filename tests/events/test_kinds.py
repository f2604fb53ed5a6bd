from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.server.events.kinds import InvalidEventKindError, checked_patterns, matches

WORD = st.from_regex(r"[a-z][A-Za-z0-9]{0,8}", fullmatch=True)


@given(WORD, WORD, WORD)
def test_a_kind_is_chosen_by_itself_by_its_area_and_by_everything(area: str, what: str, other: str) -> None:
    kind = f"{area}.{what}"
    for pattern in ("*", f"{area}.*", kind):
        assert matches(checked_patterns([pattern]), kind)
    assert matches([f"{other}.*"], kind) == (other == area)
    assert matches([f"{area}.{other}"], kind) == (other == what)


def test_patterns_stand_once_and_in_order() -> None:
    assert checked_patterns(["policy.*", "alert.*", "policy.*"]) == ("alert.*", "policy.*")


@pytest.mark.parametrize(
    "patterns",
    [[], [""], ["policy"], ["policy.**"], ["*.created"], ["Policy.*"], ["policy.%"], ["a.b.c"], ["policy.*\n"], ["**"]],
)
def test_what_is_no_pattern_is_refused(patterns: list[str]) -> None:
    with pytest.raises(InvalidEventKindError):
        checked_patterns(patterns)


def test_there_is_an_end_to_patterns() -> None:
    with pytest.raises(InvalidEventKindError, match="33"):
        checked_patterns(f"a.b{number}" for number in range(33))
