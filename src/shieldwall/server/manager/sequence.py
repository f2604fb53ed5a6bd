"""The sequence rule: every request of a device has an effect once, or not at all.

A device numbers its requests and writes the number down before it sends. The server processes a number above the last
one, repeats its answer for the last one when the body is the same, and refuses everything else: a request that was
recorded and sent again, and a device whose disk was set back or copied.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import Digest
from shieldwall.server.storage.device_records import CheckInState


class SequenceConflictError(ShieldwallError):
    """The number of a request was used before, or belongs to another epoch of its device."""

    code = "seqConflict"
    remedy = (
        "The device's state was set back, or copied to a second machine. Its agent asks to count anew by itself; where "
        "that does not help, two machines share one identity, and one of them has to be onboarded again."
    )


class Numbered(NamedTuple):
    """A request's place in the sequence of its device, and the digest of its body."""

    epoch: int
    seq: int
    digest: Digest


class Turn(Enum):
    """What becomes of a request."""

    FRESH = auto()
    REPEAT = auto()
    CONFLICT = auto()


def decide(last: CheckInState, request: Numbered) -> Turn:
    """Compare a request with the last one that had an effect."""
    if request.epoch != last.epoch or request.seq < last.seq:
        return Turn.CONFLICT
    if request.seq > last.seq:
        return Turn.FRESH
    return Turn.REPEAT if request.digest == last.request_digest else Turn.CONFLICT
