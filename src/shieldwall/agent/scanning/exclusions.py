"""What scans leave out, as ``clamd.conf`` says it: the ``ExcludePath`` lines, ours and those of others. Pure.

clamd itself heeds them only where it is given a path. An expression that means nothing to Python's engine (the two
differ in rare corners) excludes nothing.

Python's engine tries every way in which several stars share a name between them, so whoever names a file could keep a
scan busy for days. What stands between two stars is therefore looked for once: if the rest fits at all, it fits after
the first place.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from typing import Final

from shieldwall.agent.providers.marked_block import arguments

_STARS: Final = re.compile(r"(?:\[\^/\]\*){2,}")
_BETWEEN_STARS: Final = re.compile(
    r"\[\^/\]\*"  # a star, as ``providers.clamav.exclusions`` writes it
    r"((?:\\[^A-Za-z0-9]|[^\\\[\](){}*+?|.^$/]|\[\^/\](?![*+?{]))+)"  # letters as they are, and single ones of any kind
    r"(?=\[\^/\]\*)"
)


def excluder(content: bytes) -> Callable[[str], bool]:
    """Return a test of whether a path is left out by this configuration of clamd."""
    expressions = tuple(_compiled(arguments(content, "ExcludePath")))
    return lambda path: any(expression.search(path) for expression in expressions)


def _compiled(sources: Iterable[str]) -> Iterable[re.Pattern[str]]:
    for source in sources:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                yield re.compile(_BETWEEN_STARS.sub(r"(?>[^/]*?\1)", _STARS.sub("[^/]*", source)))
        except (re.error, OverflowError, RecursionError):
            continue
