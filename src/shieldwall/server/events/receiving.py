"""What webhooks and subscriptions have in common: errors, limits, finding one, and where new ones begin."""

from __future__ import annotations

from urllib.parse import urlsplit

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import receivers
from shieldwall.server.storage.events.receivers import Receiver, Sort


class TooManyReceiversError(ShieldwallError):
    """A tenant has as many receivers as it may."""

    code = "tooManyReceivers"
    remedy = "Remove one that is not needed any more."


def get_receiver(connection: Connection, tenant_id: TenantId, sort: Sort, receiver_id: str) -> Receiver:
    """Return a receiver of a tenant. Raises: NotFoundError."""
    found = receivers.find(connection, tenant_id, sort, receiver_id)
    if found is None:  # the same answer for another tenant's, so that nobody learns of it
        raise NotFoundError(f"There is no {sort.value} {receiver_id[:64]}.")
    return found


def beginning(connection: Connection, tenant_id: TenantId, sort: Sort, most: int) -> int:
    """Return after which event a new receiver begins: it hears of what happens from now on.

    Raises:
        TooManyReceiversError: The tenant has ``most`` of this sort.
    """
    if receivers.count(connection, tenant_id, sort) >= most:
        raise TooManyReceiversError(f"There are {most} of this kind already.")
    return outbox.newest(connection)


def place_of(url: str) -> str:
    """Return scheme and host of an address for the audit trail: what follows may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
