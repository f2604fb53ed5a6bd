"""The figures of a fleet: how many devices are what, how policies stand, what drifted, which alerts are open.

They are counted in a few passes over the fleet. Of a small one that takes milliseconds, so whoever asks gets what is so
now. Of a large one it takes seconds: then nobody waits for it. What was counted last is shown with the moment it is of,
and counted anew beside the pages when it is older than twenty times what counting costs; so counting takes at most a
twentieth of one processor, however large the fleet and however many people look (decision 0057). Where somebody has the
fleet in memory (``server.reporting``), it is counted from there in milliseconds.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog
from sqlalchemy import ColumnElement, Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import PolicyId, SettingId, TenantId
from shieldwall.contract.status import SettingState
from shieldwall.server.access.grants import WHOLE, Scope
from shieldwall.server.inventory.machines import INACTIVE_AFTER
from shieldwall.server.manager.contests import Contest, contests_of
from shieldwall.server.manager.standing import Pair, SettingDrift, standing_of_fleet
from shieldwall.server.manager.statuses import PolicyCounts
from shieldwall.server.storage.check_ins.standings import Counted
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.events.alerts import Severity
from shieldwall.server.storage.fleets import fleet_counts
from shieldwall.server.storage.inventory.inventory_queries import Health
from shieldwall.server.storage.tenants import tenant_sizes

SMALL: Final = 1_000
"""Devices of a fleet that is counted whenever somebody asks."""
TIMES_ITS_COST: Final = 20
IN_TOUCH: Final = timedelta(minutes=5)
"""Over how long check-ins are counted, to say how many there are a minute."""
_WAIT_SECONDS: Final = 0.1
"""How long a page waits for a count that it began: of a fleet in between that is enough."""
_AGAIN_SECONDS: Final = 30.0
_MOST_KEPT: Final = 64

Conditions = tuple[ColumnElement[bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """What somebody sees: conditions on the rows of the inventory, of check-ins and of alerts.

    Two with one ``key`` have the same conditions and scopes, and share what was counted.
    """

    key: Hashable = None
    device_scopes: tuple[Scope, ...] = (WHOLE,)
    """The same as scopes: where devices are seen, and where reports of devices are."""
    report_scopes: tuple[Scope, ...] = (WHOLE,)
    devices: Conditions = field(default=(), compare=False)
    reports: Conditions = field(default=(), compare=False)
    alerts: Conditions = field(default=(), compare=False)


EVERYTHING: Final = Eyes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Devices and settings that were put back, and that are not as they should be, as each device reported last."""

    repaired_devices: int = 0
    repaired_settings: int = 0
    drifted_devices: int = 0
    drifted_settings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A fleet in numbers, as of one moment. Retired devices are left out everywhere."""

    as_of: datetime
    devices: int
    platforms: Mapping[str, int]
    states: Mapping[DeviceState, int]
    health: Mapping[Health, int]
    managed_by: Mapping[str, int]
    """By the name of the manager: ``MDE`` is this channel, the empty name nobody."""
    enrollment_codes: Mapping[int, int]
    agent_versions: Mapping[str, int]
    """The fifty commonest versions."""
    protection: Mapping[SettingState, int]
    """Active devices that policies reach, each by its gravest setting."""
    without_policy: int
    """Active devices that no policy reaches."""
    troubled: Mapping[SettingState, tuple[Pair, ...]]
    """Where devices with errors and conflicts are to be found."""
    policies: Mapping[PolicyId, PolicyCounts]
    """Policies that reach a device; of the caller's scope are the devices, not the policies."""
    contests: tuple[Contest, ...]
    """Where policies want different values; of the caller's scope are the devices, not the policies."""
    alike: tuple[Counted, ...]
    """The kinds of devices that are alike, by which those in one state are found; none where they are too many."""
    setting_drift: Mapping[SettingId, SettingDrift]
    drift: Drift
    alerts: Mapping[Severity, int]
    """Open ones."""
    check_ins_per_minute: float
    """Of the last five minutes; a device that checked in twice counts once."""

    def states_of(self, policy_id: PolicyId) -> Mapping[SettingState, int]:
        """Return how many devices a policy is in which state on; nothing where it reaches none."""
        found = self.policies.get(policy_id)
        return {} if found is None else found.devices

    @property
    def open_alerts(self) -> int:
        """How many alerts are open."""
        return sum(self.alerts.values())


def count(
    connection: Connection, catalog: Catalog, tenant_id: TenantId, now: datetime, eyes: Eyes = EVERYTHING
) -> Figures:
    """Count the figures of a tenant as somebody sees them: a few passes over all of it."""
    fleet_counts.be_patient(connection)
    counted = fleet_counts.count_devices(connection, tenant_id, inactive_before=now - INACTIVE_AFTER, only=eyes.devices)
    in_touch = fleet_counts.count_in_touch(connection, tenant_id, now - IN_TOUCH, now, eyes.reports)
    standing = standing_of_fleet(connection, catalog, tenant_id, eyes.reports)
    return Figures(
        as_of=now,
        devices=counted.devices,
        platforms=counted.platforms,
        states=counted.states,
        health=counted.health,
        managed_by=counted.managed_by,
        enrollment_codes=counted.enrollment_codes,
        agent_versions=fleet_counts.count_agent_versions(connection, tenant_id, eyes.devices),
        protection=standing.devices,
        without_policy=standing.without_policy,
        troubled=standing.troubled,
        policies=standing.policies,
        contests=contests_of(connection, catalog, tenant_id, eyes.reports),
        alike=standing.alike,
        setting_drift=standing.drift,
        drift=Drift(
            repaired_devices=counted.repaired_devices,
            repaired_settings=counted.repaired_settings,
            drifted_devices=counted.drifted_devices,
            drifted_settings=counted.drifted_settings,
        ),
        alerts=fleet_counts.count_open_alerts(connection, tenant_id, eyes.alerts),
        check_ins_per_minute=in_touch / (IN_TOUCH / timedelta(minutes=1)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Whose figures are asked for, and where they are counted."""

    database: Database
    catalog: Catalog
    tenant_id: TenantId
    eyes: Eyes = EVERYTHING

    def count(self, now: datetime) -> Figures:
        """Count them now."""
        with self.database.read() as connection:
            return count(connection, self.catalog, self.tenant_id, now, self.eyes)

    def is_small(self, most: int) -> bool:
        """Whether the tenant has at most so many devices."""
        with self.database.read() as connection:
            return not tenant_sizes.is_large(connection, self.tenant_id, most)


class Quicker(Protocol):
    """Whoever has large fleets in memory."""

    def figures(self, fleet: Fleet) -> Figures | None:
        """Return the figures of a fleet as of a moment that is seconds ago at most; ``None``: count it yourself."""


@dataclass(slots=True)
class _Kept:
    """Figures that were counted, and until when they are good, in seconds of a steady clock."""

    figures: Figures | None = None
    good_until: float = float("-inf")
    is_counting: bool = False
    counted: threading.Event = field(default_factory=threading.Event)


class FleetFigures:
    """The figures of all tenants of this process, and whoever counts them. Safe to ask from several threads."""

    def __init__(
        self,
        *,
        small: int = SMALL,
        monotonic: Callable[[], float] = time.monotonic,
        quicker: Quicker | None = None,
    ) -> None:
        self._small = small
        self._quicker = quicker
        self._monotonic = monotonic
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # one count at a time: pages need the other processors

    def of(self, fleet: Fleet, now: datetime) -> Figures | None:
        """Return the figures of a fleet; ``None`` while a large one is counted for the first time."""
        if fleet.is_small(self._small):
            return fleet.count(now)
        quick = None if self._quicker is None else self._quicker.figures(fleet)
        if quick is not None:
            return quick
        kept = self._kept_for(fleet)
        if self._begins(kept):
            threading.Thread(target=self._count_beside, args=(kept, fleet, now), name="figures", daemon=True).start()
            kept.counted.wait(_WAIT_SECONDS)
        return kept.figures

    def count_now(self, fleet: Fleet, now: datetime) -> Figures:
        """Count a fleet, however long that takes, and keep the figures for those who ask."""
        quick = None
        if self._quicker is not None and not fleet.is_small(self._small):
            quick = self._quicker.figures(fleet)
        return quick or self._count(self._kept_for(fleet), fleet, now)

    def _kept_for(self, fleet: Fleet) -> _Kept:
        key = fleet.tenant_id, fleet.eyes.key
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
            return kept

    def _begins(self, kept: _Kept) -> bool:
        """Say whether it is time to count anew and nobody does; whoever is told so has to."""
        with self._lock:
            begins = not kept.is_counting and self._monotonic() >= kept.good_until
            if begins:
                kept.is_counting = True
                kept.counted.clear()
            return begins

    def _count_beside(self, kept: _Kept, fleet: Fleet, now: datetime) -> None:
        try:
            self._count(kept, fleet, now)
        except Exception:  # noqa: BLE001 - nobody is there to catch it: it is written down, and tried again later
            structlog.get_logger().exception("figures_failed", tenant=fleet.tenant_id)
            kept.good_until = self._monotonic() + _AGAIN_SECONDS
        finally:
            kept.is_counting = False
            kept.counted.set()

    def _count(self, kept: _Kept, fleet: Fleet, now: datetime) -> Figures:
        with self._turn:
            begun = self._monotonic()
            figures = fleet.count(now)
            ended = self._monotonic()
        kept.good_until = ended + TIMES_ITS_COST * (ended - begun)
        kept.figures = figures
        return figures
