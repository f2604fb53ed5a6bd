"""Strategies for property lists as programs and people leave them: in XML and binary, with every type there is."""

from __future__ import annotations

import plistlib
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

_KNOWN = ["antivirusEngine", "cloudService", "enabled", "exclusions", "scheduledScan", "PayloadUUID", "", "ä😀", "a b"]
_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
_FIRST, _LAST = datetime(1970, 1, 2), datetime(2100, 1, 1)  # noqa: DTZ001 - a property list knows no zones
_DATES = st.datetimes(_FIRST, _LAST).map(lambda when: when.replace(microsecond=0))


def names() -> st.SearchStrategy[str]:
    """Member names, often the same few so that they meet."""
    return st.sampled_from(_KNOWN) | _TEXT


def values() -> st.SearchStrategy[Any]:
    """Whatever a property list holds."""
    scalars = (
        st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-9.5, 9.5) | _TEXT | st.binary(max_size=5) | _DATES
    )
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names(), inner, max_size=3), max_leaves=8
    )


@st.composite
def plists(draw: st.DrawFn) -> bytes:
    """Draw a whole file, laid out as ``plistlib`` would not do it."""
    root = draw(st.dictionaries(names(), values(), max_size=4))
    if draw(st.booleans()):
        return plistlib.dumps(root, fmt=plistlib.FMT_BINARY, sort_keys=draw(st.booleans()))
    written = plistlib.dumps(root, sort_keys=draw(st.booleans()))
    layout = draw(st.sampled_from(["plain", "comment", "spaces"]))
    if layout == "comment":
        return written.replace(b"<dict>", b"<!-- by hand --><dict>", 1)
    return written.replace(b"\t", b"    ") if layout == "spaces" else written
