"""Who is served next, and who waits in vain: root before everybody else, and of nobody more than a few. Pure.

One thing is done at a time, and it may take minutes. An agent that was taken over must not keep root waiting by asking
a great deal, nor fill our memory with what waits. Of ``apply`` the last word of a user counts: what it replaces would
be replaced a moment later anyway.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from msgspec import Struct, field

from shieldwall.agent.applier.protocol import MAX_FRAME_BYTES

J = TypeVar("J")

MOST_WAITING: Final = 8
"""Requests of one user that wait, beside the one that is being answered. An agent has one."""
MOST_WAITING_BYTES: Final = MAX_FRAME_BYTES + (1 << 20)
"""Of one user: the largest request there is, and small ones beside it."""
_APPLY: Final = "apply"
_ROOT: Final = 0


class _Waiting(Struct, Generic[J], frozen=True, kw_only=True):
    job: J
    verb: str
    size: int


class Lanes(Struct, Generic[J]):
    """What waits, by user; one lane is served before the others, which take turns."""

    _lanes: dict[int, deque[_Waiting[J]]] = field(default_factory=dict)

    def put(self, job: J, *, uid: int, verb: str, size: int) -> Sequence[J]:
        """Let a request wait; returns those that wait in vain: one that it replaces, or itself where there is no room.

        ``size`` in bytes is what it holds of our memory.
        """
        lane = self._lanes.setdefault(uid, deque())
        replaced = [each for each in lane if verb == each.verb == _APPLY]
        for each in replaced:
            lane.remove(each)
        if len(lane) >= MOST_WAITING or sum(each.size for each in lane) + size > MOST_WAITING_BYTES:
            lane.extend(replaced)
            return (job,)
        lane.append(_Waiting(job=job, verb=verb, size=size))
        return tuple(each.job for each in replaced)

    def take(self) -> J | None:
        """Take what is next; ``None`` when nothing waits."""
        uid = _ROOT if self._lanes.get(_ROOT) else next((uid for uid, lane in self._lanes.items() if lane), None)
        if uid is None:
            return None
        lane = self._lanes.pop(uid)
        waiting = lane.popleft()
        if lane:
            self._lanes[uid] = lane  # now the last of all
        return waiting.job

    def __len__(self) -> int:
        """Count what waits."""
        return sum(map(len, self._lanes.values()))


class Jobs(Struct, Generic[J]):
    """Lanes between two threads: one lets requests wait, the other takes them, and does what is due between them."""

    _lanes: Lanes[J] = field(default_factory=Lanes)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _is_due: bool = False
    _is_over: bool = False

    def put(self, job: J, *, uid: int, verb: str, size: int) -> Sequence[J]:
        """See ``Lanes.put``."""
        with self._changed:
            in_vain = self._lanes.put(job, uid=uid, verb=verb, size=size)
            self._changed.notify()
        return in_vain

    def hurry(self) -> None:
        """Let ``take`` return soon, with nothing where nothing waits."""
        with self._changed:
            self._is_due = True
            self._changed.notify()

    def end(self) -> None:
        """Let nothing more be taken."""
        with self._changed:
            self._is_over = True
            self._changed.notify()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is taken."""
        return self._is_over

    def take(self, seconds: float) -> J | None:
        """Take what is next; ``None`` when nothing came within so many seconds, somebody hurries, or all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over or self._is_due or len(self._lanes) > 0, timeout=seconds)
            self._is_due = False
            return None if self._is_over else self._lanes.take()
