"""What is asked of a list of devices: a filter, an order, where a page begins; and one row of what is found.

No SQL is here: ``inventory_conditions`` makes conditions of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement

from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.contract.status import SettingState
from shieldwall.server.storage.device_records import DeviceState


class Health(StrEnum):
    """Whether a device is in touch and well."""

    IMPAIRED = "impaired"
    """In touch, and reports errors, or that a product it steers does not work."""
    INACTIVE = "inactive"
    """Not in touch for so long that what it last said says nothing."""
    ACTIVE = "active"


class Sort(StrEnum):
    """What a list is sorted by; devices that are alike in it are in the order in which they came, or ``BY_ID``."""

    NAME = "name"
    LAST_CHECK_IN = "lastCheckIn"
    OS = "os"
    HEALTH = "health"
    AGENT_VERSION = "agentVersion"
    EXPOSURE = "exposure"
    STATE = "state"
    POLICY_STATE = "policyState"
    """The gravest of what is enforced first."""
    MANAGED_BY = "managedBy"
    ENROLLMENT_CODE = "enrollmentCode"
    ATTESTATION = "attestation"
    TAG = "tag"
    REGISTERED = "registered"


BY_ID: Final = frozenset({Sort.LAST_CHECK_IN, Sort.EXPOSURE, Sort.STATE, Sort.REGISTERED})
"""Sorts in which devices that are alike are in the order of their ids: their indexes have these for other lists too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which devices are meant: those that fit every part that is given. Texts are compared whatever their case.

    ``inactive_before`` is the moment that parts devices in touch from the others, by their last check-in, or by their
    registration where they never checked in.
    """

    inactive_before: datetime
    search: str = ""
    health: frozenset[Health] = frozenset()
    states: frozenset[DeviceState] = frozenset(DeviceState) - {DeviceState.RETIRED}
    enrollment_codes: frozenset[int] = frozenset()
    os_types: frozenset[str] = frozenset()
    os_version: str | None = None
    tags: tuple[str, ...] = ()
    managed_by: str | None = None
    agent_version: str | None = None
    attestation: frozenset[str] = frozenset()
    is_drifted: bool | None = None
    is_duplicate: bool | None = None
    seen_before: datetime | None = None
    seen_after: datetime | None = None
    group: GroupId | None = None
    policy_states: frozenset[SettingState] = frozenset()
    only: tuple[ColumnElement[bool], ...] = field(default=(), compare=False)
    """Further conditions over the rows of ``inventory``: which of them the caller sees."""


@dataclass(frozen=True, slots=True)
class Position:
    """After which row a portion begins: the phase of the sort, what the row is sorted by, and which one it is.

    ``last`` is its id in a sort ``BY_ID``, else its number, which stays what it is when the device is gone.
    """

    phase: int = 0
    key: str | int | datetime | None = None
    last: DeviceId | int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A sort, and whether it is turned round."""

    by: Sort = Sort.NAME
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Which part of a list is read: in which order, after which row, how much."""

    order: Order = Order()
    after: Position | None = None
    size: int = 100


@dataclass(frozen=True, slots=True)
class Found:
    """One row of a page: the device, and the position after it."""

    device_id: DeviceId
    position: Position
