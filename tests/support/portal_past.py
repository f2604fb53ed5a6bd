"""What happened in the furnished tenant (``portal_scene``): reports, alerts, events, and how it came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sin
from typing import Final

from msgspec.structs import replace
from sqlalchemy import Connection, update
from tests.support.portal_reports import Reports

from shieldwall.contract import strict_json
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.manager import samples
from shieldwall.server.manager.figures import count
from shieldwall.server.storage.check_ins import check_ins, statuses, targets
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import device_events
from shieldwall.server.storage.devices.device_events import EventRecord
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.fleets import fleet_samples
from shieldwall.server.storage.tables.schema import check_ins as check_in_rows

_DAYS: Final = 30
_DAY: Final = 24 * 60
"""Minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Makes what has happened to a fleet until now."""

    services: AdminServices
    now: datetime
    fleet: Sequence[Device]

    def report(self, connection: Connection) -> None:
        """Let every device say how its settings are, some of them long ago."""
        tenant = self.services.tenant.id
        reports = Reports(catalog=self.services.catalog)
        for number, device in enumerate(self.fleet, 1):
            state = check_ins.get(connection, device.id)
            if device.state is not DeviceState.ACTIVE or state.target_digest is None:
                continue
            target = targets.get(connection, tenant, state.target_digest)
            report = replace(reports.of(connection, number, device, target), target=state.target_digest)
            at = self.now - timedelta(minutes=number % 7, seconds=7 * number)
            if number % 17 == 0:
                at = self.now - timedelta(days=12)
            check_ins.set_status(connection, device.id, statuses.keep(connection, tenant, report), at)
            if number % 15:
                check_ins.clear_sync(connection, device.id)
            connection.execute(
                update(check_in_rows).where(check_in_rows.c.device_id == device.id).values(last_check_in=at, seq=40)
            )

    def alarm(self, connection: Connection) -> str:
        """Raise a few alerts; return the id of the first."""
        first = ""
        for number, (severity, kind, title) in enumerate(
            (
                (Severity.HIGH, "clonedIdentity", "Two machines use one identity"),
                (Severity.MEDIUM, "tampering", "Somebody changed a protected setting again and again"),
                (Severity.LOW, "packageUses", "A package was used unusually often"),
            )
        ):
            alert = Alert(
                id=self.services.new_id(),
                tenant_id=self.services.tenant.id,
                device_id=self.fleet[number % len(self.fleet)].id if kind != "packageUses" else None,
                kind=kind,
                severity=severity,
                title=title,
                details="{}",
                first_at=self.now - timedelta(hours=5 * number + 2),
                last_at=self.now - timedelta(hours=number + 1),
            )
            alerts.raise_alert(connection, alert)
            first = first or alert.id
        return first

    def happen(self, connection: Connection) -> None:
        """Let malware be blocked on a few devices."""
        for number, device in enumerate(self.fleet[:6]):
            at = self.now - timedelta(hours=number)
            event = EventRecord(
                id=self.services.new_id(),
                tenant_id=self.services.tenant.id,
                device_id=device.id,
                at=at,
                received_at=at,
                kind="malware.blocked",
                severity="high",
                title="Malware was blocked",
                subject="EICAR-Test-File",
                details='{"path":"/tmp/eicar.com"}',
            )
            device_events.add_new(connection, device.id, [event])

    def keep_samples(self, connection: Connection) -> None:
        """Let the figures of today have come to be over a month."""
        figures = count(connection, self.services.catalog, self.services.tenant.id, self.now)
        today = samples.sample_of(figures)
        for minutes in (*range(_DAYS * _DAY, 2 * _DAY, -60), *range(2 * _DAY, 0, -5)):
            sample = _scaled(today, 1 - minutes / (_DAYS * _DAY) / 3, wave=sin(minutes / 480))
            at = self.now - timedelta(minutes=minutes)
            fleet_samples.add(connection, self.services.tenant.id, at, strict_json.encode(sample).decode())
        samples.keep(connection, self.services.tenant.id, figures)


def _scaled(sample: samples.Sample, share: float, *, wave: float) -> samples.Sample:
    def fewer(counts: Mapping[str, int]) -> dict[str, int]:
        return {name: max(0, round(number * share)) for name, number in counts.items()}

    return samples.Sample(
        devices=round(sample.devices * share),
        platforms=fewer(sample.platforms),
        health=fewer(sample.health),
        protection=fewer(sample.protection),
        without_policy=sample.without_policy,
        repaired_devices=round(sample.repaired_devices * (0.8 + 0.2 * wave)),
        repaired_settings=round(sample.repaired_settings * (0.8 + 0.2 * wave)),
        drifted_devices=sample.drifted_devices,
        drifted_settings=sample.drifted_settings,
        alerts=fewer(sample.alerts),
        check_ins_per_minute=max(0.0, sample.check_ins_per_minute * (1 + wave / 2)),
    )
