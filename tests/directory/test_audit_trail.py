"""What an event of the audit trail says: differences are complete, and nothing that stayed is among them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shieldwall.server.directory.audit_trail import Change, apart, changes_in, compared

VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
DETAILS = st.dictionaries(st.text(max_size=3), VALUES, max_size=6)
LISTS = st.lists(st.integers(0, 9), unique=True)


@given(DETAILS, DETAILS)
def test_states_differ_by_exactly_what_is_told(before: dict[str, object], after: dict[str, object]) -> None:
    told = {each.name: each for each in changes_in({"before": before, "after": after})}

    for name in {*before, *after}:
        assert (name in told) is (before.get(name) != after.get(name))
    assert all((each.before, each.after) == (before.get(name), after.get(name)) for name, each in told.items())


@given(DETAILS, DETAILS)
def test_compared_with_an_earlier_event_nothing_is_repeated(earlier: dict[str, object], now: dict[str, object]) -> None:
    told = {each.name: each.after for each in compared(earlier, now)}

    assert {name: value for name, value in now.items() if earlier.get(name) != value} == told


@given(LISTS, LISTS)
def test_lists_come_apart_without_loss(before: list[int], after: list[int]) -> None:
    gone, new, kept = apart(before, after)

    assert set(before) - set(gone) | set(new) == set(after)
    assert kept == len(set(before) & set(after))


def test_names_are_no_changes_and_values_called_before_are_values() -> None:
    assert list(changes_in({"name": "x", "title": "y", "before": "noon"})) == [Change(name="before", after="noon")]
