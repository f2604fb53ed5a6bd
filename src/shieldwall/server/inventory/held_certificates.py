"""Forgetting certificates that devices have for sure: the server needs none, and a repeat of a request gets a new one.

A certificate is kept because the answer that carries it may get lost. Who has checked in long after it was issued has
got it: an agent writes it down before anything else, and renews where it has not.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage import kept_certificates
from shieldwall.server.storage.database import Database
from shieldwall.server.storage.kept_certificates import Kept
from shieldwall.trust.device_certificate import BadDeviceCertificateError, read_certificate

LONG_AFTER: Final = timedelta(days=1)
"""From the beginning of a certificate on; whoever has not got it has asked for it again by then."""
_AT_ONCE: Final = 2_000
"""Devices that one transaction looks at: neither readers nor the writer are held up for long."""


def forget_held(database: Database, tenant_id: TenantId) -> int:
    """Look through all devices of a tenant, a portion at a time; return how many certificates were forgotten.

    Looking takes no lock; only portions in which there is something are written.
    """
    forgotten, after = 0, ""
    while True:
        with database.read() as connection:
            kept = kept_certificates.portion(connection, tenant_id, after, _AT_ONCE)
        if found := [each for each in kept if _is_held(each)]:
            with database.write() as connection:
                kept_certificates.forget(connection, found)
            forgotten += len(found)
        if len(kept) < _AT_ONCE:
            return forgotten
        after = kept[-1].device_id


def _is_held(kept: Kept) -> bool:
    if not kept.certificate or kept.last_check_in is None:
        return False
    try:
        return read_certificate(kept.certificate).not_before + LONG_AFTER < kept.last_check_in
    except BadDeviceCertificateError:
        return False
