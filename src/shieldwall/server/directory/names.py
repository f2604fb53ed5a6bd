"""What may stand as a name or a text that people gave."""

from __future__ import annotations

import unicodedata
from typing import Final

LONGEST_NAME: Final = 256
_NEVER: Final = frozenset({"Cc", "Cs"})
"""Control characters, which one engine does not even store, and halves of surrogate pairs, which are no characters."""


def is_name(text: str, longest: int = LONGEST_NAME) -> bool:
    """Whether this can be a name: not blank, not too long, no control characters."""
    return bool(text.strip()) and len(text) <= longest and _is_plain(text)


def is_text(text: str, longest: int) -> bool:
    """Whether this can be a text of several lines, or none at all."""
    return len(text) <= longest and _is_plain(text.translate({ord(character): None for character in "\n\r\t"}))


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(character) in _NEVER for character in text)
