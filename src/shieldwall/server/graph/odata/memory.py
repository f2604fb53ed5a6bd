"""A checked filter, and an order, decided about resources that are held as JSON: the same answers as SQL gives."""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, assert_never

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata.checked import (
    Applied,
    Both,
    Compares,
    Condition,
    Either,
    Fixed,
    HasAll,
    Inverse,
    Matches,
    OneOf,
    Operand,
    Plain,
    Ranges,
    Reading,
    Value,
)
from shieldwall.server.graph.odata.fields import Kind
from shieldwall.server.graph.odata.literals import moment_from
from shieldwall.server.graph.odata.ordering import Ordered
from shieldwall.server.storage.tables.folding import fold

Json = dict[str, Any]
_COMPARING: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "gt": operators.gt,
    "ge": operators.ge,
    "lt": operators.lt,
    "le": operators.le,
}


def holds(found: Condition, resource: Json) -> bool:
    """Tell whether a resource fits a filter."""
    return _holds(found, resource, {})


def in_order(resources: Sequence[Json], order: Sequence[Ordered]) -> list[Json]:
    """Order resources; those that are alike in it keep their order."""
    return [resource for _, resource in rows_in_order([("", resource) for resource in resources], order)]


def rows_in_order(rows: Sequence[tuple[str, Json]], order: Sequence[Ordered]) -> list[tuple[str, Json]]:
    """Order resources that stand after their names."""
    found = list(rows)
    for term in reversed(order):
        found.sort(key=partial(_sort_key, term), reverse=term.descending)
    return found


def place_of(order: Sequence[Ordered], resource: Json) -> tuple[Plain, ...]:
    """Return the values of a resource in an order, one a term."""
    return tuple(_ordered_value(each, resource) for each in order)


def _ordered_value(term: Ordered, resource: Json) -> Plain:
    value = _below(resource, term.names)
    if isinstance(value, str) and term.field.kind in {Kind.CHOICE, Kind.FLAGS}:
        return fold(value)
    return _plain(term.field.kind, value)


def _sort_key(term: Ordered, row: tuple[str, Json]) -> tuple[bool, Any]:
    value = _ordered_value(term, row[1])
    return (False, False) if value is None else (True, value)


def _holds(  # noqa: PLR0911 - one return per kind of condition
    found: Condition, resource: Json, variables: Mapping[str, Any]
) -> bool:
    match found:
        case Fixed():
            return found.holds
        case Both():
            return all(_holds(part, resource, variables) for part in found.parts)
        case Either():
            return any(_holds(part, resource, variables) for part in found.parts)
        case Inverse():
            return not _holds(found.part, resource, variables)
        case Compares():
            left, right = (_value(each, resource, variables) for each in (found.left, found.right))
            return _compares(found.operator, left, right)
        case Matches():
            return _matches(found, _value(found.operand, resource, variables))
        case OneOf():
            value, kind = _value(found.operand, resource, variables), found.operand.kind
            return any(value == _value(Value(kind, each), resource, variables) for each in found.values)
        case HasAll():
            flags = _value(found.reading, resource, variables)
            return isinstance(flags, frozenset) and {each.lower() for each in found.members} <= flags
        case Ranges():
            return _ranges(found, resource, variables)
        case _:
            assert_never(found)


def _compares(operator: str, left: Plain, right: Plain) -> bool:
    match operator:
        case "eq":
            return left == right
        case "ne":
            return left != right
        case _:
            return left is not None and right is not None and _COMPARING[operator](left, right)


def _matches(found: Matches, text: Plain) -> bool:
    if not isinstance(text, str):
        return False
    match found.how:
        case "startswith":
            return text.startswith(found.text)
        case "endswith":
            return text.endswith(found.text)
        case _:
            return found.text in text


def _ranges(found: Ranges, resource: Json, variables: Mapping[str, Any]) -> bool:
    items = _below(resource if found.origin is None else variables[found.origin], found.names)
    if not isinstance(items, list):
        items = []
    if found.condition is None or found.variable is None:
        return bool(items)
    each = (_holds(found.condition, resource, {**variables, found.variable: item}) for item in items)
    return any(each) if found.quantifier == "any" else all(each)


def _value(operand: Operand, resource: Json, variables: Mapping[str, Any]) -> Plain:
    match operand:
        case Value(kind=Kind.CHOICE, value=str(member)):
            return fold(member)
        case Value(kind=Kind.FLAGS, value=frozenset() as members):
            return frozenset(member.lower() for member in members)
        case Value():
            return operand.value
        case Applied():
            text = _value(operand.operand, resource, variables)
            if not isinstance(text, str):
                return None
            return text.strip(" ") if operand.name == "trim" else len(text)
        case Reading():
            start = resource if operand.variable is None else variables[operand.variable]
            return _plain(operand.kind, _below(start, operand.names))
        case _:
            assert_never(operand)


def _below(start: Any, names: Sequence[str]) -> Any:
    for name in names:
        start = start.get(name) if isinstance(start, dict) else None
    return start


def _plain(kind: Kind, value: Any) -> Plain:  # noqa: PLR0911 - one return per type
    """Return a JSON value as it is compared; what is not of the type counts as nothing."""
    match kind, value:
        case Kind.BOOLEAN, bool():
            return value
        case Kind.NUMBER, int() | float() if not isinstance(value, bool):
            return value if isinstance(value, int) else Decimal(str(value))
        case Kind.TEXT | Kind.CHOICE, str():
            return fold(value)
        case Kind.GUID, str():
            return value.lower()
        case Kind.FLAGS, str():
            return frozenset(each.strip().lower() for each in value.split(","))
        case Kind.MOMENT, str():
            return _moment(value)
        case _:
            return None


def _moment(text: str) -> datetime | None:
    try:
        return moment_from(text)
    except InvalidQueryError:
        return None
