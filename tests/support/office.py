"""Somebody at work in the directory, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection
from tests.support.samples import TENANT_ID, CountingIds, HandClock

from shieldwall.contract.ids import DeviceId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import AuditEvent, Page


@dataclass
class Office:
    """Ada at work: her clock, and whom she told what."""

    clock: HandClock = field(default_factory=HandClock)
    told: list[frozenset[DeviceId]] = field(default_factory=list)
    new_id: CountingIds = field(default_factory=CountingIds)

    @property
    def acting(self) -> Acting:
        return Acting(
            tenant_id=TENANT_ID,
            actor="Ada",
            clock=self.clock,
            new_id=self.new_id,
            on_devices_changed=lambda _, devices: self.told.append(devices),
        )

    def trail(self, connection: Connection) -> list[AuditEvent]:
        """The audit events of the tenant, oldest first."""
        return sorted(audit.list_events(connection, TENANT_ID, Page()), key=lambda event: event.id)
