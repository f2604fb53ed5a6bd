"""A checked filter as a condition in SQL: every value is a bound parameter, patterns are escaped.

Logic has two values here as in OData: a comparison with nothing does not hold, and its inverse does. SQL's *unknown*
counts as not holding wherever it is not inverted, and ``IS NOT TRUE`` inverts it.
"""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, assert_never

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    Text,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    true,
)

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
from shieldwall.server.graph.odata.fields import Field, Kind
from shieldwall.server.storage.statements.json_lists import values_of
from shieldwall.server.storage.tables.columns import Moment
from shieldwall.server.storage.tables.folding import Folded, fold

_ESCAPE: Final = "\\"
_MILLISECOND: Final = timedelta(milliseconds=1)
_COMPARING: Final[Mapping[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "eq": operators.eq,
    "ne": operators.ne,
    "gt": operators.gt,
    "ge": operators.ge,
    "lt": operators.lt,
    "le": operators.le,
}
_LAST: Final = 0x10FFFF
_BEFORE_SURROGATES: Final = 0xD7FF
_AFTER_SURROGATES: Final = 0xE000


def condition(found: Condition) -> ColumnElement[bool]:
    """Compile a filter. Raises: InvalidQueryError: It asks about a field that SQL does not find."""
    return _Compiler().condition(found)


def ordering(found: Field, path: str) -> ColumnElement[Any]:
    """Return what a field is ordered by. Raises: InvalidQueryError."""
    column = _column(found, path)
    match found.kind:
        case Kind.TEXT | Kind.CHOICE | Kind.FLAGS:
            if found.stored:
                column = case({value: name for name, value in found.stored.items()}, value=column, else_=column)
            return column if found.folded else Folded(column)
        case _:
            return column


@dataclass(frozen=True, slots=True)
class _Compiler:
    variables: Mapping[str, ColumnElement[Any]] = field(default_factory=dict)

    def condition(self, found: Condition) -> ColumnElement[bool]:  # noqa: PLR0911 - one return per kind
        match found:
            case Fixed():
                return true() if found.holds else false()
            case Both():
                return and_(*map(self.condition, found.parts))
            case Either():
                return or_(*map(self.condition, found.parts))
            case Inverse():
                return self.condition(found.part).is_not(true())
            case Compares():
                return self._compares(found)
            case Matches():
                return self._matches(found)
            case OneOf():
                return self._one_of(found)
            case HasAll():
                return self._has_all(found.reading, found.members)
            case Ranges():
                return self._ranges(found)
            case _:
                assert_never(found)

    def _compares(self, found: Compares) -> ColumnElement[bool]:
        left, right = self._operand(found.left), found.right
        if isinstance(right, Value) and right.value is None:
            return left.is_(null()) if found.operator == "eq" else left.is_not(null())
        if isinstance(right, Value) and isinstance(right.value, datetime):
            return _compared_moment(found.operator, left, right.value)
        if isinstance(right, Value) and isinstance(right.value, frozenset):
            same = self._same_flags(found.left, right.value)
            return same if found.operator == "eq" else same.is_not(true())
        other = self._operand(right) if not isinstance(right, Value) else _bound(right.kind, right.value, found.left)
        absent = _may_be_absent(found.left), _may_be_absent(found.right)
        match found.operator:
            case "eq" if all(absent):
                return left.is_not_distinct_from(other)
            case "ne" if any(absent):
                return left.is_distinct_from(other)
            case operator:
                return _COMPARING[operator](left, other)

    def _has_all(self, operand: Operand, members: frozenset[str]) -> ColumnElement[bool]:
        flags = literal(",", Text()) + self._operand(operand) + literal(",", Text())
        return and_(*(_contains(flags, f",{fold(member)},") for member in sorted(members)))

    def _same_flags(self, operand: Operand, members: frozenset[str]) -> ColumnElement[bool]:
        """Say that flags are these, in whatever order: all of them, and no longer than that."""
        length = len(",".join(members))
        return and_(
            self._has_all(operand, members), func.length(self._operand(operand)) == literal(length, BigInteger())
        )

    def _matches(self, found: Matches) -> ColumnElement[bool]:
        operand, text = self._operand(found.operand), found.text
        if not text:
            return operand.is_not(null())
        match found.how:
            case "startswith" if isinstance(found.operand, Reading) and found.operand.field.folded:
                return _between(operand, text)
            case "startswith":
                return operand.startswith(text, autoescape=True, escape=_ESCAPE)
            case "endswith":
                return operand.endswith(text, autoescape=True, escape=_ESCAPE)
            case _:
                return _contains(operand, text)

    def _one_of(self, found: OneOf) -> ColumnElement[bool]:
        operand = self._operand(found.operand)
        if found.operand.kind in {Kind.MOMENT, Kind.FLAGS}:
            each = (Compares("eq", found.operand, Value(found.operand.kind, value)) for value in found.values)
            return or_(*map(self._compares, each))
        bound = [_bound(found.operand.kind, value, found.operand) for value in found.values if value is not None]
        chosen = operand.in_(bound) if bound else false()
        return or_(chosen, operand.is_(null())) if None in found.values else chosen

    def _ranges(self, found: Ranges) -> ColumnElement[bool]:
        many, element = found.many, found.many.element
        if many.single and found.origin is None:
            return true() if found.condition is None else self.condition(found.condition)
        if found.origin is not None or not isinstance(element, Field) or (many.column is None and not many.items):
            raise _not_here("/".join(found.names))
        if many.items:
            cases = [and_(there, self._about(found, literal(fold(value), Text()))) for value, there in many.items]
            return _quantified(found, or_(*cases))
        assert many.column is not None, "checked above"
        values = values_of(many.column)
        return _quantified(found, exists().select_from(values).where(self._about(found, Folded(values.c.value))))

    def _about(self, found: Ranges, value: ColumnElement[Any]) -> ColumnElement[bool]:
        """Say that one item is what is looked for: one that fits, or one that does not where all have to."""
        if found.condition is None or found.variable is None:
            return true()
        fits = _Compiler({**self.variables, found.variable: value}).condition(found.condition)
        return fits if found.quantifier == "any" else fits.is_not(true())

    def _operand(self, operand: Operand) -> ColumnElement[Any]:
        match operand:
            case Value():
                return _bound(operand.kind, operand.value, operand)
            case Applied():
                inner = self._operand(operand.operand)
                return func.trim(inner, type_=Text()) if operand.name == "trim" else func.length(inner)
            case Reading(variable=str(variable)) if variable in self.variables:
                return self.variables[variable]
            case Reading():
                column = _column(operand.field, "/".join(operand.names))
                is_folded = operand.field.folded or operand.kind not in {Kind.TEXT, Kind.FLAGS}
                return column if is_folded else Folded(column)
            case _:
                assert_never(operand)


def _quantified(found: Ranges, one: ColumnElement[bool]) -> ColumnElement[bool]:
    """Say that there is one of what was looked for; where all have to fit, that there is none that does not."""
    return one if found.quantifier == "any" else one.is_not(true())


def _column(found: Field, path: str) -> ColumnElement[Any]:
    if found.column is None:
        raise _not_here(path)
    return found.column


def _not_here(path: str) -> InvalidQueryError:
    return InvalidQueryError(f"{path} can be selected here, and neither filtered nor ordered by.")


def _bound(kind: Kind, value: Plain, beside: Operand) -> ColumnElement[Any]:
    """Bind a value as the type it is compared as."""
    match value:
        case bool():
            return true() if value else false()
        case int():
            return literal(value, BigInteger())
        case Decimal():
            return literal(float(value), Float())
        case str() if kind is Kind.CHOICE and isinstance(beside, Reading):
            return literal(beside.field.stored.get(value, value))
        case _:
            return literal(value, Text())


def _compared_moment(operator: str, column: ColumnElement[Any], value: datetime) -> ColumnElement[bool]:
    """Compare with a moment that may lie between two of the milliseconds that moments are kept as."""
    below = value - timedelta(microseconds=value.microsecond % 1000)
    exact = below == value
    match operator:
        case "eq":
            return column == _moment(below) if exact else false()
        case "ne":
            return column.is_distinct_from(_moment(below)) if exact else true()
        case "gt" | "le":
            return _COMPARING[operator](column, _moment(below))
        case _:
            return (
                _COMPARING[operator](column, _moment(below))
                if exact
                else _COMPARING[_NEXT[operator]](column, _moment(below))
            )


_NEXT: Final = {"lt": "le", "ge": "gt"}
"""Before what lies after a millisecond is at that millisecond or before."""


def _moment(value: datetime) -> ColumnElement[Any]:
    return literal(value, Moment())


def _between(column: ColumnElement[Any], prefix: str) -> ColumnElement[bool]:
    """Say that a folded text starts with another, as a range that an index answers."""
    shorter = prefix.rstrip(chr(_LAST))
    if not shorter:
        return column >= literal(prefix, Text())
    last = ord(shorter[-1])
    following = _AFTER_SURROGATES if last == _BEFORE_SURROGATES else last + 1
    return and_(column >= literal(prefix, Text()), column < literal(shorter[:-1] + chr(following), Text()))


def _contains(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    return column.contains(text, autoescape=True, escape=_ESCAPE)


def _may_be_absent(operand: Operand) -> bool:
    match operand:
        case Reading():
            return operand.field.nullable
        case Applied():
            return _may_be_absent(operand.operand)
        case Value():
            return operand.value is None
