"""Many rules on one device: which of a thousand rules name it, in microseconds.

Every term of every rule is a bit. For each property, the device's value rules out the terms it fails; what no property
rules out holds. What a value rules out is found once and kept: devices share most of their values.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final, Generic, TypeAlias, TypeVar

from msgspec import Struct, field

from shieldwall.policy.device_sets import places
from shieldwall.policy.membership import Attributes, MembershipRule
from shieldwall.policy.rule_predicates import Predicate, Value, predicate_of
from shieldwall.policy.rule_terms import Literal, Term, terms_of
from shieldwall.policy.rule_tree import Comparison, Operator

Name = TypeVar("Name", bound=str)
_TermSet: TypeAlias = int
_MOST_KEPT: Final = 4_096
"""Values, and outcomes, that are remembered; beyond it memory starts anew."""
_LOOKED_UP: Final = frozenset({Operator.EQUAL, Operator.IN, Operator.STARTS_WITH})


class RuleIndex(Generic[Name]):
    """Rules by name, made ready to be asked about one device after the other."""

    def __init__(self, rules: Mapping[Name, MembershipRule]) -> None:
        self._asked: dict[str, _Asked] = {}
        self._owners: list[Name] = []
        self._long: list[tuple[Name, MembershipRule]] = []
        self._outcomes: dict[_TermSet, frozenset[Name]] = {}
        for name, rule in rules.items():
            terms = terms_of(rule.root)
            if terms is None:
                self._long.append((name, rule))
                continue
            for term in terms:
                self._take(term)
                self._owners.append(name)
        self._everything: Final = (1 << len(self._owners)) - 1

    def matching(self, attributes: Attributes) -> frozenset[Name]:
        """Return the rules that name a device with these properties."""
        ruled_out = 0
        for name, asked in self._asked.items():
            value = attributes.get(name)
            failing = asked.known.get(value)
            ruled_out |= asked.failing(value) if failing is None else failing
        left = self._everything & ~ruled_out
        found = self._outcomes.get(left)
        if found is None:
            if len(self._outcomes) >= _MOST_KEPT:
                self._outcomes.clear()
            found = self._outcomes[left] = frozenset(map(self._owners.__getitem__, places(left)))
        if self._long:
            found |= {name for name, rule in self._long if rule.matches(attributes)}
        return found

    def _take(self, term: Term) -> None:
        bit = 1 << len(self._owners)
        by_property: defaultdict[str, set[Literal]] = defaultdict(set)
        for literal in term:
            by_property[literal.leaf.name].add(literal)
        for name, literals in by_property.items():
            self._asked.setdefault(name, _Asked()).add(frozenset(literals), bit)


class _Lookup(Struct):
    """Terms by the texts, and by the beginnings of texts, that they ask for."""

    _equal: dict[str, _TermSet] = field(default_factory=dict)
    _starting: dict[str, _TermSet] = field(default_factory=dict)
    _lengths: set[int] = field(default_factory=set)

    def add(self, comparison: Comparison, bit: _TermSet) -> None:
        """Take a comparison with texts alone."""
        starting = comparison.operator is Operator.STARTS_WITH
        into = self._starting if starting else self._equal
        for value in comparison.values:
            text = str(value).casefold()
            into[text] = into.get(text, 0) | bit
            if starting:
                self._lengths.add(len(text))

    def meeting(self, value: Value) -> _TermSet:
        """Return the terms whose comparison holds for a value."""
        found = 0
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                folded = text.casefold()
                found |= self._equal.get(folded, 0)
                for length in self._lengths:
                    found |= self._starting.get(folded[:length], 0)
        return found


class _Asked(Struct):
    """Everything that terms ask of one property: what can be looked up is, the rest is asked in turn."""

    known: dict[Value, _TermSet] = field(default_factory=dict)
    _requiring: _TermSet = 0
    _required: _Lookup = field(default_factory=_Lookup)
    _refused: _Lookup = field(default_factory=_Lookup)
    _others: dict[frozenset[Literal], _TermSet] = field(default_factory=dict)
    _predicates: list[tuple[tuple[tuple[Predicate, bool], ...], _TermSet]] | None = None

    def add(self, literals: frozenset[Literal], bit: _TermSet) -> None:
        """Take what one term asks of this property."""
        comparison = _to_look_up(literals)
        if comparison is None:
            self._others[literals] = self._others.get(literals, 0) | bit
        elif next(iter(literals)).holds:
            self._requiring |= bit
            self._required.add(comparison, bit)
        else:
            self._refused.add(comparison, bit)

    def failing(self, value: Value) -> _TermSet:
        """Find and keep the terms that a device with this value fails."""
        if self._predicates is None:
            self._predicates = [
                (tuple((predicate_of(each.leaf), each.holds) for each in literals), terms)
                for literals, terms in self._others.items()
            ]
        found = (self._requiring & ~self._required.meeting(value)) | self._refused.meeting(value)
        for predicates, terms in self._predicates:
            if any(predicate(value) is not holds for predicate, holds in predicates):
                found |= terms
        if len(self.known) >= _MOST_KEPT:
            self.known.clear()
        self.known[value] = found
        return found


def _to_look_up(literals: frozenset[Literal]) -> Comparison | None:
    """Return the comparison of a text with texts, where nothing else is asked of a property."""
    if len(literals) != 1:
        return None
    [literal] = literals
    match literal.leaf:
        case Comparison(operator=operator, values=values) as comparison if operator in _LOOKED_UP:
            return comparison if all(isinstance(value, str) for value in values) else None
        case _:
            return None
