"""A new incarnation of a tenant's signer: after a restore, everything it numbers is above all it numbered before."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.ids import TenantId
from shieldwall.server.signer.errors import CounterExhaustedError
from shieldwall.server.signer.key_files import put_secret, read_secret
from shieldwall.server.signer.keys import UNIT_FILE, Unit
from shieldwall.trust.roots import MAX_INCARNATION
from shieldwall.trust.verification import COUNTER_BITS

NUMBERS_A_SECOND: Final = 256
"""What an incarnation may use up, on average, without catching up with the clock."""
_LATEST_FIRST: Final = 15 << (COUNTER_BITS - 4)
"""However late it is, some numbers are left."""


def first_number(incarnation: int, now: datetime) -> int:
    """Return where the manifest numbers of an incarnation begin.

    A backup that is restored twice begins the same incarnation twice, and does not know how far that was numbered the
    first time. So all but a tenant's first begin where the clock is.
    """
    return 1 if incarnation == 1 else min(int(now.timestamp()) * NUMBERS_A_SECOND, _LATEST_FIRST)


def begin_incarnation(directory: Path, tenant_id: TenantId) -> int:
    """Raise the incarnation of a tenant by one, durably, and return it. The signer must not run.

    Raises:
        KeyFilesError: The keys of the tenant cannot be read.
        CounterExhaustedError: There is no higher one.
    """
    path = directory / tenant_id / UNIT_FILE
    unit = strict_json.decode(read_secret(path), Unit)
    if unit.incarnation >= MAX_INCARNATION:
        raise CounterExhaustedError(f"The tenant {tenant_id} has no incarnation left.")
    following = msgspec.structs.replace(unit, incarnation=unit.incarnation + 1)
    put_secret(path, strict_json.encode(following))
    return following.incarnation
