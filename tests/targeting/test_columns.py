"""A column gives back what was put into it, however many values there are and however many devices come at a time."""

from __future__ import annotations

import numpy as np
import pytest

from shieldwall.server.targeting.columns import CodedColumn

VALUES = [f"site-{number}" for number in range(70_000)]


@pytest.mark.parametrize("at_a_time", [1, 1_000])
@pytest.mark.parametrize("count", [256, 300, 70_000])
def test_values_beyond_what_a_code_held_are_kept_like_those_before(count: int, at_a_time: int) -> None:
    column = CodedColumn(count)

    for start in range(0, count, at_a_time):
        places = np.arange(start, min(count, start + at_a_time))
        column.put(places, VALUES[start : start + len(places)])

    assert [column.value(place) for place in range(count)] == VALUES[:count]
    assert column.codes.itemsize == (2 if count < 65_536 else 4)
