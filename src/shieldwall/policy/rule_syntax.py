"""The text of membership rules: reading it into a tree and writing a tree as text.

The grammar is that of dynamic device groups in the directory, cut to devices::

    rule       = either
    either     = both { "-or" both }
    both       = negation { "-and" negation }
    negation   = "-not" negation | "(" rule ")" | comparison
    comparison = "device." property operator value
    value      = text | "null" | "[" text { "," text } "]"
    text       = '"' { any but '"' and '`' | '`' any } '"'

Properties and operators are read without regard to case and written in one spelling.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias, assert_never

from shieldwall.contract.errors import ShieldwallError

MAX_LENGTH: Final = 3_072
"""Longest rule, as the directory bounds it."""
MAX_DEPTH: Final = 32
"""Deepest nesting of parentheses and negations."""
PROPERTIES: Final = (
    "deviceCategory",
    "deviceId",
    "deviceManufacturer",
    "deviceModel",
    "deviceOSType",
    "deviceOSVersion",
    "deviceOwnership",
    "deviceTag",
    "deviceTrustType",
    "displayName",
    "managementType",
)
"""What a rule may ask for."""

_SPELLING: Final = {name.lower(): name for name in PROPERTIES}
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"`]|`.)*")|(?P<operator>-[A-Za-z]+)|(?P<word>[A-Za-z][A-Za-z0-9.]*)|(?P<mark>[()\[\],]))""",
    re.DOTALL,
)


class InvalidRuleError(ShieldwallError):
    """A membership rule cannot be read; ``position`` counts characters from 0."""

    code: ClassVar[str] = "invalidMembershipRule"
    remedy: ClassVar[str] = 'Write a rule such as (device.deviceOSType -eq "Linux") -and (device.deviceTag -eq "web").'

    def __init__(self, cause: str, position: int) -> None:
        super().__init__(f"{cause} (at character {position}).")
        self.position = position


class Operator(StrEnum):
    """How a property is compared."""

    EQUAL = "-eq"
    NOT_EQUAL = "-ne"
    STARTS_WITH = "-startsWith"
    NOT_STARTS_WITH = "-notStartsWith"
    CONTAINS = "-contains"
    NOT_CONTAINS = "-notContains"
    IN = "-in"
    NOT_IN = "-notIn"


_OPERATORS: Final = {operator.lower(): operator for operator in Operator}
_LISTS: Final = frozenset({Operator.IN, Operator.NOT_IN})
_WITH_NULL: Final = frozenset({Operator.EQUAL, Operator.NOT_EQUAL})


@dataclass(frozen=True, slots=True)
class Comparison:
    """One property against texts: one of them, or several for the list operators; ``None`` is ``null``."""

    name: str
    operator: Operator
    texts: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """True when its part is not."""

    part: Node


@dataclass(frozen=True, slots=True)
class All:
    """True when every part is."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """True when at least one part is."""

    parts: tuple[Node, ...]


Node: TypeAlias = "Comparison | Negation | All | Either"


def read(text: str) -> Node:
    """Read a rule. Raises: InvalidRuleError."""
    if len(text) > MAX_LENGTH:
        raise InvalidRuleError(f"The rule is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    root = _Reader(text).rule()
    if len(written(root)) > MAX_LENGTH:  # what we write we must be able to read
        raise InvalidRuleError(f"The rule, spelled out, is longer than {MAX_LENGTH} characters", 0)
    return root


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


class _Reader:
    """Recursive descent, bounded by ``MAX_DEPTH``."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0

    def rule(self) -> Node:
        root = self._either(0)
        if (token := self._peek()).kind != "end":
            raise InvalidRuleError(f"Expected -and, -or or the end, found {token.text!r}", token.position)
        return root

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, kind: str, wanted: str) -> _Token:
        token = self._peek()
        if token.kind != kind:
            raise InvalidRuleError(f"Expected {wanted}, found {token.text!r}", token.position)
        self._next += 1
        return token

    def _close(self, mark: str, wanted: str) -> None:
        if not self._took("mark", mark):
            raise InvalidRuleError(f"Expected {wanted}, found {self._peek().text!r}", self._peek().position)

    def _took(self, kind: str, *texts: str) -> bool:
        token = self._peek()
        found = token.kind == kind and token.text.lower() in texts
        self._next += found
        return found

    def _either(self, depth: int) -> Node:
        parts = [self._both(depth)]
        while self._took("operator", "-or"):
            parts.append(self._both(depth))
        return Either(_spread(Either, parts)) if len(parts) > 1 else parts[0]

    def _both(self, depth: int) -> Node:
        parts = [self._negation(depth)]
        while self._took("operator", "-and"):
            parts.append(self._negation(depth))
        return All(_spread(All, parts)) if len(parts) > 1 else parts[0]

    def _negation(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise InvalidRuleError(f"The rule nests deeper than {MAX_DEPTH} levels", self._peek().position)
        if self._took("operator", "-not"):
            return Negation(self._negation(depth + 1))
        if self._took("mark", "("):
            inside = self._either(depth + 1)
            self._close(")", "a closing parenthesis")
            return inside
        return self._comparison()

    def _comparison(self) -> Comparison:
        word = self._take("word", "a property such as device.deviceOSType")
        prefix, _, name = word.text.partition(".")
        if prefix.lower() != "device" or name.lower() not in _SPELLING:
            raise InvalidRuleError(f"{word.text!r} is not one of device.{', device.'.join(PROPERTIES)}", word.position)
        token = self._take("operator", "an operator such as -eq")
        operator = _OPERATORS.get(token.text.lower())
        if operator is None:
            raise InvalidRuleError(f"{token.text!r} is not one of {', '.join(Operator)}", token.position)
        return Comparison(_SPELLING[name.lower()], operator, self._value(operator))

    def _value(self, operator: Operator) -> tuple[str | None, ...]:
        if operator in _WITH_NULL and self._took("word", "null"):
            return (None,)
        if operator not in _LISTS or not self._took("mark", "["):
            return (self._text(),)
        texts = [self._text()]
        while self._took("mark", ","):
            texts.append(self._text())
        self._close("]", "a comma or a closing bracket")
        return tuple(texts)

    def _text(self) -> str:
        return re.sub(r"`(.)", r"\1", self._take("text", "a text in double quotes").text[1:-1], flags=re.DOTALL)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise InvalidRuleError(f"Cannot read {text[position : position + 16].strip()!r}", position)
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    return [*tokens, _Token("end", "the end", len(text))]


def _spread(kind: type[All | Either], parts: list[Node]) -> tuple[Node, ...]:
    """Take parts of the same kind apart: joining is associative, and one meaning has one shape."""
    return tuple(inner for part in parts for inner in (part.parts if isinstance(part, kind) else (part,)))


def written(node: Node) -> str:
    """Write a tree, with parentheses only where they are needed."""
    match node:
        case Comparison(name=name, operator=operator, texts=texts):
            quoted = [_quoted(text) for text in texts]
            value = f"[{', '.join(quoted)}]" if operator in _LISTS else quoted[0]
            return f"device.{name} {operator} {value}"
        case Negation(part=part):
            return f"-not {_enclosed(part, All, Either)}"
        case All(parts=parts):
            return " -and ".join(_enclosed(part, Either) for part in parts)
        case Either(parts=parts):
            return " -or ".join(map(written, parts))
        case _:
            assert_never(node)


def _enclosed(node: Node, *looser: type[Node]) -> str:
    """Write a part, in parentheses only where it binds looser than what stands around it."""
    return f"({written(node)})" if isinstance(node, looser) else written(node)


def _quoted(text: str | None) -> str:
    return "null" if text is None else '"' + text.replace("`", "``").replace('"', '`"') + '"'
