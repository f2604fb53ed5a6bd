"""The device authority of a tenant, renewed in time: what it issues never outlives it, and devices need a new one.

It is done where nobody has to think of it, when the signer starts, and long before the end: a server is started anew at
least once in the life of its own certificate. Key and name stay, so devices and what was issued before notice nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.ids import TenantId
from shieldwall.server.signer.errors import KeyFilesError
from shieldwall.server.signer.key_files import put_secret
from shieldwall.server.signer.keys import AUTHORITY_CERTIFICATE, UNIT_FILE, SigningKeys

RENEW_BEFORE: Final = timedelta(days=2 * 365)
"""Before its end: longer than a server goes on without a start."""


def renew_authority(directory: Path, keys: SigningKeys, now: datetime) -> TenantId | None:
    """Renew the device authority of a tenant on disk, and name the tenant; ``None`` where that is not due.

    Raises:
        KeyFilesError: It cannot be written; the one that was there stays.
    """
    unit, authority = keys.unit, keys.device_authority
    if not authority.ends_by(now + RENEW_BEFORE):
        return None
    folder = directory / unit.tenant_id
    later = msgspec.structs.replace(unit, root_version=unit.root_version + 1)
    try:
        put_secret(folder / UNIT_FILE, strict_json.encode(later))  # first: no two roots ever have one version
        put_secret(folder / AUTHORITY_CERTIFICATE, authority.renewed(now).certificate_pem.encode("ascii"))
    except OSError as error:
        raise KeyFilesError(f"The device authority in {folder} cannot be renewed: {error.strerror}.") from None
    return unit.tenant_id
