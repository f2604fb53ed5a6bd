"""Counting anew: a device whose numbers were refused, because its disk was set back or copied, asks for a new epoch.

One resync in a day says nothing: a snapshot was restored. Every one is kept as a sighting and in the audit trail, and
``clones`` decides what several of them mean.
"""

from __future__ import annotations

from sqlalchemy import Connection

from shieldwall.contract.ids import Digest
from shieldwall.contract.registration import ResyncRequest
from shieldwall.server.directory.acting import Acting
from shieldwall.server.inventory.nonces import BadNonceError, NonceSealer
from shieldwall.server.manager import clone_watch
from shieldwall.server.manager.turns import CallingDevice, speaking
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices.sightings import SightingKind
from shieldwall.server.storage.onboarding import nonces


def resync(
    connection: Connection,
    acting: Acting,
    caller: CallingDevice,
    request: ResyncRequest,
    body_digest: Digest,
    *,
    sealer: NonceSealer,
) -> int:
    """Start a new epoch for a device and return it; its numbers begin after 0.

    Raises:
        DeviceNotActiveError: The device may not speak any more, or not with this key.
        CertificateExpiredError: Its certificate has ended.
        BadNonceError: The nonce is not ours, too old, or used.
    """
    now = acting.clock.now()
    device = speaking(connection, caller, now)
    nonce = sealer.open(request.nonce, caller.tenant_id, now)
    nonces.remove_expired(connection, now)
    if not nonces.use(connection, caller.tenant_id, nonce.digest, nonce.expires_at):
        raise BadNonceError("The nonce has been used.")
    epoch = check_ins.start_epoch(connection, caller.id)
    acting.record(
        connection,
        "device.resynced",
        "device",
        device.id,
        name=device.display_name,
        reason=request.reason,
        instance=request.instance_id,
        epoch=epoch,
    )
    clone_watch.saw(
        connection,
        acting,
        caller.id,
        kind=SightingKind.RESYNC,
        instance_id=request.instance_id,
        boot_id=request.boot_id,
        request_digest=body_digest,
        epoch=epoch,
    )
    return epoch
