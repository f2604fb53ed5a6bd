"""Membership rules: which devices belong to a dynamic group.

Texts compare without regard to case. A property that a device does not have equals only ``null``; one with several
values, such as its tags, has what is asked for when one of them has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from shieldwall.policy.rule_syntax import (
    PROPERTIES,
    All,
    Comparison,
    Either,
    InvalidRuleError,
    Negation,
    Node,
    Operator,
    read,
    written,
)

__all__ = ["PROPERTIES", "Attributes", "InvalidRuleError", "MembershipRule", "parse_rule"]

Attributes: TypeAlias = "Mapping[str, str | tuple[str, ...] | None]"
"""What is known of a device, by property."""

_NEGATIVE: Final = {
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.NOT_STARTS_WITH: Operator.STARTS_WITH,
    Operator.NOT_CONTAINS: Operator.CONTAINS,
    Operator.NOT_IN: Operator.IN,
}


@dataclass(frozen=True, slots=True)
class MembershipRule:
    """A rule that was read. Its text is canonical: reading it again gives an equal rule."""

    root: Node

    def matches(self, attributes: Attributes) -> bool:
        """Say whether a device with these properties belongs; a property left out is ``None``."""
        return _matches(self.root, {name.lower(): value for name, value in attributes.items()})

    def properties(self) -> frozenset[str]:
        """Return the properties the rule asks for, so that a change of others need not be looked at."""
        return frozenset(_properties(self.root))

    def __str__(self) -> str:
        """Return the canonical text."""
        return written(self.root)


def parse_rule(text: str) -> MembershipRule:
    """Read a membership rule. Raises: InvalidRuleError."""
    return MembershipRule(read(text))


def _matches(node: Node, attributes: Attributes) -> bool:
    match node:
        case Comparison():
            return _compares(node, attributes.get(node.name.lower()))
        case Negation(part=part):
            return not _matches(part, attributes)
        case All(parts=parts):
            return all(_matches(part, attributes) for part in parts)
        case Either(parts=parts):
            return any(_matches(part, attributes) for part in parts)
        case _:
            assert_never(node)


def _compares(comparison: Comparison, value: str | tuple[str, ...] | None) -> bool:
    values = (value or (None,)) if isinstance(value, tuple) else (value,)
    positive = _NEGATIVE.get(comparison.operator, comparison.operator)
    holds = any(_holds(positive, one, comparison.texts) for one in values)
    return holds == (positive is comparison.operator)


def _holds(operator: Operator, value: str | None, texts: tuple[str | None, ...]) -> bool:
    if value is None:
        return None in texts
    folded = value.casefold()
    others = [text.casefold() for text in texts if text is not None]
    match operator:
        case Operator.STARTS_WITH:
            return any(folded.startswith(other) for other in others)
        case Operator.CONTAINS:
            return any(other in folded for other in others)
        case _:
            return folded in others


def _properties(node: Node) -> set[str]:
    match node:
        case Comparison(name=name):
            return {name}
        case Negation(part=part):
            return _properties(part)
        case All(parts=parts) | Either(parts=parts):
            return {name for part in parts for name in _properties(part)}
        case _:
            assert_never(node)
