"""The figures of a tenant over time: samples taken every few minutes, and fewer of them the older they are."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.ids import TenantId
from shieldwall.contract.kinds import learned
from shieldwall.server.manager.figures import Figures
from shieldwall.server.storage.fleets import fleet_samples

EVERY: Final = timedelta(minutes=5)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STAGES: Final = (
    (timedelta(days=2), timedelta(0)),
    (timedelta(days=30), timedelta(hours=1)),
    (timedelta(days=731), timedelta(days=1)),
)
"""Up to which age one sample of which span of time is kept; nothing is kept beyond the last."""
KEPT: Final = _STAGES[-1][0]


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A tenant at one moment: numbers of devices, of settings where the name says so, and of open alerts.

    What is kept is read for two years, also by later versions: members are added, and never change what they mean.
    """

    devices: int = 0
    platforms: dict[str, int] = {}
    health: dict[str, int] = {}
    protection: dict[str, int] = {}
    without_policy: int = 0
    repaired_devices: int = 0
    repaired_settings: int = 0
    drifted_devices: int = 0
    drifted_settings: int = 0
    alerts: dict[str, int] = {}
    check_ins_per_minute: float = 0.0


def sample_of(figures: Figures) -> Sample:
    """Return what is kept of figures."""
    return Sample(
        devices=figures.devices,
        platforms=dict(figures.platforms),
        health={health.value: number for health, number in figures.health.items()},
        protection={state.value: number for state, number in figures.protection.items()},
        without_policy=figures.without_policy,
        repaired_devices=figures.drift.repaired_devices,
        repaired_settings=figures.drift.repaired_settings,
        drifted_devices=figures.drift.drifted_devices,
        drifted_settings=figures.drift.drifted_settings,
        alerts={severity.value: number for severity, number in figures.alerts.items()},
        check_ins_per_minute=figures.check_ins_per_minute,
    )


def keep(connection: Connection, tenant_id: TenantId, figures: Figures) -> None:
    """Keep a sample of these figures, and let go of what is old enough for that."""
    text = strict_json.encode(sample_of(figures)).decode()
    fleet_samples.add(connection, tenant_id, figures.as_of, text)
    known = fleet_samples.moments(connection, tenant_id)
    fleet_samples.remove(connection, tenant_id, ended(known, figures.as_of))


def history(connection: Connection, tenant_id: TenantId, since: datetime) -> tuple[tuple[datetime, Sample], ...]:
    """Return the samples of a tenant from a moment on, the oldest first."""
    found = fleet_samples.since(connection, tenant_id, since)
    return tuple((at, msgspec.json.decode(text, type=learned(Sample))) for at, text in found)


def ended(moments: Collection[datetime], now: datetime) -> frozenset[datetime]:
    """Return which of these samples are not kept any longer: of each span of their age all but the oldest one."""
    kept: set[tuple[timedelta, int]] = set()
    gone = set()
    for at in sorted(moments):
        span = next((span for age, span in _STAGES if now - at <= age), None)
        if span is None:
            gone.add(at)
        elif span:
            place = span, (at - EPOCH) // span
            gone.update({at} if place in kept else ())
            kept.add(place)
    return frozenset(gone)
