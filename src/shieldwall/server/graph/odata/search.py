"""``$search``: ``"displayName:some words"``, several joined by AND or OR, as a filter that asks what texts contain."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata.fields import FieldMap
from shieldwall.server.graph.odata.tree import Call, Every, Literal, LiteralKind, Node, Path, Some

LONGEST: Final = 512
MOST_TERMS: Final = 10
_TOKEN: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|AND(?!\w)|OR(?!\w)|[^\s"]+)\s*')
_ESCAPED: Final = re.compile(r"\\(.)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


Search: TypeAlias = tuple[tuple[tuple[str, str], ...], ...]
"""Alternatives, each of terms that all have to be found: a property (or none) and a text."""


def parse_search(text: str) -> Search:
    """Read a search. Raises: InvalidQueryError: It is none."""
    if len(text) > LONGEST or _CONTROL.search(text):
        raise InvalidQueryError(f"$search is at most {LONGEST} characters that can be printed.")
    alternatives: list[list[tuple[str, str]]] = [[]]
    at, expects = 0, True
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise InvalidQueryError(f"$search: a quotation mark has no other (position {at + 1}).")
        at = match.end()
        joins = match[1] in {"AND", "OR"}
        if joins == expects:
            raise InvalidQueryError('$search is "property:text", or several joined by AND or OR.')
        expects = joins
        if match[1] == "OR":
            alternatives.append([])
        elif not joins:
            alternatives[-1].append(_term(match[1]))
    if expects:
        raise InvalidQueryError("$search ends too early.")
    if sum(map(len, alternatives)) > MOST_TERMS:
        raise InvalidQueryError(f"$search has more than {MOST_TERMS} terms.")
    return tuple(map(tuple, alternatives))


def searching(alternatives: Search, fields: FieldMap) -> Node:
    """Say a search as a filter. Raises: InvalidQueryError: The listing or the property is not searched."""
    if not fields.searched:
        raise InvalidQueryError("$search is not supported here.")
    return Some(tuple(Every(tuple(_asked(*term, fields) for term in terms)) for terms in alternatives))


def _asked(name: str, text: str, fields: FieldMap) -> Node:
    known = {each.lower(): meant for each, meant in fields.searched.items()}
    found = known.get(name.lower()) if name else next(iter(known.values()))
    if found is None:
        raise InvalidQueryError(f"$search: {name[:40]!r} is not searched; {', '.join(fields.searched)} can be.")
    return Call("contains", (Path((found,)), Literal(LiteralKind.TEXT, text)))


def _term(written: str) -> tuple[str, str]:
    quoted = written.startswith('"')
    text = _ESCAPED.sub(r"\1", written[1:-1]) if quoted else written
    name, colon, value = text.partition(":")
    is_named = bool(colon) and name.isidentifier()
    found = (name, value.strip()) if is_named else ("", text.strip())
    if not found[1]:
        raise InvalidQueryError("$search: there is nothing to look for.")
    return found
