"""The query options of a listing, as OData names them: read, bounded, and made into the page that storage reads.

An option we do not follow is answered with 400; ignoring a filter would show more than was asked for. Whatever the
fields of a listing do not name is refused too, also in ``$select``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import ColumnElement

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata import memory, places, sql
from shieldwall.server.graph.odata.check import checked
from shieldwall.server.graph.odata.checked import Condition
from shieldwall.server.graph.odata.fields import EMPTY, FieldMap
from shieldwall.server.graph.odata.ordering import Ordered, Term, checked_order, parse_orderby
from shieldwall.server.graph.odata.parse import parse_filter
from shieldwall.server.graph.odata.places import Place
from shieldwall.server.graph.odata.printing import printed
from shieldwall.server.graph.odata.search import Search, parse_search, searching
from shieldwall.server.graph.odata.selection import Expandable, Json, Selection, parse_selection
from shieldwall.server.graph.odata.tree import Node
from shieldwall.server.storage.order_terms import OrderTerm, Tally
from shieldwall.server.storage.records import Page

DEFAULT_PAGE: Final = 100
LARGEST_PAGE: Final = 1_000
MOST_SKIPPED: Final = 10_000
"""Rows that ``$skip`` leaves out at most: they are read all the same. ``$skiptoken`` has no bound."""
MOST_DIGITS: Final = 9
"""Longest number that an address may hold; more than anything we count."""
_FORMATS: Final = frozenset({"json", "application/json"})
_KNOWN: Final = frozenset(
    {"$top", "$skip", "$skiptoken", "$select", "$expand", "$count", "$filter", "$orderby", "$search", "$format"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a request asks of a listing or of one resource.

    ``question`` is everything that decides which rows a listing has and in which order; a token is good for one.
    ``tally`` is where the number of all rows is written when it is asked for. ``only`` says which rows the caller sees.
    """

    top: int | None = None
    skip: int = 0
    place: Place | None = None
    selection: Selection = field(default_factory=Selection)
    filter: Node | None = None
    search: Search = ()
    order: tuple[Term, ...] = ()
    question: str = ""
    tally: Tally | None = None
    only: tuple[ColumnElement[bool], ...] = ()
    expandable: frozenset[str] = field(default_factory=frozenset)

    @property
    def size(self) -> int:
        """How many resources a page holds."""
        return self.top or DEFAULT_PAGE

    @property
    def after(self) -> str | None:
        """The name of the last row of the page before."""
        return None if self.place is None else self.place.after

    @property
    def expand(self) -> frozenset[str]:
        """What is expanded."""
        return frozenset(self.selection.expanded)

    def page_of(self, fields: FieldMap, *where: ColumnElement[bool]) -> Page:
        """Make the page for storage: one row more than is shown, which tells whether more follow.

        ``where`` are conditions of the caller beside those of the question.

        Raises:
            InvalidQueryError: A property is not known, of another type, or cannot be asked about in SQL.
        """
        self.selection.refuse_unknown(fields, *self.expandable)
        order = self.ordered(fields)
        values, known = ((), ()) if self.place is None else (self.place.values, order)
        if len(values) != len(known):
            raise InvalidQueryError("$skiptoken is not one that we gave out.")
        return Page(
            size=self.size + 1,
            after=self.after,
            where=(*self.only, *where, *map(sql.condition, self.conditions(fields))),
            order=tuple(
                OrderTerm(sql.ordering(each.field, each.path), each.descending, each.field.nullable) for each in order
            ),
            place=tuple(places.read(value, each.field.kind) for value, each in zip(values, known, strict=True)),
            skip=self.skip,
            tally=self.tally,
        )

    def conditions(self, fields: FieldMap) -> tuple[Condition, ...]:
        """Return what filter and search ask for, checked. Raises: InvalidQueryError."""
        asked = [self.filter] if self.filter is not None else []
        if self.search:
            asked.append(searching(self.search, fields))
        return tuple(checked(node, fields) for node in asked)

    def ordered(self, fields: FieldMap) -> tuple[Ordered, ...]:
        """Return the fields of the order asked for. Raises: InvalidQueryError."""
        return checked_order(self.order, fields)

    def fitting(self, fields: FieldMap, resources: Iterable[Json]) -> list[Json]:
        """Return those of the resources that fit, in the order asked for: a listing that is held in memory.

        Raises:
            InvalidQueryError: A property is not known or of another type.
        """
        self.selection.refuse_unknown(fields, *self.expandable)
        conditions = self.conditions(fields)
        found = [each for each in resources if all(memory.holds(condition, each) for condition in conditions)]
        if self.tally is not None:
            self.tally.total = len(found)
        return memory.in_order(found, self.ordered(fields))

    def cut(self, resources: Sequence[Json], size: int) -> list[tuple[str, Json]]:
        """Return the part of a listing in memory that was asked for, each resource after its number, and one more.

        Raises:
            InvalidQueryError: The token is none that such a listing gave out.
        """
        start = self.skip or counted_after(self) or 0
        return [(str(number), each) for number, each in enumerate(resources[start : start + size + 1], start + 1)]

    def expands(self, name: str, below: str) -> bool:
        """Whether something is expanded below what is expanded."""
        inner = self.selection.expanded.get(name)
        return inner is not None and below in inner.expanded

    def token_after(self, name: str, resource: Json, fields: FieldMap) -> str:
        """Write the token of the page after this row."""
        values = memory.place_of(self.ordered(fields), resource)
        return places.token_of(Place(name, tuple(map(places.written, values))), self.question)

    def shape(self, resource: Json, fields: FieldMap = EMPTY) -> Json:
        """Shape one resource that was asked for by its name. ``fields`` are those beside its members.

        Raises:
            InvalidQueryError: An option stands there that only listings have, or a property is not known.
        """
        if self.is_about_listings:
            raise InvalidQueryError("One resource is asked for by its name: it takes $select and $expand alone.")
        self.selection.refuse_unknown(fields, *resource, *self.expandable)
        return self.selection.shape(resource)

    @property
    def is_about_listings(self) -> bool:
        """Whether an option stands there that only listings have."""
        return self.is_about_pages or self.filter is not None or bool(self.search)

    @property
    def is_about_pages(self) -> bool:
        """Whether an option stands there that says what a page of a listing is like."""
        options = (self.top, self.place, self.tally)
        return any(option is not None for option in options) or bool(self.skip or self.order)


def parse_query(
    parameters: Mapping[str, Sequence[str]], *, expandable: Expandable | frozenset[str] = frozenset(), path: str = ""
) -> Query:
    """Read the query options; ``path`` names the listing.

    Raises:
        InvalidQueryError: An option is unknown, stands twice or has a value we cannot follow.
    """
    options = _options(parameters)
    below: Expandable = {name: {} for name in expandable} if isinstance(expandable, frozenset) else expandable
    node = parse_filter(options["$filter"]) if "$filter" in options else None
    order = parse_orderby(options["$orderby"]) if options.get("$orderby", "").strip() else ()
    search = parse_search(options["$search"]) if "$search" in options else ()
    question = "\n".join((path, "" if node is None else printed(node), str(order), str(search)))
    token, skip = options.get("$skiptoken"), _skip(options.get("$skip"))
    if token is not None and skip:
        raise InvalidQueryError("$skip and $skiptoken cannot stand together.")
    if options.get("$format", "json").lower().partition(";")[0] not in _FORMATS:
        raise InvalidQueryError("$format is json here.")
    return Query(
        top=_top(options.get("$top")),
        skip=skip,
        place=None if token is None else places.place_from(token, question),
        selection=parse_selection(options.get("$select", ""), options.get("$expand", ""), below),
        filter=node,
        search=search,
        order=order,
        question=question,
        tally=Tally() if _flag("$count", options.get("$count", "false")) else None,
        expandable=frozenset(below),
    )


def counted_after(query: Query) -> int | None:
    """Read ``after`` as a number, where a listing counts. Raises: InvalidQueryError."""
    if query.after is None:
        return None
    if not query.after.isascii() or not query.after.isdigit() or len(query.after) > MOST_DIGITS:
        raise InvalidQueryError("$skiptoken is not one that we gave out.")
    return int(query.after)


def _options(parameters: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the options by their names with ``$``, which OData 4.01 lets a client leave out (part 2, section 5.1)."""
    options: dict[str, str] = {}
    for name, values in parameters.items():
        option = f"${name.lower().removeprefix('$')}"
        if option not in _KNOWN:
            raise InvalidQueryError(f"The query option {name[:64]!r} is not supported here.")
        if len(values) != 1 or option in options:
            raise InvalidQueryError(f"The query option {name[:64]} stands more than once.")
        options[option] = values[0]
    return options


def _top(text: str | None) -> int | None:
    found = _number("$top", text, LARGEST_PAGE)
    if found == 0:
        raise InvalidQueryError(f"$top must be a number from 1 to {LARGEST_PAGE}.")
    return found


def _skip(text: str | None) -> int:
    return _number("$skip", text, MOST_SKIPPED) or 0


def _number(option: str, text: str | None, most: int) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS or int(text) > most:
        raise InvalidQueryError(f"{option} must be a number, at most {most}.")
    return int(text)


def _flag(option: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise InvalidQueryError(f"{option} is true or false.")
    return text.lower() == "true"
