"""msgspec learns a kind of message as it first meets it; here that is done by one thread at a time.

It puts what it learns where others find it before it is whole, and resolves annotations meanwhile, which lets other
threads run. Two threads that meet a kind for the first time at once end the process with a segmentation fault
(msgspec 0.22).
"""

from __future__ import annotations

import threading
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")

_learned: Final[set[Any]] = set()
_turn: Final = threading.Lock()


def learned(kind: T) -> T:
    """Return a kind, a type or a union, once msgspec knows all of it.

    Name it so wherever several threads may read or convert.
    """
    if kind not in _learned:
        with _turn:
            msgspec.json.Decoder(kind)
            _learned.add(kind)
    return kind
