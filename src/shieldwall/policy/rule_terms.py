"""Rules as terms: a rule holds when, in one of its terms, every part holds; a part asks for one property.

Negations are pushed down to what asks. The form may be exponentially longer than the rule, so it is bounded; a rule
beyond the bound stays what it is.
"""

from __future__ import annotations

import itertools
from typing import Final, TypeAlias, assert_never

from msgspec import Struct

from shieldwall.policy.rule_tree import POSITIVE, All, Comparison, Either, Leaf, Negation, Node, Quantified

MOST_TERMS: Final = 64


class Literal(Struct, frozen=True):
    """Something that is asked for one property, and whether it is to hold or not to."""

    leaf: Leaf
    holds: bool


Term: TypeAlias = frozenset[Literal]


def terms_of(node: Node, *, most: int = MOST_TERMS) -> tuple[Term, ...] | None:
    """Return the terms of a rule, none that cannot hold, or ``None`` when there are more than ``most``."""
    return _terms(node, holds=True, most=most)


def _terms(node: Node, *, holds: bool, most: int) -> tuple[Term, ...] | None:
    match node:
        case Comparison() | Quantified():
            return (frozenset({_literal(node, holds=holds)}),)
        case Negation(part=part):
            return _terms(part, holds=not holds, most=most)
        case All(parts=parts):
            together = holds
        case Either(parts=parts):
            together = not holds
        case _:
            assert_never(node)
    found: tuple[Term, ...] = (frozenset(),) if together else ()
    for part in parts:
        more = _terms(part, holds=holds, most=most)
        if more is None:
            return None
        joined = (one | other for one, other in itertools.product(found, more)) if together else (*found, *more)
        found = tuple(dict.fromkeys(term for term in joined if _can_hold(term)))
        if len(found) > most:
            return None
    return found


def _literal(leaf: Leaf, *, holds: bool) -> Literal:
    """Write ``-ne`` as ``-eq`` that is not to hold, and so on: what asks for the same is the same."""
    if isinstance(leaf, Comparison) and leaf.operator in POSITIVE:
        return Literal(Comparison(leaf.name, POSITIVE[leaf.operator], leaf.values), not holds)
    return Literal(leaf, holds)


def _can_hold(term: Term) -> bool:
    return not any(Literal(each.leaf, not each.holds) in term for each in term)
