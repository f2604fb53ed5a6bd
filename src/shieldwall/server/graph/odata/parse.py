"""Reading ``$filter``: bounded before it is parsed, so that no text costs much or runs deep.

The parser keeps its own stack, and what walks the tree afterwards recurs no deeper than ``DEEPEST``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata.grammar import GRAMMAR
from shieldwall.server.graph.odata.literals import literal_from
from shieldwall.server.graph.odata.tree import (
    Among,
    Call,
    Comparison,
    Every,
    Literal,
    Node,
    Not,
    Path,
    Quantified,
    Some,
)

LONGEST: Final = 8_192
"""Characters of a filter."""
MOST_WORDS: Final = 1_000
"""Names, literals and signs of a filter: what parsing costs grows with them, to some milliseconds."""
DEEPEST: Final = 24
"""Parentheses and negations within each other."""
_MOST_KEPT: Final = 256
_LONGEST_KEPT: Final = 512
"""Filters, and characters of one, that are kept as trees: some megabytes, whatever is sent."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Also halves of characters, and NUL, which no database takes."""
_WORD: Final = re.compile(r"'(?:[^']|'')*'?|[()]|[^\s'(),/:]+|[,/:]")


def parse_filter(text: str, *, option: str = "$filter") -> Node:
    """Read a filter.

    Raises:
        InvalidQueryError: It is not one, or it is too long, too deep, or has too many parts; with the position.
    """
    try:
        return _read_before(text, option) if len(text) <= _LONGEST_KEPT else _read(text, option)
    except UnexpectedInput as error:
        raise _refusal(error, text, option) from None


def _read(text: str, option: str) -> Node:
    _bound(text, option)
    found: Node = _PARSER.parse(text)  # type: ignore[assignment]  # the transformer makes nodes of all
    return found


_read_before: Final = lru_cache(_MOST_KEPT)(_read)
"""Programs ask the same again and again, and a tree never changes. What is refused is not kept."""


def _bound(text: str, option: str) -> None:
    if len(text) > LONGEST:
        raise InvalidQueryError(f"{option} is longer than {LONGEST} characters.")
    if (control := _CONTROL.search(text)) is not None:
        raise InvalidQueryError(f"{option} holds a control character (position {control.start() + 1}).")
    open_now = negations = 0
    for number, word in enumerate(_WORD.finditer(text), start=1):
        if number > MOST_WORDS:
            raise InvalidQueryError(f"{option} has more than {MOST_WORDS} words and signs.")
        negations = negations + 1 if word[0].lower() == "not" else 0
        open_now += (word[0] == "(") - (word[0] == ")")
        if open_now + negations > DEEPEST:
            raise InvalidQueryError(f"{option} is nested more than {DEEPEST} deep (position {word.start() + 1}).")


def _refusal(error: UnexpectedInput, text: str, option: str) -> InvalidQueryError:
    match error:
        case UnexpectedToken(token=Token(type="$END")) | UnexpectedEOF():
            return InvalidQueryError(f"{option} ends too early (position {len(text) + 1}).")
        case UnexpectedToken(token=Token() as token):
            return InvalidQueryError(
                f"{option}: {str(token)[:40]!r} cannot stand at position {(token.start_pos or 0) + 1}."
            )
        case UnexpectedCharacters(column=at) if text[at - 1] == "'":
            return InvalidQueryError(f"{option}: the text that begins at position {at} has no end.")
        case UnexpectedCharacters(column=at):
            return InvalidQueryError(f"{option}: {text[at - 1]!r} cannot stand at position {at}.")
        case _:
            return InvalidQueryError(f"{option} cannot be read.")


class _Builder(Transformer[Token, Node]):
    """Makes nodes of what the grammar found; called while parsing, from the leaves up."""

    def path(self, names: Sequence[Token]) -> Path:
        return Path(tuple(map(str, names)), _at(names[0]))

    def literal(self, found: Sequence[Token]) -> Literal:
        return literal_from(found[0].type, str(found[0]), _at(found[0]))

    def call(self, found: Sequence[Any]) -> Call:
        name, *operands = found
        return Call(str(name).lower(), tuple(operands), _at(name))

    def comparison(self, found: Sequence[Any]) -> Comparison:
        left, operator, right = found
        return Comparison(str(operator).lower(), left, right, _at(operator))

    def among(self, found: Sequence[Any]) -> Among:
        operand, word, *literals = found
        return Among(operand, tuple(literals), _at(word))

    def quantified(self, found: Sequence[Any]) -> Quantified:
        place = next(index for index, each in enumerate(found) if _is(each, "QUANTIFIER"))
        names, quantifier, inner = found[:place], found[place], found[place + 1 :]
        collection = Path(tuple(map(str, names)), _at(names[0]))
        variable, condition = (str(inner[0]), inner[1]) if inner else (None, None)
        return Quantified(str(quantifier).lower(), collection, variable, condition, _at(quantifier))

    def nope(self, found: Sequence[Any]) -> Not:
        word, part = found
        return Not(part, _at(word))

    def every(self, parts: Sequence[Any]) -> Every:
        return Every(tuple(parts), parts[0].at)

    def some(self, parts: Sequence[Any]) -> Some:
        return Some(tuple(parts), parts[0].at)


def _at(token: Token) -> int:
    return token.start_pos or 0


def _is(found: object, kind: str) -> bool:
    return isinstance(found, Token) and found.type == kind


_PARSER: Final = Lark(GRAMMAR, parser="lalr", transformer=_Builder(), maybe_placeholders=False)
