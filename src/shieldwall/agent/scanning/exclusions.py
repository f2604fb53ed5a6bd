"""What scans leave out, as ``clamd.conf`` says it: the ``ExcludePath`` lines, ours and those of others. Pure.

clamd itself heeds them only where it is given a path. An expression that means nothing to Python's engine (the two
differ in rare corners) excludes nothing.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable

from shieldwall.agent.providers.marked_block import arguments


def excluder(content: bytes) -> Callable[[str], bool]:
    """Return a test of whether a path is left out by this configuration of clamd."""
    expressions = tuple(_compiled(arguments(content, "ExcludePath")))
    return lambda path: any(expression.search(path) for expression in expressions)


def _compiled(sources: Iterable[str]) -> Iterable[re.Pattern[str]]:
    for source in sources:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                yield re.compile(source)
        except (re.error, OverflowError, RecursionError):
            continue
