"""A new incarnation of a tenant's signer: after a restore, everything it numbers is above all it numbered before."""

from __future__ import annotations

from pathlib import Path

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.ids import TenantId
from shieldwall.server.signer.errors import CounterExhaustedError
from shieldwall.server.signer.key_files import read_secret, sync_directory, write_secret
from shieldwall.server.signer.keys import UNIT_FILE, Unit
from shieldwall.trust.roots import MAX_INCARNATION


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
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    write_secret(beside, strict_json.encode(following))
    beside.replace(path)
    sync_directory(path.parent)
    return following.incarnation
