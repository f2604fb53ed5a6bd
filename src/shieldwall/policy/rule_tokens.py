"""The words of a membership rule, each with its place."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"`]|`.)*"|'(?:[^'`]|`.|'')*')"""
    r"""|[-\u2013](?P<operator>[A-Za-z]+)|(?P<word>[A-Za-z_$][A-Za-z0-9_.]*)|(?P<mark>[()\[\],]))""",
    re.DOTALL,
)
"""A dash before an operator may be an en dash: texts that were pasted from a page have it."""
_ESCAPED: Final = re.compile(r"`(.)", re.DOTALL)
_ESCAPED_IN_SINGLE_QUOTES: Final = re.compile(r"`(.)|'(')", re.DOTALL)


class InvalidRuleError(ShieldwallError):
    """A membership rule cannot be read; ``position`` counts characters from 0."""

    code: ClassVar[str] = "invalidMembershipRule"
    remedy: ClassVar[str] = 'Write a rule such as (device.deviceOSType -eq "Linux") -and (device.deviceTag -eq "web").'

    def __init__(self, cause: str, position: int) -> None:
        super().__init__(f"{cause} (at character {position}).")
        self.position = position


class Token(Struct, frozen=True):
    """A word of a rule. ``text`` of an operator stands without its dash, of a text without quotes and escapes."""

    kind: str
    text: str
    position: int
    shown: str
    """As it was written."""

    @property
    def word(self) -> str:
        """The word for comparing: in small letters, empty for a text."""
        return "" if self.kind == "text" else self.text.lower()


def tokens(text: str) -> list[Token]:
    """Cut a rule into words; the last is of the kind ``end``. Raises: InvalidRuleError."""
    found: list[Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise InvalidRuleError(f"Cannot read {text[start : start + 16].strip()!r}", start)
        found.append(_token(match.lastgroup, match[match.lastgroup], match))
        position = match.end()
    return [*found, Token("end", "", len(text), "the end")]


def _token(kind: str, text: str, match: re.Match[str]) -> Token:
    start = match.start(kind) - (kind == "operator")
    if kind == "text":
        escaped = _ESCAPED if text[0] == '"' else _ESCAPED_IN_SINGLE_QUOTES
        return Token(kind, escaped.sub(lambda found: found[found.lastindex or 0], text[1:-1]), start, text)
    return Token(kind, text, start, match.string[start : match.end()])
