"""What may stand as a name or a text that people gave."""

from __future__ import annotations

import unicodedata
from typing import Final

LONGEST_NAME: Final = 256
_JOINERS: Final = frozenset("\u200c\u200d")
"""Invisible characters that some scripts cannot be written without."""
_DIVIDERS: Final = "\n\r\t"
_NEVER: Final = frozenset({"Cc", "Cs"})
"""Control characters, which one engine does not even store, and halves of surrogate pairs, which are no characters."""


def is_name(text: str, longest: int = LONGEST_NAME) -> bool:
    """Whether this can be a name: not blank, not too long, no control characters."""
    return bool(text.strip()) and len(text) <= longest and _is_plain(text)


def is_text(text: str, longest: int) -> bool:
    """Whether this can be a text of several lines, or none at all."""
    return len(text) <= longest and _is_plain(text.translate({ord(character): None for character in _DIVIDERS}))


def visible(text: str) -> str:
    """Show characters that steer a display instead of obeying them: what a device calls itself moves nothing."""
    if text.isprintable():
        return text
    return "".join(f"⟨U+{ord(character):04X}⟩" if _steers(character) else character for character in text)


def visible_lines(text: str) -> str:
    """Show a text of several lines as ``visible`` does, but for what divides it into lines and columns."""
    return "".join(character if character in _DIVIDERS else visible(character) for character in text)


def _steers(character: str) -> bool:
    category = unicodedata.category(character)
    return category in {"Cc", "Cs", "Zl", "Zp"} or (category == "Cf" and character not in _JOINERS)


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(character) in _NEVER for character in text)
