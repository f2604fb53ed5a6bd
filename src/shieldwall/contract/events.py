"""What happened on a device, told to its server: malware, suspicious behaviour, engines that went blind.

``POST /device/v1/events``, signed and numbered like every request of a device. 204 says that all of it is on the
server's disk; an event that comes again (same id, same device) is kept once. A server from before this answers 404.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from shieldwall.contract.messages import MAX_BODY_BYTES, Sequence

MAX_EVENTS: Final = 200
MAX_EVENTS_BYTES: Final = MAX_BODY_BYTES
"""So much goes along with one request; the rest follows with the next ones."""
MAX_TITLE, MAX_SUBJECT, MAX_DETAIL = 200, 512, 2_048
MAX_DETAILS: Final = 24

EventId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
EventMoment = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z\Z")
]
EventKind = Annotated[str, msgspec.Meta(pattern=r"^[a-z][A-Za-z]{0,31}\.[a-z][A-Za-z]{0,30}\Z")]
"""Area and what happened there, such as ``malware.blocked``: open, so that a newer device may tell an older server."""


class EventSeverity(StrEnum):
    """How soon somebody should look."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class DeviceEvent(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """One thing that happened, or the same thing ``times`` times, first at ``at``."""

    id: EventId
    """Made of what happened, so that telling it again says the same."""
    at: EventMoment
    """Moment by the device's clock, in UTC."""
    kind: EventKind
    severity: EventSeverity
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TITLE)]
    """What happened, in words that do not change from one time to the next."""
    subject: Annotated[str, msgspec.Meta(max_length=MAX_SUBJECT)] = ""
    """What it is about: the name of a threat, a rule, a program. Alerts about one subject are one alert."""
    details: Annotated[
        dict[
            Annotated[str, msgspec.Meta(min_length=1, max_length=64)],
            Annotated[str, msgspec.Meta(max_length=MAX_DETAIL)],
        ],
        msgspec.Meta(max_length=MAX_DETAILS),
    ] = {}
    """What else is known, in words: path, command line, user."""
    times: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] = 1


class EventsRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What happened since the last time, the oldest first.

    ``lost`` says how many events the device could not keep until they were told.
    """

    seq: Sequence
    epoch: Sequence
    events: Annotated[tuple[DeviceEvent, ...], msgspec.Meta(min_length=1, max_length=MAX_EVENTS)]
    lost: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
