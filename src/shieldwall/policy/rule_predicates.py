"""What a rule asks of one property, as a function of its value alone.

Every way to evaluate a rule (on one device, by the index, in columns) asks these same functions; the ways differ in how
seldom they ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, assert_never

from shieldwall.policy.rule_patterns import finder
from shieldwall.policy.rule_tree import (
    POSITIVE,
    All,
    Comparison,
    Either,
    Leaf,
    Negation,
    Node,
    Operator,
    Quantified,
    Quantifier,
)

Value: TypeAlias = "str | bool | tuple[str, ...] | None"
"""What a device has in one property: a text, a flag, a collection, or nothing."""
Predicate: TypeAlias = Callable[[Value], bool]
_OfText: TypeAlias = Callable[[str], bool]


def predicate_of(leaf: Leaf) -> Predicate:
    """Return what decides a comparison or a quantified condition."""
    match leaf:
        case Comparison():
            return _comparison(leaf)
        case Quantified(quantifier=quantifier, condition=condition):
            holds = _condition(condition)
            if quantifier is Quantifier.ANY:
                return lambda value: any(map(holds, value)) if isinstance(value, tuple) else False
            return lambda value: all(map(holds, value)) if isinstance(value, tuple) else True
        case _:
            assert_never(leaf)


def _comparison(comparison: Comparison) -> Predicate:
    positive = POSITIVE.get(comparison.operator)
    if positive is not None:
        denied = _comparison(Comparison(comparison.name, positive, comparison.values))
        return lambda value: not denied(value)
    [first, *_] = comparison.values
    if first is None:
        return lambda value: value is None or value == ()
    if isinstance(first, bool):
        return lambda value: value is first
    holds = _of_text(comparison)

    def one_has_it(value: Value) -> bool:
        if isinstance(value, tuple):
            return any(map(holds, value))
        return isinstance(value, str) and holds(value)

    return one_has_it


def _condition(node: Node) -> _OfText:
    """Return what decides the condition of ``-any`` or ``-all`` for one value."""
    match node:
        case Comparison():
            return _comparison(node)
        case Negation(part=part):
            inner = _condition(part)
            return lambda text: not inner(text)
        case All(parts=parts):
            every = [_condition(part) for part in parts]
            return lambda text: all(holds(text) for holds in every)
        case Either(parts=parts):
            some = [_condition(part) for part in parts]
            return lambda text: any(holds(text) for holds in some)
        case Quantified():
            raise AssertionError("conditions do not nest")
        case _:
            assert_never(node)


def _of_text(comparison: Comparison) -> _OfText:
    wanted = tuple(value for value in comparison.values if isinstance(value, str))
    folded = tuple(text.casefold() for text in wanted)
    match comparison.operator:
        case Operator.STARTS_WITH:
            return lambda text: text.casefold().startswith(folded)
        case Operator.ENDS_WITH:
            return lambda text: text.casefold().endswith(folded)
        case Operator.CONTAINS:
            [part] = folded
            return lambda text: part in text.casefold()
        case Operator.MATCH:
            return finder(wanted[0])
        case _:
            equal = frozenset(folded)
            return lambda text: text.casefold() in equal
