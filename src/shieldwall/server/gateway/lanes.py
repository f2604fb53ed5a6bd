"""How much each request matters when there is more to do than can be done."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

QUIET_BYTES: Final = 1_024
"""A check-in without news is shorter: five digests and a few numbers. Its body is not read to find that out."""


class Lane(IntEnum):
    """What gives way to what: the higher, the sooner it is sent away."""

    VITAL = 1
    """Signed time, with which a device confirms that a change did not cut it off, and the questions of whoever watches
    over this server. Never sent away."""
    QUIET = 2
    """Check-ins without news, and fetching what a check-in promised."""
    NEWS = 3
    """Check-ins that bring facts or a report, and whatever a device does for its identity."""
    ENROLMENT = 4
    REST = 5


def lane_of(lane: Lane, length: int | None) -> Lane:
    """Say in which lane a request goes on a route, from how long its body says it is."""
    if lane is Lane.NEWS and length is not None and length <= QUIET_BYTES:
        return Lane.QUIET
    return lane
