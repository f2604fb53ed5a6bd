"""``$orderby``: properties, each ``asc`` or ``desc``, bounded in number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata.fields import Complex, Field, FieldMap

MOST_TERMS: Final = 5
"""Properties that one listing is ordered by."""
_LONGEST: Final = 512
_TERM: Final = re.compile(r"\s*([A-Za-z_][\w/]*)(?:\s+(asc|desc))?\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Term:
    """A property as it is written, and its direction."""

    path: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Ordered:
    """A field that a listing is ordered by, and where resources have it."""

    field: Field
    names: tuple[str, ...]
    descending: bool

    @property
    def path(self) -> str:
        """Its name in full."""
        return "/".join(self.names)


def parse_orderby(text: str) -> tuple[Term, ...]:
    """Read an order. Raises: InvalidQueryError."""
    if len(text) > _LONGEST:
        raise InvalidQueryError(f"$orderby is longer than {_LONGEST} characters.")
    written = text.split(",")
    if len(written) > MOST_TERMS:
        raise InvalidQueryError(f"$orderby names more than {MOST_TERMS} properties.")
    found = []
    for each in written:
        match = _TERM.fullmatch(each)
        if match is None:
            raise InvalidQueryError(f"$orderby: {each.strip()[:40]!r} is no property followed by asc or desc.")
        found.append(Term(match[1], (match[2] or "").lower() == "desc"))
    return tuple(found)


def checked_order(terms: tuple[Term, ...], fields: FieldMap) -> tuple[Ordered, ...]:
    """Find the fields of an order. Raises: InvalidQueryError: One is not known, is no single value or stands twice."""
    found = tuple(_checked(term, fields) for term in terms)
    if len({each.names for each in found}) < len(found):
        raise InvalidQueryError("$orderby names a property twice.")
    return found


def _checked(term: Term, fields: FieldMap) -> Ordered:
    names: tuple[str, ...] = ()
    inner: FieldMap | None = fields
    found = None
    for name in term.path.split("/"):
        found = None if inner is None else inner.find(name)
        if found is None:
            raise InvalidQueryError(f"$orderby: there is no property {term.path[:80]!r}.")
        names = (*names, found.name)
        inner = found.fields if isinstance(found, Complex) else None
    if not isinstance(found, Field):
        raise InvalidQueryError(f"$orderby: {term.path[:80]} is no property with one value.")
    return Ordered(found, names, term.descending)
