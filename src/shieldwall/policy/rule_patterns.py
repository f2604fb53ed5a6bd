"""Patterns of ``-match``: regular expressions that are matched in linear time, whatever they say and are held against.

RE2 has no back-references and no look-around, the constructs that cost exponential time; a pattern that uses them is
refused when it is written, not when it meets the wrong device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import re2  # type: ignore[import-untyped]  # it brings no types

_MEMORY: Final = 8 << 20
"""What one compiled pattern may take."""


class InvalidPatternError(ValueError):
    """A text is not a pattern; the message says why."""


def finder(pattern: str) -> Callable[[str], bool]:
    """Return what says whether a pattern is found anywhere in a text, without regard to case.

    Raises:
        InvalidPatternError: It cannot be read, or is too large.
    """
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        search = re2.compile(pattern, options).search
    except re2.error as error:
        [cause] = error.args
        raise InvalidPatternError(cause.decode(errors="replace") if isinstance(cause, bytes) else str(cause)) from None
    except UnicodeEncodeError:
        raise InvalidPatternError("it holds half a character") from None
    return lambda text: search(_encodable(text)) is not None


def _encodable(text: str) -> str:
    """Replace what no encoding has; devices cannot send it, but nothing may break over it."""
    return text if text.isascii() else text.encode(errors="replace").decode()
