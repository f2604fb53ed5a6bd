"""Looking at something that may hang: a look that does not end in time is left behind, and told of.

A thread cannot be ended. So a look that still hangs from before is not begun again: however often somebody asks, no
more threads hang than there are looks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from msgspec import Struct, field

from shieldwall.contract.errors import ShieldwallError

T = TypeVar("T")

PATIENCE_SECONDS: Final = 25.0
"""For all looks together, which are made at the same time. clamonacc holds an open for twenty now and then."""


class Unseen(Struct, frozen=True, kw_only=True):
    """Nothing was seen, and why."""

    cause: str


class _Box(Struct, Generic[T]):
    value: T | Unseen


def attempted(look: Callable[[], T]) -> T | Unseen:
    """Look; whatever breaks is a finding and no crash."""
    try:
        return look()
    except ShieldwallError as error:
        return Unseen(cause=error.cause)
    except Exception as error:  # noqa: BLE001 - what is examined is broken, perhaps in ways nobody thought of
        return Unseen(cause=f"{type(error).__name__}: {error}")


class Bounded(Struct, kw_only=True):
    """Makes looks, each in a thread of its own."""

    patience_seconds: float = PATIENCE_SECONDS
    monotonic: Callable[[], float] = time.monotonic
    _hanging: dict[str, threading.Thread] = field(default_factory=dict)

    def __call__(self, looks: Mapping[str, Callable[[], T]]) -> dict[str, T | Unseen]:
        """Make all looks at the same time; those that did not end in time are ``Unseen``."""
        late = Unseen(cause=f"It did not answer within {self.patience_seconds:g} seconds.")
        boxes: dict[str, _Box[T]] = {name: _Box(late) for name in looks}
        threads: dict[str, threading.Thread] = {}
        for name, look in looks.items():
            before = self._hanging.get(name)
            if before is not None and before.is_alive():
                boxes[name].value = Unseen(cause="It still hangs since somebody looked before.")
                continue
            threads[name] = threading.Thread(target=_fill, args=(boxes[name], look), name=f"look-{name}", daemon=True)
            threads[name].start()
        deadline = self.monotonic() + self.patience_seconds
        for name, thread in threads.items():
            thread.join(max(0.0, deadline - self.monotonic()))
            if thread.is_alive():
                self._hanging[name] = thread
            else:
                self._hanging.pop(name, None)
        return {name: box.value for name, box in boxes.items()}


def _fill(box: _Box[T], look: Callable[[], T]) -> None:
    box.value = attempted(look)
