"""Status reports, kept once per distinct report of a tenant, and as long as a device points to them.

So a device that never says the same twice holds one report here, not one for each thing it said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from shieldwall.contract import strict_json
from shieldwall.contract.ids import Digest, TenantId
from shieldwall.contract.status import StatusReport
from shieldwall.server.storage.engine.database import insert_ignoring
from shieldwall.server.storage.inventory import inventory_rows
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.schema import check_ins, status_documents

_OF_TENANT: Final = status_documents.c.tenant_id == bindparam("tenant")
_EXISTS: Final = select(status_documents.c.digest).where(_OF_TENANT, status_documents.c.digest == bindparam("digest"))
_BODIES: Final = select(status_documents.c.digest, status_documents.c.body).where(
    _OF_TENANT, status_documents.c.digest.in_(bindparam("digests", expanding=True))
)
_POINTING: Final = select(check_ins.c.device_id).where(
    check_ins.c.tenant_id == bindparam("tenant"), check_ins.c.status_digest == bindparam("digest")
)
_AT_A_TIME: Final = 32
"""Reports that are read at a time. Each may have a megabyte, and take twenty times as much once it is decoded."""
_REMOVE: Final = delete(status_documents).where(
    _OF_TENANT, status_documents.c.digest == bindparam("digest"), ~_POINTING.exists()
)


def keep(connection: Connection, tenant_id: TenantId, report: StatusReport) -> Digest:
    """Keep a report once, and return the digest that names it."""
    body = strict_json.encode(report)
    digest = strict_json.digest_of_bytes(body)
    row = {"tenant_id": tenant_id, "digest": digest, "body": body, **inventory_rows.counted(report)}
    connection.execute(insert_ignoring(connection, status_documents), row)
    return digest


def remove_unused(connection: Connection, tenant_id: TenantId, digest: Digest) -> None:
    """Let go of a report unless a device points to it.

    One writer makes all changes to reports (``group_commit``), so none comes to point to it meanwhile.
    """
    connection.execute(_REMOVE, {"tenant": tenant_id, "digest": digest})


def exists(connection: Connection, tenant_id: TenantId, digest: Digest) -> bool:
    """Say whether this tenant keeps a report of this name: what others sent is nobody else's to point to."""
    return connection.execute(_EXISTS, {"tenant": tenant_id, "digest": digest}).one_or_none() is not None


def find(connection: Connection, tenant_id: TenantId, digest: Digest) -> StatusReport | None:
    """Return a report, ``None`` when there is none of this name."""
    return next((report for _, report in read_each(connection, tenant_id, [digest])), None)


def read_each(
    connection: Connection, tenant_id: TenantId, digests: Collection[Digest]
) -> Iterator[tuple[Digest, StatusReport]]:
    """Yield the reports that are there, one after the other: whoever keeps none needs no more memory for many.

    A device says as much as it likes, and so do all that somebody with a package brings along.
    """
    for portion in portions(sorted(digests), _AT_A_TIME):
        for digest, body in connection.execute(_BODIES, {"tenant": tenant_id, "digests": portion}).all():
            yield Digest(digest), strict_json.decode(body, StatusReport)
