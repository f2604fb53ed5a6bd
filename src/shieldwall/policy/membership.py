"""Membership rules: which devices belong to a dynamic group.

Texts compare without regard to case. A property that a device does not have equals only ``null``; a collection, such as
its tags, has what is asked for when one of its values has, and an empty one equals ``null``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from shieldwall.contract.ids import GroupId
from shieldwall.policy.rule_predicates import Predicate, Value, predicate_of
from shieldwall.policy.rule_syntax import InvalidRuleError, read
from shieldwall.policy.rule_tree import (
    MEMBER_OF,
    PROPERTIES,
    All,
    Comparison,
    Either,
    Negation,
    Node,
    Quantified,
    leaves,
    written,
)

__all__ = ["MEMBER_OF", "PROPERTIES", "Attributes", "InvalidRuleError", "MembershipRule", "Value", "parse_rule"]

Attributes: TypeAlias = Mapping[str, Value]
"""What is known of a device, by property; a property left out is ``None``."""
_Verdict: TypeAlias = Callable[[Attributes], bool]


@dataclass(frozen=True, slots=True)
class MembershipRule:
    """A rule that was read. Its text is canonical: reading it again gives an equal rule."""

    root: Node
    _verdict: _Verdict = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the tree ready to be asked often."""
        object.__setattr__(self, "_verdict", _verdict(self.root))

    def matches(self, attributes: Attributes) -> bool:
        """Say whether a device with these properties belongs."""
        return self._verdict(attributes)

    def properties(self) -> frozenset[str]:
        """Return the properties the rule asks for, so that a change of others need not be looked at."""
        return frozenset(leaf.name for leaf in leaves(self.root))

    def groups(self) -> frozenset[GroupId]:
        """Return the groups whose members the rule asks for."""
        return frozenset(
            GroupId(str(value))
            for leaf in leaves(self.root)
            if isinstance(leaf, Quantified) and leaf.name == MEMBER_OF and isinstance(leaf.condition, Comparison)
            for value in leaf.condition.values
        )

    def __str__(self) -> str:
        """Return the canonical text."""
        return written(self.root)


def parse_rule(
    text: str, *, other_names: Mapping[str, str] | None = None, without: Collection[str] = ()
) -> MembershipRule:
    """Read a membership rule.

    Args:
        text: The rule.
        other_names: Names that are understood as well, in small letters, and the properties they mean.
        without: Properties that may not be asked for here.

    Raises:
        InvalidRuleError: It cannot be read; the error says at which character.
    """
    return MembershipRule(read(text, other_names=other_names or {}, without=without))


def _verdict(node: Node) -> _Verdict:
    match node:
        case Comparison(name=name) | Quantified(name=name):
            return _asking(name, predicate_of(node))
        case Negation(part=part):
            inner = _verdict(part)
            return lambda attributes: not inner(attributes)
        case All(parts=parts):
            every = [_verdict(part) for part in parts]
            return lambda attributes: all(verdict(attributes) for verdict in every)
        case Either(parts=parts):
            some = [_verdict(part) for part in parts]
            return lambda attributes: any(verdict(attributes) for verdict in some)
        case _:
            assert_never(node)


def _asking(name: str, predicate: Predicate) -> _Verdict:
    return lambda attributes: predicate(attributes.get(name))
