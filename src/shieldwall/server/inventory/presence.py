"""Since when the server has listened: a device is silent only where somebody would have heard it.

A server that was off for weeks, came back from an old backup, or got a clock that is ahead finds that all its devices
have been silent for so long, and must not act upon it. It counts its devices every few minutes, and keeps when it did
(``manager.samples``): where it did not for days, it was not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

LONGEST_PAUSE: Final = timedelta(days=2)
"""Of long ago one sample a day is kept, the first: two of a server that was always there are so far apart at most."""


def listened_since(samples: Sequence[datetime], now: datetime, time: timedelta) -> datetime | None:
    """Return since when the server has listened for so much time in all; ``None`` where it has not yet.

    ``samples`` are the moments at which it counted, the oldest first. Where there is none at all nobody can tell, and
    it is taken to have listened.
    """
    if not samples:
        return now - time
    end, left = now, time
    for at in reversed(samples):
        if at > end:
            continue  # counted while the clock was ahead
        if end - at <= LONGEST_PAUSE:
            if end - at >= left:
                return end - left
            left -= end - at
        end = at
    return None
