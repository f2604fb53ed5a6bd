"""Registration nonces that were redeemed. A nonce is sealed and stateless until then; here it is used up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete

from shieldwall.contract.ids import Digest, TenantId
from shieldwall.server.storage.engine.database import insert_ignoring
from shieldwall.server.storage.tables.schema import used_nonces


def use(connection: Connection, tenant_id: TenantId, digest: Digest, expires_at: datetime) -> bool:
    """Use a nonce up; say whether it was unused."""
    row = {"tenant_id": tenant_id, "digest": digest, "expires_at": expires_at}
    statement = insert_ignoring(connection, used_nonces).values(row)
    return connection.execute(statement.returning(used_nonces.c.digest)).first() is not None


def remove_expired(connection: Connection, now: datetime) -> int:
    """Forget nonces that nobody could redeem any more; return how many."""
    return connection.execute(delete(used_nonces).where(used_nonces.c.expires_at <= now)).rowcount
