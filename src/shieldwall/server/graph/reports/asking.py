"""What is asked of a report: columns, a filter, a search, an order and a part. Read from the body, bounded, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Annotated, Final, TypeAlias

import msgspec

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata.check import checked
from shieldwall.server.graph.odata.checked import Condition, Either, Matches, Reading
from shieldwall.server.graph.odata.fields import FieldMap
from shieldwall.server.graph.odata.ordering import Ordered, checked_order, parse_orderby
from shieldwall.server.graph.odata.parse import parse_filter
from shieldwall.server.graph.odata.tree import Comparison, Every, Literal, Node, Path
from shieldwall.server.graph.reports.columns import LOCALIZED, MOST_KINDS, Column, Type
from shieldwall.server.storage.tables.folding import fold

DEFAULT_ROWS: Final = 1_000
MOST_ROWS: Final = 10_000
MOST_SKIPPED: Final = 10_000_000
_MOST_NAMES: Final = 64
_LONGEST: Final = 512


Skipped: TypeAlias = int | Annotated[str, msgspec.Meta(pattern=r"^[0-9]{0,8}\Z")] | None
Wanted: TypeAlias = int | Annotated[str, msgspec.Meta(pattern=r"^[0-9]{0,5}\Z")] | None
"""Numbers as scripts send them: as such, or as texts."""


class ReportRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The body; scripts send ``skip`` and ``top`` as texts too."""

    name: str | None = None
    select: tuple[str, ...] | None = ()
    search: str | None = None
    group_by: tuple[str, ...] | None = ()
    order_by: tuple[str, ...] | None = ()
    skip: Skipped = None
    top: Wanted = None
    session_id: str | None = None
    filter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, before it is known of which report."""

    select: tuple[str, ...] = ()
    search: str = ""
    group_by: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    skip: int = 0
    top: int = DEFAULT_ROWS
    filter: Node | None = None
    session_id: str = ""

    def fixed(self, name: str) -> str | None:
        """Return what the filter says that a column has to be, if that is said of the whole and not in parts."""
        found = {value for each, value in _fixed(self.filter) if each.lower() == name.lower()}
        return found.pop() if len(found) == 1 else None

    def required(self, name: str) -> str:
        """Return what a column has to be. Raises: InvalidQueryError: The filter does not say."""
        value = self.fixed(name)
        if value is None:
            raise InvalidQueryError(f"This report is about one {name}: filter has to hold ({name} eq '…').")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A question about columns that are known."""

    columns: tuple[Column, ...]
    conditions: tuple[Condition, ...]
    order: tuple[Ordered, ...]
    is_grouped: bool


def asked_in(request: ReportRequest) -> Asked:
    """Read a question. Raises: InvalidQueryError, InvalidJsonError."""
    return Asked(
        select=_names("select", request.select),
        search=_short("search", request.search),
        group_by=_names("groupBy", request.group_by),
        order_by=_names("orderBy", request.order_by),
        skip=_number("skip", request.skip, 0, MOST_SKIPPED),
        top=_number("top", request.top, DEFAULT_ROWS, MOST_ROWS),
        filter=read_filter(request.filter),
        session_id=_short("sessionId", request.session_id),
    )


def read_filter(text: str | None) -> Node | None:
    """Read a filter, as ``$filter`` is; an empty one asks nothing. Raises: InvalidQueryError."""
    return parse_filter(text, option="filter") if text and text.strip() else None


def check(asked: Asked, columns: Sequence[Column]) -> Checked:
    """Find the columns of a question. Raises: InvalidQueryError: One is not known, or of another type."""
    known = _fields_of(tuple(columns))
    conditions = [checked(asked.filter, known)] if asked.filter is not None else []
    if asked.search:
        conditions.append(_searching(asked.search, columns))
    order = checked_order(parse_orderby(",".join(asked.order_by)), known) if asked.order_by else ()
    chosen = _chosen(asked.group_by or asked.select, columns)
    return Checked(columns=chosen, conditions=tuple(conditions), order=order, is_grouped=bool(asked.group_by))


def names_read(conditions: Iterable[Condition]) -> frozenset[str]:
    """Return the columns that conditions look at."""
    found: set[str] = set()
    waiting: list[object] = list(conditions)
    while waiting:
        each = waiting.pop()
        if isinstance(each, Reading):
            found.add(each.names[0])
        elif isinstance(each, tuple):
            waiting += each
        elif is_dataclass(each):
            waiting += (getattr(each, field.name) for field in fields(each))
    return frozenset(found)


@lru_cache(MOST_KINDS)
def _fields_of(columns: tuple[Column, ...]) -> FieldMap:
    return FieldMap(tuple(column.field for column in columns))


def _chosen(names: Sequence[str], columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns named, in the order named; all where none is. A word brings its number along."""
    if not names:
        return tuple(columns)
    by_name = {column.name.lower(): column for column in columns}
    chosen: dict[str, Column] = {}
    for name in names:
        key = name.lower()
        found = by_name.get(key) or by_name.get(key.removesuffix(LOCALIZED))
        if found is None or (key.endswith(LOCALIZED) and not found.is_pair):
            known = ", ".join(column.name for column in columns)
            raise InvalidQueryError(f"There is no column {name[:64]!r} in this report; there are {known}.")
        chosen[found.name] = found
    return tuple(chosen.values())


def _searching(text: str, columns: Sequence[Column]) -> Condition:
    """Say that one of the texts of a row contains this; where SQL reads, one of those that it finds."""
    texts = [column for column in columns if column.type is Type.TEXT]
    stored = [column for column in texts if column.stored is not None]
    return Either(
        tuple(
            Matches("contains", Reading(column.field, (column.name,), None), fold(text)) for column in stored or texts
        )
    )


def _fixed(node: Node | None) -> Iterable[tuple[str, str]]:
    match node:
        case Every(parts=parts):
            for part in parts:
                yield from _fixed(part)
        case Comparison(operator="eq", left=Path(names=(name,)), right=Literal(value=value)) if value is not None:
            yield name, str(value)
        case _:
            return


def _names(place: str, given: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(given or ())
    if len(names) > _MOST_NAMES or any(len(name) > _LONGEST for name in names):
        raise InvalidQueryError(f"{place} names at most {_MOST_NAMES} columns.")
    return names


def _short(place: str, text: str | None) -> str:
    if text is not None and len(text) > _LONGEST:
        raise InvalidQueryError(f"{place} has at most {_LONGEST} characters.")
    return text or ""


def _number(place: str, given: int | str | None, otherwise: int, most: int) -> int:
    if given is None or given == "":
        return otherwise
    if isinstance(given, str) and (not given.isascii() or not given.isdigit() or len(given) > len(str(most))):
        raise InvalidJsonError(f"{place}: expected a whole number.")
    if not 0 <= int(given) <= most:
        raise InvalidQueryError(f"{place} is a number from 0 to {most}.")
    return int(given)
