"""Forgetting answers of check-ins that no device can ask for again: most of what a large fleet would leave on disk."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.check_ins import kept_answers
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.engine.walking import AT_ONCE, write_where_found


def forget_superseded(database: Database, tenant_id: TenantId) -> int:
    """Look through all devices of a tenant, and empty what is superseded; return how many were."""

    def look(connection: Connection, after: str) -> tuple[Sequence[DeviceId], str | None]:
        devices = kept_answers.portion(connection, tenant_id, after, AT_ONCE)
        found = kept_answers.superseded(connection, devices) if devices else ()
        return found, devices[-1] if len(devices) == AT_ONCE else None

    return write_where_found(database, look, kept_answers.empty_superseded)
