"""Giving the names of a filter their fields and its literals their types, or saying where that cannot be done.

What costs is bounded here as well: how many conditions a filter has, how many values a list, how deep collections lie
within each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

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
from shieldwall.server.graph.odata.coercion import coerced, members_of
from shieldwall.server.graph.odata.fields import Complex, Field, FieldMap, Kind, Many, Property
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

MOST_TERMS: Final = 100
"""Conditions of one filter."""
MOST_LISTED: Final = 250
"""Values of one ``in``."""
_MOST_WITHIN: Final = 2
"""Collections within each other."""
_MATCHING: Final = frozenset({"startswith", "endswith", "contains"})
_CHANGING: Final = {"tolower": Kind.TEXT, "toupper": Kind.TEXT, "trim": Kind.TEXT, "length": Kind.NUMBER}
_TEXTS: Final = frozenset({Kind.TEXT, Kind.GUID})
_ORDERED: Final = frozenset({Kind.TEXT, Kind.NUMBER, Kind.MOMENT})
_MIRRORED: Final = {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}


def checked(node: Node, fields: FieldMap) -> Condition:
    """Check a filter.

    Raises:
        InvalidQueryError: A property is not known or of another type, a function is not known, or it is too large.
    """
    return _Check(fields).condition(node)


@dataclass(slots=True)
class _Count:
    terms: int = 0


@dataclass(frozen=True, slots=True)
class _Check:
    fields: FieldMap
    variables: Mapping[str, Field | FieldMap] = field(default_factory=dict)
    count: _Count = field(default_factory=_Count)

    def condition(self, node: Node) -> Condition:
        match node:
            case Every():
                return Both(tuple(map(self.condition, node.parts)))
            case Some():
                return Either(tuple(map(self.condition, node.parts)))
            case Not():
                return Inverse(self.condition(node.part))
            case _:
                return self._term(node)

    def _term(self, node: Node) -> Condition:
        self.count.terms += 1
        if self.count.terms > MOST_TERMS:
            raise _refused(node, f"there are more than {MOST_TERMS} conditions")
        match node:
            case Comparison():
                return self._comparison(node)
            case Among():
                return self._among(node)
            case Quantified():
                return self._quantified(node)
            case Call():
                return self._matching(node)
            case Path():
                return self._true(node)
            case Literal(kind=LiteralKind.BOOLEAN):
                return Fixed(node.value is True)
            case _:
                raise _refused(node, "a literal is no condition")

    def _true(self, node: Path) -> Condition:
        reading = self._reading(node)
        if reading.kind is not Kind.BOOLEAN:
            raise _refused(node, f"{reading.field.name} is neither true nor false, so it is no condition")
        return Compares("eq", reading, Value(Kind.BOOLEAN, True))

    def _comparison(self, node: Comparison) -> Condition:
        left, right, operator = node.left, node.right, node.operator
        if isinstance(left, Literal) and not isinstance(right, Literal) and operator != "has":
            left, right, operator = right, left, _MIRRORED.get(operator, operator)
        if _is_condition(left):
            return self._truth(node, left, operator, right)
        if operator == "has":
            return self._has(node, left, right)
        operand = self._operand(left)
        if not isinstance(right, Literal):
            return self._between(node, operator, operand, self._operand(right))
        value = coerced(right, operand.kind, _field_of(operand))
        if operator not in {"eq", "ne"}:
            _require_order(node, operand.kind, value)
        return Compares(operator, operand, Value(operand.kind, value))

    def _between(self, node: Comparison, operator: str, left: Operand, right: Operand) -> Condition:
        both = {left.kind, right.kind}
        if both & {Kind.CHOICE, Kind.FLAGS} or (len(both) > 1 and not both <= _TEXTS):
            raise _refused(node, "the two operands cannot be compared with each other")
        if operator not in {"eq", "ne"}:
            _require_order(node, left.kind, "")
        return Compares(operator, left, right)

    def _truth(self, node: Comparison, left: Node, operator: str, right: Node) -> Condition:
        """Read ``startswith(…) eq true``, as some programs write it."""
        if not isinstance(right, Literal) or right.kind is not LiteralKind.BOOLEAN or operator not in {"eq", "ne"}:
            raise _refused(node, "a condition can only be compared with true or false, by eq or ne")
        found = self.condition(left)
        return found if (right.value is True) == (operator == "eq") else Inverse(found)

    def _has(self, node: Comparison, left: Node, right: Node) -> Condition:
        reading = self._operand(left)
        if not isinstance(reading, Reading) or reading.kind is not Kind.FLAGS:
            raise _refused(node, "has is for flags")
        if not isinstance(right, Literal) or right.kind not in {LiteralKind.TEXT, LiteralKind.MEMBER}:
            raise _refused(node, "has takes the names of flags as a text")
        return HasAll(reading, members_of(right, reading.field))

    def _among(self, node: Among) -> Condition:
        if len(node.literals) > MOST_LISTED:
            raise _refused(node, f"in takes at most {MOST_LISTED} values")
        operand = self._operand(node.operand)
        values = dict.fromkeys(coerced(each, operand.kind, _field_of(operand)) for each in node.literals)
        return OneOf(operand, tuple(values))

    def _matching(self, node: Call) -> Condition:
        if node.name not in _MATCHING:
            known = "gives no condition" if node.name in _CHANGING else "is not known here"
            raise _refused(node, f"the function {node.name[:40]!r} {known}")
        if len(node.operands) != 2:
            raise _refused(node, f"{node.name} takes two operands")
        operand, text = map(self._operand, node.operands)
        if operand.kind not in _TEXTS or isinstance(operand, Value):
            raise _refused(node, f"{node.name} looks at a property that is a text")
        if not isinstance(text, Value) or not isinstance(text.value, str):
            raise _refused(node, f"{node.name} takes a literal text as its second operand")
        return Matches(node.name, operand, text.value)

    def _quantified(self, node: Quantified) -> Condition:
        origin, names, found = self._resolved(node.collection)
        if not isinstance(found, Many):
            raise _refused(node.collection, f"{node.collection.names[-1]} is no collection")
        if len(self.variables) >= _MOST_WITHIN:
            raise _refused(node, f"{node.quantifier} stands more than {_MOST_WITHIN} deep within others")
        condition = None
        if node.condition is not None and node.variable is not None:
            if node.variable in self.variables:
                raise _refused(node, f"{node.variable} is a name of two things")
            inner = replace(self, variables={**self.variables, node.variable: found.element})
            condition = inner.condition(node.condition)
        elif node.quantifier == "all":
            raise _refused(node, "all takes a condition")
        return Ranges(node.quantifier, found, names, origin, node.variable, condition)

    def _operand(self, node: Node) -> Operand:
        match node:
            case Path():
                return self._reading(node)
            case Call() if node.name in _CHANGING:
                return self._changed(node)
            case Literal(kind=LiteralKind.TEXT | LiteralKind.GUID):
                return Value(Kind.TEXT, coerced(node, Kind.TEXT, None))
            case Call():
                raise _refused(node, f"the function {node.name[:40]!r} is not known here")
            case Literal():
                raise _refused(node, "a property has to stand here, or a text")
            case _:
                raise _refused(node, "a condition cannot stand here")

    def _changed(self, node: Call) -> Operand:
        if len(node.operands) != 1:
            raise _refused(node, f"{node.name} takes one operand")
        operand = self._operand(node.operands[0])
        if operand.kind not in _TEXTS:
            raise _refused(node, f"{node.name} takes a text")
        if node.name in {"tolower", "toupper"}:
            return operand
        if isinstance(operand, Value):
            text = str(operand.value)
            return Value(Kind.TEXT, text.strip(" ")) if node.name == "trim" else Value(Kind.NUMBER, len(text))
        return Applied(node.name, operand, _CHANGING[node.name])

    def _reading(self, node: Path) -> Reading:
        variable, names, found = self._resolved(node)
        match found:
            case Field():
                return Reading(found, names, variable)
            case Many():
                raise _refused(node, f"{found.name} is a collection: ask {found.name}/any(x:x eq …)")
            case _:
                raise _refused(node, f"{'/'.join(node.names)[:80]} cannot be asked about")

    def _resolved(self, node: Path) -> tuple[str | None, tuple[str, ...], Property | FieldMap]:
        """Return the variable a path starts from, the names as resources have them, and what is there."""
        first, *rest = node.names
        names: tuple[str, ...] = ()
        variable: str | None = None
        found: Property | FieldMap = self.fields
        if first in self.variables:
            variable, found = first, self.variables[first]
        else:
            rest = [first, *rest]
        for name in rest:
            inner = found.fields if isinstance(found, Complex) else found
            within = inner.find(name) if isinstance(inner, FieldMap) else None
            if within is None:
                raise _refused(node, f"there is no property {'/'.join(node.names)[:80]!r}")
            found, names = within, (*names, within.name)
        return variable, names, found


def _is_condition(node: Node) -> bool:
    match node:
        case Call():
            return node.name in _MATCHING
        case Literal() | Path():
            return False
        case _:
            return True


def _field_of(operand: Operand) -> Field | None:
    return operand.field if isinstance(operand, Reading) else None


def _require_order(node: Comparison, kind: Kind, value: Plain) -> None:
    if value is None:
        raise _refused(node, f"nothing can be compared with null by {node.operator}")
    if kind not in _ORDERED:
        raise _refused(node, f"{node.operator} cannot compare what is {kind.value}")


def _refused(node: Node, cause: str) -> InvalidQueryError:
    return InvalidQueryError(f"$filter: {cause} (position {node.at + 1}).")
