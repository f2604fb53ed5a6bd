"""How a device gets into the directory: with a registration of its own, or with one that was there before it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import Digest, KeyThumbprint, TenantId
from shieldwall.contract.messages import PROTOCOL
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.enrollment import enrolled
from shieldwall.server.directory.membership import reevaluate_device
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import device_moves, devices, spent_keys
from shieldwall.server.storage.devices.spent_keys import SpentKey
from shieldwall.server.storage.errors import AlreadyExistsError
from shieldwall.server.storage.records import MembershipCause

FIRST_EPOCH: Final = 1
"""The epoch in which a new device counts its requests."""
REJECTED: Final = "rejected"
"""Why a registration is retired that an administrator did not let in."""
PACKAGE_REVOKED: Final = "packageRevoked"
"""Why a registration is retired that waited when its package was revoked."""


class DuplicateKeyError(ShieldwallError):
    """The key is the identity of another registration, for ever, also after that has ended."""

    code = "duplicateKey"
    remedy = "Let the agent make a new key and onboard again."


class RegistrationRejectedError(ShieldwallError):
    """An administrator did not let this device in."""

    code = "registrationRejected"
    remedy = "Ask the administrator why; then let the agent onboard anew, with a new package."


def find_registration(
    connection: Connection, tenant_id: TenantId, thumbprint: KeyThumbprint, request_digest: Digest
) -> Device | None:
    """Return the device that this very request made in this tenant before, ``None`` where the key is new.

    The device is active or pending, or was dropped because its package was revoked.

    Raises:
        RegistrationRejectedError: An administrator rejected it.
        DuplicateKeyError: The key registered with another request or in another tenant, or that device may not speak
            any more.
    """
    device = devices.find_by_key(connection, thumbprint)
    if device is None:
        if spent_keys.find(connection, thumbprint) is not None:
            raise DuplicateKeyError("The key of this request has been registered before.")
        return None
    if device.tenant_id == tenant_id and device.request_digest == request_digest:
        if device.state in {DeviceState.ACTIVE, DeviceState.PENDING}:
            return device
        if device.state is DeviceState.RETIRED and device.state_reason == PACKAGE_REVOKED:
            return device
        if device.state is DeviceState.RETIRED and device.state_reason == REJECTED:
            raise RegistrationRejectedError("An administrator did not let this device in.")
    raise DuplicateKeyError("The key of this request has been registered before.")


def register(
    connection: Connection, acting: Acting, device: Device, *, facts: Digest | None = None, protocol: int = PROTOCOL
) -> Device:
    """Take a new device into the directory and into the dynamic groups that name it; its requests are counted from 0.

    ``facts`` names what it said of itself along with the request, ``protocol`` is what it understands. Where the
    registration was used before, by a device that has left, that one makes room.

    Raises:
        DuplicateKeyError: Its key is taken.
    """
    before = devices.find(connection, device.id)
    if before is not None and before.tenant_id == device.tenant_id and before.state is DeviceState.RETIRED:
        spend_key(connection, acting, before, "reonboarded")
        device_moves.remove(connection, before.tenant_id, before.id)
    device = enrolled(connection, device)
    try:
        devices.add(connection, device)
    except AlreadyExistsError as error:
        raise DuplicateKeyError("The key of this request has been registered before.") from error
    acting.record(
        connection,
        "device.registered",
        "device",
        device.id,
        name=device.display_name,
        package=device.package_id,
        registration=device.registration.value,
        pending=device.state_reason if device.state is DeviceState.PENDING else None,
    )
    check_ins.add(connection, device.id, epoch=FIRST_EPOCH, protocol=min(protocol, PROTOCOL))
    if facts is not None:
        check_ins.set_facts(connection, device.id, facts)
    reevaluate_device(connection, acting, device, MembershipCause.DEVICE_REGISTERED)
    if device.state is not DeviceState.PENDING:
        acting.tell(connection, [device.id])
    return device


def let_in(connection: Connection, acting: Acting, device: Device) -> None:
    """Bring a device that is active now into its groups, and aim policies at it."""
    reevaluate_device(connection, acting, device)
    acting.tell(connection, [device.id])


def spend_key(
    connection: Connection, acting: Acting, device: Device, reason: str, *, is_repeatable: bool = False
) -> None:
    """Remember that a key was an identity once; the request that ends it may be repeated where that is said."""
    spent_keys.add(
        connection,
        SpentKey(
            thumbprint=device.key_thumbprint,
            tenant_id=device.tenant_id,
            device_id=device.id,
            reason=reason,
            spent_at=acting.clock.now(),
            public_key=device.public_key if is_repeatable else None,
        ),
    )


def same_hardware(connection: Connection, device: Device) -> tuple[Device, ...]:
    """Return the other devices, not retired, that named the same hardware, those first that were let in, newest first.

    Nothing is merged or evicted on the word of hashes that a copy of the disk carries too.
    """
    others = devices.list_same_hardware(
        connection,
        device.tenant_id,
        machine_id_hash=device.machine_id_hash,
        smbios_uuid_hash=device.smbios_uuid_hash,
        tpm_ek_hash=device.tpm_ek_hash,
    )
    newest_first = sorted(others, key=lambda other: (other.registered_at, other.id), reverse=True)
    found = sorted(newest_first, key=lambda other: other.state is DeviceState.PENDING)
    return tuple(other for other in found if other.id != device.id)
