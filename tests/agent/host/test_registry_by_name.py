"""A mapping by names of the registry is what a mapping by names in one case is, and keeps how they were written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.host.registry.by_name import ByName
from shieldwall.agent.host.registry.model import same_name

NAMES = st.text("aAäÄb", max_size=3)


@given(st.lists(st.tuples(NAMES, st.none() | st.integers())))
def test_names_are_one_whatever_their_case(steps: list[tuple[str, int | None]]) -> None:
    held: ByName[int] = ByName()
    model: dict[str, tuple[str, int]] = {}
    for name, value in steps:
        if value is None:
            taken = model.pop(same_name(name), None)
            assert held.take(name) == ({} if taken is None else {taken[0]: taken[1]})
        else:
            held[name] = value
            model[same_name(name)] = (name, value)
        assert (name.swapcase() in held) == (same_name(name) in model)

    assert dict(held) == dict(model.values())
    assert len(held) == len(model)
