"""Cleaning up: devices that fell silent are retired, retired ones are forgotten in time, and old traces go.

An administrator chooses the rules; none of them retires anything until somebody says so. Each step is a transaction of
its own with a bounded number of devices, and each device leaves a trace in the audit trail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, TypeAlias

import msgspec
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.directory.devices import get_device, retire
from shieldwall.server.inventory.certifying import with_certificates
from shieldwall.server.inventory.pending import (
    DUPLICATE_HARDWARE,
    CertificateIssuer,
    approve,
    may_replace_itself,
    replace_device,
)
from shieldwall.server.inventory.presence import listened_since
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.fleets import fleet_samples
from shieldwall.server.storage.reports import retention
from shieldwall.server.storage.reports.retention import Horizon
from shieldwall.server.storage.tenants import tenants

SHORTEST_SILENCE, LONGEST_SILENCE = 30, 270
PROFILE_DAYS: Final = 180
"""Published: the profile of a device that left is kept so long."""
SIGHTINGS_KEPT: Final = timedelta(days=90)
EVENTS_KEPT: Final = timedelta(days=90)
"""What devices tell of themselves; the alerts that came of it are kept like all alerts."""
INACTIVE: Final = "inactive"
ACTOR: Final = "housekeeping"
_AT_ONCE: Final = 100
"""Devices in one transaction: each may move groups and targets."""
_ROWS_AT_ONCE: Final = 2_000
_MOST_STEPS: Final = 1_000
"""Transactions of one kind in one go; what is left waits for the next."""

Step: TypeAlias = Callable[[Connection], int]
SilenceDays: TypeAlias = Annotated[int, msgspec.Meta(ge=SHORTEST_SILENCE, le=LONGEST_SILENCE)]
RetiredDays: TypeAlias = Annotated[int, msgspec.Meta(ge=PROFILE_DAYS, le=730)]
HistoryDays: TypeAlias = Annotated[int, msgspec.Meta(ge=30, le=3_650)]


class CleanUpRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a tenant wants cleaned up."""

    retire_inactive_after_days: SilenceDays | None = None
    """``None``: nobody is retired for silence."""
    remove_retired_after_days: RetiredDays = PROFILE_DAYS
    history_days: HistoryDays = 365
    """How long it is known who was in which group, and which alerts were closed."""
    auto_replace: bool = False
    """Whether a machine that shows the same TPM takes the place of its former self, after thirty days of silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanUp:
    """What was cleaned up, or would be: counts by step."""

    replaced: int = 0
    retired: int = 0
    removed: int = 0
    rows: Mapping[str, int]

    @property
    def is_nothing(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.replaced or self.retired or self.removed or any(self.rows.values()))


def get_rules(connection: Connection, tenant_id: TenantId) -> CleanUpRules:
    """Return a tenant's rules. Raises: NotFoundError."""
    return tenants.clean_up(connection, tenant_id, CleanUpRules)


def put_rules(connection: Connection, acting: Acting, rules: CleanUpRules) -> None:
    """Choose the rules; nothing is cleaned up before the next round. Raises: NotFoundError."""
    before = get_rules(connection, acting.tenant_id)
    if rules == before:
        return
    tenants.put_clean_up(connection, acting.tenant_id, rules)
    acting.record(
        connection,
        "cleanUp.changed",
        "tenant",
        acting.tenant_id,
        before=msgspec.to_builtins(before),
        after=msgspec.to_builtins(rules),
    )


def preview(connection: Connection, tenant_id: TenantId, rules: CleanUpRules, now: datetime) -> CleanUp:
    """Say how much these rules would clean up now; nothing is changed."""
    silence = _silence(connection, tenant_id, rules, now)
    return CleanUp(
        replaced=sum(1 for _ in _replaceable(connection, tenant_id, now)) if rules.auto_replace else 0,
        retired=0 if silence is None else retention.count_silent(connection, tenant_id, silence),
        removed=retention.count_retired(connection, tenant_id, _forgotten(rules, now)),
        rows=retention.count_old(connection, tenant_id, _horizon(rules, now)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """Cleans up one tenant, step by step."""

    database: Database
    acting: Acting
    signer: CertificateIssuer

    def __call__(self) -> CleanUp:
        """Do all that the rules ask for now."""
        now, tenant_id = self.acting.clock.now(), self.acting.tenant_id
        with self.database.read() as connection:
            rules = get_rules(connection, tenant_id)
            silence = _silence(connection, tenant_id, rules, now)
            pairs = _replaceable(connection, tenant_id, now) if rules.auto_replace else []
        replaced = sum(self._replace(device_id, now) for device_id in pairs)
        retired = 0
        if silence is not None:
            retired = self._in_steps(lambda connection: self._retire(connection, silence))
        removed = self._in_steps(lambda connection: self._remove(connection, _forgotten(rules, now)))
        return CleanUp(
            replaced=replaced, retired=retired, removed=removed, rows=self._remove_rows(_horizon(rules, now))
        )

    def _replace(self, device_id: DeviceId, now: datetime) -> bool:
        def replaced(connection: Connection, issuer: CertificateIssuer) -> bool:
            device = _successor(connection, self.acting.tenant_id, device_id, now)
            if device is None or device.replaces is None:
                return False  # somebody else was here meanwhile
            if device.state is DeviceState.PENDING:
                approve(connection, self.acting, issuer, device.id, replaces=True)
            else:
                replace_device(connection, self.acting, device.id, device.replaces)
            return True

        return with_certificates(self.database.write, self.signer, replaced)

    def _retire(self, connection: Connection, before: datetime) -> int:
        targets.lock(connection)  # before the rows that are held, like everybody
        found = retention.silent(connection, self.acting.tenant_id, before, _AT_ONCE)
        for device_id in found:
            retire(connection, self.acting, device_id, reason=INACTIVE)
        return len(found)

    def _remove(self, connection: Connection, before: datetime) -> int:
        found = retention.retired(connection, self.acting.tenant_id, before, _AT_ONCE)
        for device_id in found:
            delete_device(connection, self.acting, device_id)
        return len(found)

    def _remove_rows(self, horizon: Horizon) -> Mapping[str, int]:
        removed: Counter[str] = Counter()
        for _ in range(_MOST_STEPS):
            with self.database.write() as connection:
                step = retention.remove_old(connection, self.acting.tenant_id, horizon, _ROWS_AT_ONCE)
            removed.update(step)
            if max(step.values(), default=0) < _ROWS_AT_ONCE:
                break
        if removed.total():
            with self.database.write() as connection:
                self.acting.record(connection, "cleanUp.rowsRemoved", "tenant", self.acting.tenant_id, **removed)
        return removed

    def _in_steps(self, step: Step) -> int:
        total = 0
        for _ in range(_MOST_STEPS):
            with self.database.write() as connection:
                done = step(connection)
            total += done
            if done < _AT_ONCE:
                break
        return total


def _replaceable(connection: Connection, tenant_id: TenantId, now: datetime) -> list[DeviceId]:
    """Return the devices that may take the place of their former selves by rule."""
    found: list[DeviceId] = []
    after = ""
    while portion := retention.successors(connection, tenant_id, after, _AT_ONCE):
        found += [each for each in portion if _successor(connection, tenant_id, each, now) is not None]
        after = portion[-1]
    return found


def _successor(connection: Connection, tenant_id: TenantId, device_id: DeviceId, now: datetime) -> Device | None:
    device = get_device(connection, tenant_id, device_id)
    former = None if device.replaces is None else devices.find(connection, device.replaces)
    if former is None or former.tenant_id != tenant_id or former.state is DeviceState.RETIRED:
        return None
    if device.state is DeviceState.PENDING and device.state_reason != DUPLICATE_HARDWARE:
        return None  # it waits for something else, which nobody has seen to
    last = check_ins.get(connection, former.id).last_check_in
    return device if may_replace_itself(device, former, last, now) else None


def _silence(connection: Connection, tenant_id: TenantId, rules: CleanUpRules, now: datetime) -> datetime | None:
    """Return before which moment a device has to have been in touch last to be retired; ``None`` where none is."""
    days = rules.retire_inactive_after_days
    if days is None:
        return None
    return listened_since(fleet_samples.moments(connection, tenant_id), now, timedelta(days=days))


def _forgotten(rules: CleanUpRules, now: datetime) -> datetime:
    return now - timedelta(days=rules.remove_retired_after_days)


def _horizon(rules: CleanUpRules, now: datetime) -> Horizon:
    return Horizon(
        now=now,
        sightings=now - SIGHTINGS_KEPT,
        events=now - EVENTS_KEPT,
        history=now - timedelta(days=rules.history_days),
    )
