"""Strategies for JSON documents as people write them: odd white space, any characters, keys that look like comments."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

_KNOWN = ["antivirusEngine", "cloudService", "enabled", "exclusions", "info", "//", "# note", "", "ä😀", 'q"\\']
_SPACES = st.sampled_from(["", " ", "\n", "\r\n", "\t", "\n    ", "  \r\n  "])
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6)


def names() -> st.SearchStrategy[str]:
    """Member names, often the same few so that they meet."""
    return st.sampled_from(_KNOWN) | _TEXT


def typed_values() -> st.SearchStrategy[Any]:
    """Values such as settings have."""
    scalars = st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _TEXT
    return scalars | st.lists(_TEXT, max_size=3) | st.lists(st.dictionaries(names(), scalars, min_size=1), max_size=2)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Draw a whole document with an object at its root."""
    scalars = st.none() | st.booleans() | st.integers(-999, 999) | st.floats(-9.5, 9.5) | _TEXT
    tree = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names(), inner, max_size=3), max_leaves=8
    )
    root = draw(st.dictionaries(names(), tree, max_size=4))
    return (draw(_SPACES) + _written(draw, root) + draw(_SPACES)).encode()


def _written(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, dict):
        parts = [
            f"{draw(_SPACES)}{json.dumps(name, ensure_ascii=draw(st.booleans()))}{draw(_SPACES)}:"
            f"{draw(_SPACES)}{_written(draw, member)}{draw(_SPACES)}"
            for name, member in value.items()
        ]
        return "{" + (",".join(parts) or draw(_SPACES)) + "}"
    if isinstance(value, list):
        parts = [f"{draw(_SPACES)}{_written(draw, item)}{draw(_SPACES)}" for item in value]
        return "[" + (",".join(parts) or draw(_SPACES)) + "]"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))
