"""Forgetting certificates that devices have for sure: the server needs none, and a repeat of a request gets a new one.

A certificate is kept because the answer that carries it may get lost. Who has checked in long after it was issued has
got it: an agent writes it down before anything else, and renews where it has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.check_ins import kept_certificates
from shieldwall.server.storage.check_ins.kept_certificates import Kept
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.engine.walking import AT_ONCE, write_where_found
from shieldwall.trust.device_certificate import BadDeviceCertificateError, read_certificate

LONG_AFTER: Final = timedelta(days=1)
"""From the beginning of a certificate on; whoever has not got it has asked for it again by then."""


def forget_held(database: Database, tenant_id: TenantId) -> int:
    """Look through all devices of a tenant; return how many certificates were forgotten."""

    def look(connection: Connection, after: str) -> tuple[Sequence[Kept], str | None]:
        kept = kept_certificates.portion(connection, tenant_id, after, AT_ONCE)
        found = [each for each in kept if _is_held(each)]
        return found, kept[-1].device_id if len(kept) == AT_ONCE else None

    return write_where_found(database, look, kept_certificates.forget)


def _is_held(kept: Kept) -> bool:
    if not kept.certificate or kept.last_check_in is None:
        return False
    try:
        return read_certificate(kept.certificate).not_before + LONG_AFTER < kept.last_check_in
    except BadDeviceCertificateError:
        return False
