"""Reading membership rules: the published language of dynamic device groups.

The grammar, from what binds loosest to what binds tightest::

    rule       = both { "-or" both }
    both       = negation { "-and" negation }
    negation   = "-not" negation | "(" rule ")" | comparison
    comparison = "device." property operator value
               | "device." collection ( "-any" | "-all" ) condition
    condition  = "(" rule ")" | rule        about "_", or about group.objectId for memberOf
    value      = text | "true" | "false" | "null" | "[" text { "," text } "]"

``-any`` and ``-all`` bind loosest of all: a condition without parentheses reaches as far as it can. Operators are read
with or without their dash, words without regard to case; texts stand in double or single quotes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from shieldwall.policy.rule_patterns import InvalidPatternError, finder
from shieldwall.policy.rule_tokens import InvalidRuleError, Token, tokens
from shieldwall.policy.rule_tree import (
    ELEMENT,
    EQUALITIES,
    GROUP_ID,
    KINDS,
    LISTS,
    MEMBER_OF,
    PATTERNS,
    All,
    Comparison,
    Either,
    Kind,
    Negation,
    Node,
    Operator,
    Quantified,
    Quantifier,
    Wanted,
    written,
)

__all__ = ["MAX_DEPTH", "MAX_GROUPS", "MAX_LENGTH", "InvalidRuleError", "read"]

MAX_LENGTH: Final = 3_072
"""Longest rule, as the directory bounds it."""
MAX_DEPTH: Final = 32
"""Deepest nesting of parentheses and negations."""
MAX_GROUPS: Final = 50
"""Most groups that ``memberOf`` names, as the directory bounds it."""

_OPERATORS: Final = {operator[1:].lower(): operator for operator in Operator}
_QUANTIFIERS: Final = {quantifier[1:].lower(): quantifier for quantifier in Quantifier}
_CONSTANTS: Final[Mapping[str, Wanted]] = MappingProxyType({"null": None, "true": True, "false": False})
_OTHER_NAMES: Final[Mapping[str, str]] = MappingProxyType({"tags": "deviceTag"})
_NO_OTHERS: Final[Mapping[str, str]] = MappingProxyType({})
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)


def read(text: str, *, other_names: Mapping[str, str] = _NO_OTHERS, without: Collection[str] = ()) -> Node:
    """Read a rule.

    Args:
        text: The rule.
        other_names: Names that are understood as well, in small letters, and the properties they mean.
        without: Properties that may not be asked for here.

    Raises:
        InvalidRuleError: It cannot be read; the error says at which character.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidRuleError(f"The rule is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    names = {**{name.lower(): name for name in KINDS if name not in without}, **_OTHER_NAMES, **other_names}
    root = _Reader(text, names).rule()
    if len(written(root)) > MAX_LENGTH:  # what we write we must be able to read
        raise InvalidRuleError(f"The rule, spelled out, is longer than {MAX_LENGTH} characters", 0)
    return root


class _Reader:
    """Recursive descent, bounded by ``MAX_DEPTH``. ``element`` is what a condition is about, absent outside of one."""

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self._tokens = tokens(text)
        self._names = names
        self._next = 0

    def rule(self) -> Node:
        root = self._either(0, None)
        if (token := self._peek()).kind != "end":
            raise InvalidRuleError(f"Expected -and, -or or the end, found {token.shown!r}", token.position)
        return root

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self, kind: str, wanted: str) -> Token:
        token = self._peek()
        if token.kind != kind:
            raise InvalidRuleError(f"Expected {wanted}, found {token.shown!r}", token.position)
        self._next += 1
        return token

    def _close(self, mark: str, wanted: str) -> None:
        if not self._took("mark", mark):
            raise InvalidRuleError(f"Expected {wanted}, found {self._peek().shown!r}", self._peek().position)

    def _took(self, kind: str, text: str) -> bool:
        found = self._peek().kind == kind and self._peek().word == text
        self._next += found
        return found

    def _joined(self, word: str) -> bool:
        return self._took("operator", word) or self._took("word", word)

    def _either(self, depth: int, element: str | None) -> Node:
        parts = [self._both(depth, element)]
        while self._joined("or"):
            parts.append(self._both(depth, element))
        return Either(_spread(Either, parts)) if len(parts) > 1 else parts[0]

    def _both(self, depth: int, element: str | None) -> Node:
        parts = [self._negation(depth, element)]
        while self._joined("and"):
            parts.append(self._negation(depth, element))
        return All(_spread(All, parts)) if len(parts) > 1 else parts[0]

    def _negation(self, depth: int, element: str | None) -> Node:
        if depth > MAX_DEPTH:
            raise InvalidRuleError(f"The rule nests deeper than {MAX_DEPTH} levels", self._peek().position)
        if self._joined("not"):
            return Negation(self._negation(depth + 1, element))
        if self._took("mark", "("):
            return self._inside(depth, element)
        return self._of_device(depth) if element is None else self._of_element(element)

    def _inside(self, depth: int, element: str | None) -> Node:
        inside = self._either(depth + 1, element)
        self._close(")", "a closing parenthesis")
        return inside

    def _of_device(self, depth: int) -> Node:
        name = self._property()
        token, word = self._operator()
        kind = KINDS[name]
        if word in _QUANTIFIERS and kind in {Kind.COLLECTION, Kind.GROUPS}:
            if kind is Kind.GROUPS:
                return self._member_of(_QUANTIFIERS[word], token)
            condition = self._inside(depth, ELEMENT) if self._took("mark", "(") else self._either(depth + 1, ELEMENT)
            return Quantified(name, _QUANTIFIERS[word], condition)
        operator = _OPERATORS.get(word)
        if operator is None or kind is Kind.GROUPS or (kind is Kind.FLAG and operator not in EQUALITIES):
            raise InvalidRuleError(f"{name} is {kind.value} and cannot be asked with {token.shown!r}", token.position)
        return Comparison(name, operator, self._values(operator, kind))

    def _of_element(self, element: str) -> Node:
        token = self._peek()
        if token.word.startswith("device."):
            cause = "The condition of -any or -all goes on here; put it in parentheses to ask for the device again"
            raise InvalidRuleError(cause, token.position)
        if not self._took("word", element.lower()):
            raise InvalidRuleError(f"Expected {element}, found {token.shown!r}", token.position)
        token, word = self._operator()
        if word not in _OPERATORS:
            raise InvalidRuleError(f"{element} is a text and cannot be asked with {token.shown!r}", token.position)
        return Comparison(element, _OPERATORS[word], self._values(_OPERATORS[word], Kind.TEXT))

    def _member_of(self, quantifier: Quantifier, token: Token) -> Node:
        """Read which groups are named; the one form there is, for a group cannot be asked for by what it is not."""
        if quantifier is not Quantifier.ANY:
            raise InvalidRuleError(f"{MEMBER_OF} is asked with -any alone", token.position)
        opened = self._took("mark", "(")
        position = self._peek().position
        named = self._of_element(GROUP_ID)
        assert isinstance(named, Comparison)
        if named.operator not in {Operator.EQUAL, Operator.IN} or None in named.values:
            raise InvalidRuleError(f"{GROUP_ID} is asked with -in or -eq and ids of groups alone", position)
        if opened:
            self._close(")", "a closing parenthesis")
        ids = tuple(dict.fromkeys(str(value).lower() for value in named.values))
        if len(ids) > MAX_GROUPS or not all(map(_GUID.match, ids)):
            raise InvalidRuleError(f"{MEMBER_OF} names 1 to {MAX_GROUPS} groups by their ids", position)
        return Quantified(MEMBER_OF, quantifier, Comparison(GROUP_ID, Operator.IN, ids))

    def _property(self) -> str:
        word = self._take("word", "a property such as device.deviceOSType")
        prefix, _, name = word.text.partition(".")
        if word.word in {ELEMENT, GROUP_ID.lower()}:
            cause = f"{word.text} stands in the condition of -any or -all alone"
            raise InvalidRuleError(cause, word.position)
        if prefix.lower() != "device" or name.lower() not in self._names:
            known = ", device.".join(sorted(set(self._names.values()), key=str.lower))
            raise InvalidRuleError(f"{word.text!r} is not one of device.{known}", word.position)
        return self._names[name.lower()]

    def _operator(self) -> tuple[Token, str]:
        token = self._peek()
        if token.kind not in {"operator", "word"}:
            raise InvalidRuleError(f"Expected an operator such as -eq, found {token.shown!r}", token.position)
        if token.word not in _OPERATORS and token.word not in _QUANTIFIERS:
            known = ", ".join((*Operator, *Quantifier))
            raise InvalidRuleError(f"{token.shown!r} is not one of {known}", token.position)
        self._next += 1
        return token, token.word

    def _values(self, operator: Operator, kind: Kind) -> tuple[Wanted, ...]:
        if kind is Kind.FLAG:
            return (self._flag(),)
        if operator in EQUALITIES and (self._took("word", "null") or self._took("word", "$null")):
            return (None,)
        if operator not in LISTS or not self._took("mark", "["):
            return (self._text(operator),)
        texts: list[Wanted] = [self._text(operator)]
        while self._took("mark", ","):
            texts.append(self._text(operator))
        self._close("]", "a comma or a closing bracket")
        return tuple(texts)

    def _flag(self) -> Wanted:
        """Read what a flag is compared with; its quotes are optional, as published."""
        token = self._peek()
        word = token.text.lower().removeprefix("$" if token.kind == "word" else "")
        if token.kind not in {"word", "text"} or word not in _CONSTANTS or (token.kind == "text" and word == "null"):
            raise InvalidRuleError(f"Expected true, false or null, found {token.shown!r}", token.position)
        self._next += 1
        return _CONSTANTS[word]

    def _text(self, operator: Operator) -> str:
        token = self._take("text", "a text in quotes")
        if operator in PATTERNS:
            try:
                finder(token.text)
            except InvalidPatternError as error:
                raise InvalidRuleError(f"{token.shown} is not a pattern: {error}", token.position) from None
        return token.text


def _spread(kind: type[All | Either], parts: list[Node]) -> tuple[Node, ...]:
    """Take parts of the same kind apart: joining is associative, and one meaning has one shape."""
    return tuple(inner for part in parts for inner in (part.parts if isinstance(part, kind) else (part,)))
