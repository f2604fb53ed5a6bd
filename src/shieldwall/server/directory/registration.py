"""How a device gets into the directory. A device nobody registered before gets a synthetic registration."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, Digest, KeyThumbprint, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.membership import reevaluate_device
from shieldwall.server.storage import check_ins, devices
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.errors import AlreadyExistsError

FIRST_EPOCH: Final = 1
"""The epoch in which a new device counts its requests."""


class DuplicateKeyError(ShieldwallError):
    """The key is the identity of another registration, for ever, also after that has ended."""

    code = "duplicateKey"
    remedy = "Let the agent make a new key and onboard again."


def find_registration(connection: Connection, thumbprint: KeyThumbprint, request_digest: Digest) -> Device | None:
    """Return the device that this very request made before, ``None`` where the key is new.

    Raises:
        DuplicateKeyError: The key registered with another request, or that device is active no more.
    """
    device = devices.find_by_key(connection, thumbprint)
    if device is None:
        return None
    if device.request_digest != request_digest or device.state is not DeviceState.ACTIVE:
        raise DuplicateKeyError("The key of this request has been registered before.")
    return device


def register(connection: Connection, acting: Acting, device: Device) -> None:
    """Take a new device into the directory and into the dynamic groups that name it; its requests are counted from 0.

    A machine that seems to be here already is registered all the same, and the audit trail says so: nothing is merged
    or evicted on the word of hashes that a copy of the disk carries too.

    Raises:
        DuplicateKeyError: Its key is taken.
    """
    twins = same_hardware(connection, acting.tenant_id, device)
    try:
        devices.add(connection, device)
    except AlreadyExistsError as error:
        raise DuplicateKeyError("The key of this request has been registered before.") from error
    acting.record(
        connection, "device.registered", "device", device.id, name=device.display_name, package=device.package_id
    )
    if twins:
        acting.record(
            connection, "device.duplicateHardware", "device", device.id, name=device.display_name, others=twins
        )
    check_ins.add(connection, device.id, epoch=FIRST_EPOCH)
    reevaluate_device(connection, device)
    acting.tell(connection, [device.id])


def same_hardware(connection: Connection, tenant_id: TenantId, device: Device) -> tuple[DeviceId, ...]:
    """Return the other devices, not retired, that named the same hardware."""
    others = devices.list_same_hardware(
        connection,
        tenant_id,
        machine_id_hash=device.machine_id_hash,
        smbios_uuid_hash=device.smbios_uuid_hash,
    )
    return tuple(other.id for other in others if other.id != device.id)
