"""Why a device belongs or does not: the verdict of every part of a rule, with what was found."""

from __future__ import annotations

from typing import assert_never

from msgspec import Struct

from shieldwall.policy.membership import Attributes, MembershipRule
from shieldwall.policy.rule_predicates import Value, predicate_of
from shieldwall.policy.rule_tree import All, Comparison, Either, Negation, Node, Quantified, written


class Verdict(Struct, frozen=True, kw_only=True):
    """What a part of a rule says of a device. A part that asks has ``name`` and ``found``, a joining one ``parts``."""

    text: str
    holds: bool
    name: str | None = None
    found: Value = None
    parts: tuple[Verdict, ...] = ()


def explain(rule: MembershipRule, attributes: Attributes) -> Verdict:
    """Say of every part of a rule whether it holds for a device with these properties.

    Nothing is left out because the rest decides already: whoever asks wants to see all that is wrong.
    """
    return _verdict(rule.root, attributes)


def _verdict(node: Node, attributes: Attributes) -> Verdict:
    match node:
        case Comparison(name=name) | Quantified(name=name):
            found = attributes.get(name)
            return Verdict(text=written(node), holds=predicate_of(node)(found), name=name, found=found)
        case Negation(part=part):
            inner = _verdict(part, attributes)
            return Verdict(text=written(node), holds=not inner.holds, parts=(inner,))
        case All(parts=nodes):
            parts = tuple(_verdict(each, attributes) for each in nodes)
            return Verdict(text=written(node), holds=all(each.holds for each in parts), parts=parts)
        case Either(parts=nodes):
            parts = tuple(_verdict(each, attributes) for each in nodes)
            return Verdict(text=written(node), holds=any(each.holds for each in parts), parts=parts)
        case _:
            assert_never(node)
