"""The figures of a fleet that is held in memory: the same as ``manager.figures.count`` has, in milliseconds."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from shieldwall.server.manager.figures import IN_TOUCH, Drift, Eyes, Figures
from shieldwall.server.reporting.held import HeldFleet
from shieldwall.server.reporting.slices import EVERYTHING
from shieldwall.server.storage.fleets import fleet_counts


def figures_of(connection: Connection, fleet: HeldFleet, eyes: Eyes) -> Figures | None:
    """Count the figures as somebody sees them; ``None`` where it is not known who was in touch.

    They are of the moment of what is oldest among them. Alerts are few, and counted in the database.
    """
    with fleet.lock:  # one moment for all of it
        contact, as_of = fleet.contact, fleet.as_of
        devices = fleet.devices(EVERYTHING, eyes.device_scopes)
        in_touch = fleet.in_touch(eyes.report_scopes)
        if contact is None or as_of is None or devices is None or in_touch is None:
            return None
        standing = fleet.standing(EVERYTHING, eyes.report_scopes)
    counted = devices.counts
    return Figures(
        as_of=min(as_of, contact.as_of),
        devices=counted.devices,
        platforms=counted.platforms,
        states=counted.states,
        health=counted.health,
        managed_by=counted.managed_by,
        enrollment_codes=counted.enrollment_codes,
        agent_versions=devices.agent_versions,
        protection=standing.fleet.devices,
        without_policy=standing.fleet.without_policy,
        troubled=standing.fleet.troubled,
        policies=standing.fleet.policies,
        contests=standing.contests,
        alike=standing.fleet.alike,
        setting_drift=standing.fleet.drift,
        drift=Drift(
            repaired_devices=counted.repaired_devices,
            repaired_settings=counted.repaired_settings,
            drifted_devices=counted.drifted_devices,
            drifted_settings=counted.drifted_settings,
        ),
        alerts=fleet_counts.count_open_alerts(connection, fleet.tenant_id, eyes.alerts),
        check_ins_per_minute=in_touch / (IN_TOUCH / timedelta(minutes=1)),
    )
