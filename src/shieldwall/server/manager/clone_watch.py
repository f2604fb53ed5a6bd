"""Watching where each identity is at work: sightings kept, clones put into quarantine, and let out of it.

A device in quarantine may check in and report, keeps what it enforces, and gets only what strengthens that. Neither of
the two machines is believed more than the other: an administrator finds out which is which.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, Digest
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import CLONED_IDENTITY, WrongDeviceStateError, follow, hold_device
from shieldwall.server.manager.clones import CloneSign, sign_of_clone
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import device_states, sightings
from shieldwall.server.storage.devices.sightings import Sighting, SightingKind
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity

_MOST_SHOWN: Final = 8
_ALERT: Final = "The identity of this device is at work on two machines"


def saw(
    connection: Connection,
    acting: Acting,
    device_id: DeviceId,
    *,
    kind: SightingKind,
    instance_id: str,
    boot_id: str,
    request_digest: Digest,
    epoch: int,
) -> bool:
    """Keep where a device was seen, and put it into quarantine if that gives a clone away; say whether it did."""
    before = sightings.of_device(connection, device_id)
    sighting = Sighting(
        tenant_id=acting.tenant_id,
        device_id=device_id,
        at=acting.clock.now(),
        kind=kind,
        instance_id=instance_id,
        boot_id=boot_id,
        request_digest=request_digest,
        epoch=epoch,
    )
    sightings.add(connection, sighting, before)
    sign = sign_of_clone((*before, sighting))
    return sign is not None and _quarantine(connection, acting, device_id, sign, (*before, sighting))


def release(connection: Connection, acting: Acting, device_id: DeviceId) -> Device:
    """End the quarantine of a device, after the other machine has got an identity of its own or is gone.

    Its requests are counted anew: a machine that goes on by the old numbers shows itself. What was seen before counts
    no more.

    Raises:
        NotFoundError: There is no such device.
        WrongDeviceStateError: It is not in quarantine.
    """
    device = hold_device(connection, acting, device_id)
    if not device_states.move(connection, device_id, of={DeviceState.QUARANTINED}, to=DeviceState.ACTIVE, reason=None):
        raise WrongDeviceStateError(f"The device {device.display_name!r} is not in quarantine.")
    epoch = check_ins.start_epoch(connection, device_id)
    sighting = Sighting(
        tenant_id=acting.tenant_id,
        device_id=device_id,
        at=acting.clock.now(),
        kind=SightingKind.RELEASED,
        instance_id=device.instance_id,
        boot_id="",
        request_digest=strict_json.digest_of_bytes(b""),
        epoch=epoch,
    )
    sightings.add(connection, sighting, sightings.of_device(connection, device_id))
    alerts.resolve_of_device(
        connection, acting.tenant_id, device_id, CLONED_IDENTITY, by=acting.actor, at=acting.clock.now()
    )
    acting.record(connection, "device.released", "device", device_id, name=device.display_name)
    return follow(connection, acting, device)


def _quarantine(
    connection: Connection, acting: Acting, device_id: DeviceId, sign: CloneSign, history: tuple[Sighting, ...]
) -> bool:
    before = hold_device(connection, acting, device_id)
    if not device_states.move(
        connection, device_id, of={DeviceState.ACTIVE}, to=DeviceState.QUARANTINED, reason=CLONED_IDENTITY
    ):
        return False
    device = follow(connection, acting, before)
    now = acting.clock.now()
    shown = [
        {"at": each.at.isoformat(), "kind": each.kind.value, "instanceId": each.instance_id, "bootId": each.boot_id}
        for each in history[-_MOST_SHOWN:]
    ]
    alerts.raise_alert(
        connection,
        Alert(
            id=acting.new_id(),
            tenant_id=acting.tenant_id,
            device_id=device_id,
            kind=CLONED_IDENTITY,
            severity=Severity.HIGH,
            title=_ALERT,
            details=strict_json.encode({"sign": sign.value, "sightings": shown}).decode(),
            first_at=now,
            last_at=now,
        ),
    )
    acting.record(
        connection,
        "device.quarantined",
        "device",
        device_id,
        name=device.display_name,
        reason=CLONED_IDENTITY,
        sign=sign.value,
    )
    return True
