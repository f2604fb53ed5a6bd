"""Filters of every kind, as trees, for laws about the query language."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import strategies as st

from shieldwall.server.graph.odata.tree import (
    Among,
    Call,
    Comparison,
    Every,
    Literal,
    LiteralKind,
    Node,
    Not,
    Path,
    Quantified,
    Some,
)

WORDS = frozenset(("or", "and", "not", "in", "eq", "ne", "gt", "ge", "lt", "le", "has", "any", "all", "null", "true"))
NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=6).filter(
    lambda name: name.lower() not in WORDS | {"false"}
)
PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001 - made aware
LITERALS: st.SearchStrategy[Literal] = st.one_of(
    st.just(Literal(LiteralKind.NULL, None)),
    st.booleans().map(lambda value: Literal(LiteralKind.BOOLEAN, value)),
    st.integers(-(10**12), 10**12).map(lambda value: Literal(LiteralKind.NUMBER, value)),
    st.decimals(-1000, 1000, places=3).map(lambda value: Literal(LiteralKind.NUMBER, Decimal(str(value)))),
    PRINTABLE.map(lambda value: Literal(LiteralKind.TEXT, value)),
    PRINTABLE.map(lambda value: Literal(LiteralKind.MEMBER, value)),
    st.uuids().map(lambda value: Literal(LiteralKind.GUID, str(value))),
    MOMENTS.map(lambda value: Literal(LiteralKind.MOMENT, value)),
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: Path(tuple(names)))
_LEAVES: st.SearchStrategy[Node] = LITERALS | PATHS


def _larger(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    operators = st.sampled_from(("eq", "ne", "gt", "ge", "lt", "le", "has"))
    return st.one_of(
        several.map(Every),
        several.map(Some),
        parts.map(Not),
        st.builds(Comparison, operators, parts, parts),
        st.builds(Among, parts, st.lists(LITERALS, min_size=1, max_size=3).map(tuple)),
        st.builds(Call, NAMES.map(str.lower), st.lists(parts, max_size=2).map(tuple)),
        st.builds(Quantified, st.sampled_from(("any", "all")), PATHS, NAMES, parts),
        st.builds(Quantified, st.just("any"), PATHS, st.none(), st.none()),
    )


TREES: st.SearchStrategy[Node] = st.recursive(_LEAVES, _larger, max_leaves=8)
