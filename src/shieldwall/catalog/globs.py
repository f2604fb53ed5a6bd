"""Match the wildcards of exclusions: ``*`` for any characters, ``?`` for one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Final

_STARS: Final = re.compile(r"\*+")


class Glob:
    """A pattern that stands for whole texts. Matching never backtracks, whatever the pattern."""

    def __init__(self, pattern: str) -> None:
        self.pattern = _STARS.sub("*", pattern)
        self._shortest = len(self.pattern) - self.pattern.count("*")
        self._literal = not any(mark in pattern for mark in "*?")

    def matches(self, text: str) -> bool:
        """Say whether the pattern stands for the whole of ``text``."""
        if self._literal or self._shortest > len(text):
            return self.pattern == text
        return self._regex.fullmatch(text) is not None

    def matches_any(self, texts: Iterable[str]) -> bool:
        """Say whether the pattern stands for the whole of one of ``texts``."""
        return any(map(self.matches, texts))

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        first, *others = (re.escape(part).replace(r"\?", ".") for part in self.pattern.split("*"))
        if not others:
            return re.compile(first, re.DOTALL)
        # What stands between two stars may sit at its first place: if the rest fits at all, it fits after that.
        between = "".join(f"(?>.*?{part})" for part in others[:-1])
        return re.compile(f"{first}{between}.*{others[-1]}", re.DOTALL)
