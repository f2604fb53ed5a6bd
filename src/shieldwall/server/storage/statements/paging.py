"""Reading one page of a listing in any order, by keyset: no row before the page is counted or skipped.

A storage function builds its ``select`` with the tenant and whatever the route fixes, without order and limit, and
hands it to ``rows`` with the page and the column that names a row::

    def list_things(connection, tenant_id, page):
        query = select(things).where(things.c.tenant_id == tenant_id)
        return tuple(map(_thing, paging.rows(connection, query, page, things.c.id)))

``rows`` adds ``page.where`` (what the caller asks for and what the caller may see), orders by ``page.order`` and then
by the name, continues after the row that ``page.after`` names, whose order values are ``page.place``, and counts where
``page.tally`` is given. All expressions of a page must speak of tables that the ``select`` already reads.

Rows without a value come first, last in a descending order, on both engines. Where the first term may be without, the
page is read in two parts, those without and the others, because an index holds each part in order but not both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, false, func, literal, or_, select, tuple_

from shieldwall.server.storage.order_terms import OrderTerm
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements.bounds import bounded


def rows(
    connection: Connection,
    query: Select[Any],
    page: Page,
    identity: ColumnElement[Any],
    parameters: Mapping[str, Any] | None = None,
) -> list[Row[Any]]:
    """Read one page of what ``query`` selects. ``identity`` names a row and is never absent.

    ``parameters`` are those that the query leaves open.
    """
    query = query.where(*page.where)
    if page.tally is not None:
        page.tally.total = count(connection, query.with_only_columns(identity), parameters)
    found: list[Row[Any]] = []
    with bounded(connection):
        for part in _parts(query, page, identity):
            found += connection.execute(part.limit(page.size - len(found)), parameters or {})
            if len(found) >= page.size:
                break
    return found


def newest_first(
    connection: Connection, query: Select[Any], page: Page, at: ColumnElement[Any], identity: ColumnElement[Any]
) -> list[Row[Any]]:
    """Read one page as ``rows`` does; where no order is asked for, what happened last comes first.

    ``at`` and ``identity`` are columns of one table, as in ``rows_by``.
    """
    term = None if page.order else OrderTerm(at, descending=True)
    return rows_by(connection, query, page, term, identity)


def rows_by(
    connection: Connection, query: Select[Any], page: Page, term: OrderTerm | None, identity: ColumnElement[Any]
) -> list[Row[Any]]:
    """Read one page in the order of a term, whose value in the row ``page.after`` is looked up there.

    Where that row is gone nothing follows. Without a term the page says by itself in which order and from where on.
    """
    if term is None:
        return rows(connection, query, page, identity)
    if page.after is None:
        return rows(connection, query, replace(page, order=(term,)), identity)
    last = connection.execute(query.with_only_columns(term.expression).where(identity == page.after)).one_or_none()
    return [] if last is None else rows(connection, query, replace(page, order=(term,), place=tuple(last)), identity)


def count(connection: Connection, query: Select[Any], parameters: Mapping[str, Any] | None = None) -> int:
    """Return how many rows a query has."""
    counted = select(func.count()).select_from(query.order_by(None).subquery())
    with bounded(connection):
        return connection.scalars(counted, parameters or {}).one()


def _parts(query: Select[Any], page: Page, identity: ColumnElement[Any]) -> Iterator[Select[Any]]:
    """Yield the parts that a page is read in, one after the other, each in order."""
    terms, place = page.order, page.place
    continued = page.after is not None
    if not terms or not terms[0].nullable or page.skip:
        yield _ordered(query, terms, page, identity, place if continued else None)
        return
    first, rest = terms[0], terms[1:]
    without = query.where(first.expression.is_(None))
    others = query.where(first.expression.is_not(None))
    present = (OrderTerm(first.expression, first.descending), *rest)
    among_without = continued and place[0] is None
    # The direction in which names are ordered is that of the last term, also where no term is left.
    lasting = rest or (OrderTerm(identity, first.descending),)
    here = (*place[1:], *(() if rest else (page.after,))) if continued else ()
    if first.descending:
        if not among_without:
            yield _ordered(others, present, page, identity, place if continued else None)
        yield _ordered(without, lasting, page, identity, here if among_without else None)
        return
    if not continued or among_without:
        yield _ordered(without, lasting, page, identity, here if continued else None)
    yield _ordered(others, present, page, identity, None if among_without or not continued else place)


def _ordered(
    query: Select[Any],
    terms: Sequence[OrderTerm],
    page: Page,
    identity: ColumnElement[Any],
    place: Sequence[Any] | None,
) -> Select[Any]:
    """Order one part and cut off what lies before the row at ``place``, where there is one."""
    every = (*terms, OrderTerm(identity, terms[-1].descending if terms else False))
    if place is not None:
        query = query.where(_after(every, (*place, page.after)))
    query = query.order_by(*map(_direction, every))
    return query.offset(page.skip) if page.skip else query


def _direction(term: OrderTerm) -> ColumnElement[Any]:
    ordered = term.expression.desc() if term.descending else term.expression.asc()
    if not term.nullable:
        return ordered
    return ordered.nulls_last() if term.descending else ordered.nulls_first()


def _after(terms: Sequence[OrderTerm], place: Sequence[Any]) -> ColumnElement[bool]:
    """Say that a row comes after the place; as one comparison of tuples where an index can answer it."""
    if not any(term.nullable for term in terms) and len({term.descending for term in terms}) == 1:
        here = tuple_(*(term.expression for term in terms))
        there = tuple_(*(_value(term, value) for term, value in zip(terms, place, strict=True)))
        return here < there if terms[0].descending else here > there
    alternatives = []
    for number, (term, value) in enumerate(zip(terms, place, strict=True)):
        alike = (_alike(*pair) for pair in zip(terms[:number], place, strict=False))
        alternatives.append(and_(*alike, _beyond(term, value)))
    return or_(*alternatives)


def _alike(term: OrderTerm, value: Any) -> ColumnElement[bool]:
    return term.expression.is_(None) if value is None else term.expression == _value(term, value)


def _beyond(term: OrderTerm, value: Any) -> ColumnElement[bool]:
    if value is None:
        return false() if term.descending else term.expression.is_not(None)
    if not term.descending:
        return term.expression > _value(term, value)
    less = term.expression < _value(term, value)
    return or_(less, term.expression.is_(None)) if term.nullable else less


def _value(term: OrderTerm, value: Any) -> ColumnElement[Any]:
    return literal(value, term.expression.type)
