"""Forgetting answers of check-ins that no device can ask for again: most of what a large fleet would leave on disk."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage import kept_answers
from shieldwall.server.storage.database import Database

_AT_ONCE: Final = 2_000
"""Devices that one transaction looks at: neither readers nor the writer are held up for long."""


def forget_superseded(database: Database, tenant_id: TenantId) -> int:
    """Look through all devices of a tenant, a portion at a time, and empty what is superseded; return how many were.

    Looking takes no lock; only portions in which there is something are written.
    """
    emptied, after = 0, ""
    while True:
        with database.read() as connection:
            devices = kept_answers.portion(connection, tenant_id, after, _AT_ONCE)
            found = kept_answers.superseded(connection, devices) if devices else ()
        if found:
            with database.write() as connection:
                emptied += kept_answers.empty_superseded(connection, found)
        if len(devices) < _AT_ONCE:
            return emptied
        after = devices[-1]
