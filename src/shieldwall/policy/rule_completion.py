"""What may come next in a membership rule that somebody is writing.

The reader of rules is asked, and nobody else: a word may stand at a place when reading the rule up to there, with that
word behind it, fails at the end or not at all. So what is offered is what is understood, whatever the grammar becomes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final

from msgspec import Struct

from shieldwall.policy.rule_syntax import MAX_LENGTH, read
from shieldwall.policy.rule_tokens import InvalidRuleError
from shieldwall.policy.rule_tree import ELEMENT, GROUP_ID, KINDS, Operator, Quantifier, quoted

_WORD: Final = re.compile(r"[-\u2013]?[A-Za-z0-9_.$]*\Z")
_REST: Final = re.compile(r"[A-Za-z0-9_.$]*")
_PROPERTY: Final = re.compile(r"device\.([A-Za-z0-9]+)", re.IGNORECASE)
_QUOTES: Final = frozenset("\"'")
_ANY_TEXT: Final = '"00000000-0000-4000-8000-000000000000"'
"""A text that every operator takes: as a value, as a pattern, as the id of a group."""
_NAMES: Final = {name.lower(): name for name in KINDS}


class Part(StrEnum):
    """What a word is in a rule."""

    PROPERTY = "property"
    OPERATOR = "operator"
    JOINING = "joining"
    VALUE = "value"
    MARK = "mark"


_VOCABULARY: Final = (
    *((Part.PROPERTY, f"device.{name}") for name in KINDS),
    (Part.PROPERTY, ELEMENT),
    (Part.PROPERTY, GROUP_ID),
    *((Part.OPERATOR, each.value) for each in (*Operator, *Quantifier)),
    (Part.JOINING, "-and"),
    (Part.JOINING, "-or"),
    (Part.JOINING, "-not"),
    *((Part.VALUE, word) for word in ("true", "false", "null")),
    *((Part.MARK, mark) for mark in "()[],"),
)


class Word(Struct, frozen=True):
    """One word that may come, as it would be written."""

    part: Part
    text: str


class Expected(Struct, frozen=True, kw_only=True):
    """What may stand at a place: it would take the place of the characters from ``start`` to ``end``.

    ``asks`` is the property whose values may stand there, absent where no text may; ``typed`` is what of a text stands
    there already.
    """

    start: int
    end: int
    words: tuple[Word, ...]
    asks: str | None = None
    typed: str = ""


def expected_at(text: str, place: int) -> Expected:
    """Say what may stand at a place of a rule, given what is before it; what is behind it is not looked at."""
    place = min(max(place, 0), len(text), MAX_LENGTH)
    before = text[:place]
    if (opened := _open_quote(before)) is not None:
        end = place + 1 if text[place : place + 1] == before[opened] else place
        asks = _asked(before[:opened]) if _may_stand(before[:opened], _ANY_TEXT) else None
        return Expected(start=opened, end=end, words=(), asks=asks, typed=before[opened + 1 :])
    match = _WORD.search(before)
    start = place if match is None else match.start()
    rest = _REST.match(text, place)
    end = place if rest is None or start == place else rest.end()
    typed, head = before[start:].lstrip("-\u2013").casefold(), before[:start]
    if head and not head[-1].isspace() and head[-1] not in "([,":
        head += " "  # so that a word that comes is not read as one with the word before it
    fitting = (Word(part, word) for part, word in _VOCABULARY if _begins(word, typed) and _may_stand(head, word))
    asks = _asked(before) if not typed and _may_stand(head, _ANY_TEXT) else None
    return Expected(start=start, end=end, words=tuple(fitting), asks=asks)


def values_first(expected: Expected, values: Iterable[str]) -> Iterator[Word]:
    """Yield the values that go on with what is typed already, as they are written, and then the other words."""
    typed = expected.typed.casefold()
    for value in values:
        if typed in value.casefold():
            yield Word(Part.VALUE, quoted(value))
    yield from expected.words


def _may_stand(head: str, word: str) -> bool:
    text = head + word
    try:
        read(text)
    except InvalidRuleError as error:
        return error.position >= len(text)
    return True


def _begins(word: str, typed: str) -> bool:
    """Whether a word goes on with what was typed; a property is found by its own name too."""
    folded = word.lstrip("-").casefold()
    return folded.startswith(typed) or (bool(typed) and folded.partition(".")[2].startswith(typed))


def _open_quote(before: str) -> int | None:
    """Return where a text begins that does not end."""
    opened: int | None = None
    place = 0
    while place < len(before):
        character = before[place]
        if opened is None:
            opened = place if character in _QUOTES else None
        elif character == "`":
            place += 1
        elif character == before[opened]:
            opened = None
        place += 1
    return opened


def _asked(before: str) -> str | None:
    """Return the property that the last comparison is about."""
    found = [_NAMES.get(name.lower()) for name in _PROPERTY.findall(before)]
    return next((name for name in reversed(found) if name is not None), None)
