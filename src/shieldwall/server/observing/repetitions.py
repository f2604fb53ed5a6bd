"""Who fails and tries again, many times a second it may be, says so once a minute: a log is read by people.

While a database is away each part of a server finds that out for itself, over and over. A warning that says what one
said a moment ago is left out; the next one of its kind says how many were.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from shieldwall.server.plain_logging import structlog

SECONDS: Final = 60.0
_MOST: Final = 256
"""So many different warnings are remembered; what goes beyond is said each time."""


@dataclass(slots=True)
class _Said:
    at: float
    left_out: int = 0


class Repetitions:
    """Leaves out warnings with a cause that were said before; what belongs to a request is always said."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic: Final = monotonic
        self._said: Final[dict[tuple[tuple[str, str], ...], _Said]] = {}
        self._turn: Final = threading.Lock()

    def __call__(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Hand on an event, as one of ``structlog``'s processors. Raises: DropEvent."""
        if method != "warning" or "cause" not in event or "request_id" in event:
            return event
        kind = tuple(sorted((name, str(value)) for name, value in event.items()))
        with self._turn:
            left_out = self._left_out_before(kind)
        if left_out is None:
            raise structlog.DropEvent
        if left_out:
            event["left_out"] = left_out
        return event

    def _left_out_before(self, kind: tuple[tuple[str, str], ...]) -> int | None:
        """Return how many were left out since one was said; ``None`` where this one is to be."""
        now = self._monotonic()
        said = self._said.get(kind)
        if said is not None and now - said.at < SECONDS:
            said.left_out += 1
            return None
        if len(self._said) >= _MOST:
            self._said.clear()
        self._said[kind] = _Said(now)
        return 0 if said is None else said.left_out
