"""Who changes something, and what every change brings along: an audit event, and word to those it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.access.grants import FULL, Access
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.policies import aims
from shieldwall.server.storage.policies.aims import ChangeKind
from shieldwall.server.storage.records import AuditEvent


@dataclass(frozen=True, slots=True)
class Moment:
    """A clock that has stopped."""

    moment: datetime

    def now(self) -> datetime:
        """Return the moment."""
        return self.moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an act comes from: who by id, from which address, with which request (a UUID)."""

    actor_id: str | None = None
    ip_address: str | None = None
    correlation_id: str | None = None


NOWHERE: Final = Origin()
"""Of what the server does by itself, or somebody at its console."""
MOST_AT_ONCE: Final = 5_000
"""Devices that one change brings up to date itself: that is a second or two, and holds up all others who write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """Somebody at work in one tenant, under the name that the audit trail shows.

    Whoever changes a policy or a filter is held to their scope once more on the object that is loaded for it.
    ``on_devices_changed`` hears, inside the transaction, of devices whose groups or filters are others now; whoever
    composes the program lets it aim the policies anew.
    """

    tenant_id: TenantId
    actor: str
    clock: Clock
    new_id: Callable[[], str]
    on_devices_changed: Callable[[Connection, frozenset[DeviceId]], None]
    origin: Origin = NOWHERE
    access: Access = FULL
    """What they may do; the server by itself, its console and applications may do everything here."""
    most_at_once: int = MOST_AT_ONCE
    """A change that reaches more devices is noted, and they take it up in turn (``storage.policies.aims``)."""

    def at_once(self) -> Acting:
        """Return the same somebody, to whom all that is done from here on happens in one moment."""
        return replace(self, clock=Moment(self.clock.now()))

    def within(self, tenant_id: TenantId) -> Acting:
        """Return the same somebody at work in another tenant."""
        return replace(self, tenant_id=tenant_id)

    def record(self, connection: Connection, activity: str, kind: str, object_id: str, **details: object) -> None:
        """Add to the audit trail what is done in this transaction."""
        audit.add(
            connection,
            AuditEvent(
                id=self.new_id(),
                tenant_id=self.tenant_id,
                at=self.clock.now(),
                actor=self.actor[:256],
                activity=activity,
                object_kind=kind,
                object_id=object_id,
                details=strict_json.encode(details).decode(),
                actor_id=self.origin.actor_id,
                ip_address=self.origin.ip_address,
                correlation_id=self.origin.correlation_id,
            ),
        )

    def tell(self, connection: Connection, device_ids: Iterable[DeviceId]) -> None:
        """Say which devices changed; silent where none did. Where they are many, they find out for themselves.

        The caller holds ``targets.lock`` if there may be many.
        """
        changed = frozenset(device_ids)
        if len(changed) > self.most_at_once:
            now = self.clock.now()
            aims.raise_version(connection, self.tenant_id, ChangeKind.DEVICES, None, at=now, actor=self.actor)
        elif changed:
            self.on_devices_changed(connection, changed)
