"""Devices that wait for an administrator: let in, turned away, or put in the place of the machine's former self."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, PackageId, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import get_device, hold_device, retire
from shieldwall.server.directory.enrollment import enrolled
from shieldwall.server.directory.membership import add_members
from shieldwall.server.directory.registration import PACKAGE_REVOKED, REJECTED, let_in, same_hardware
from shieldwall.server.storage.device_records import AttestationLevel, Device, DeviceState
from shieldwall.server.storage.devices import device_moves, device_states, devices
from shieldwall.server.storage.events.alerts import Alert, Severity, raise_alert, resolve_of_device
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.records import MembershipCause
from shieldwall.trust.device_certificate import read_certificate
from shieldwall.trust.device_key import public_key_from_bytes, public_key_info

APPROVAL: Final = "approval"
DUPLICATE_HARDWARE: Final = "duplicateHardware"
ATTESTATION: Final = "attestation"
REPLACED: Final = "replaced"
SILENT_BEFORE_REPLACED: Final = timedelta(days=30)


class NotPendingError(ShieldwallError):
    """The device does not wait for an administrator."""

    code = "notPending"
    remedy = "Look at the device's state; only one that waits for approval can be approved or rejected."


class NothingToReplaceError(ShieldwallError):
    """The device is not known to follow another one."""

    code = "nothingToReplace"
    remedy = "Approve the device without replacing one; retire the other device yourself."


class CertificateIssuer(Protocol):
    """What letting a device in needs of the signer."""

    def issue_certificate(self, *, spki: bytes, tenant_id: TenantId, device_id: DeviceId) -> str:
        """Certify that a key is a device's; the answer is PEM."""
        ...


def approve(
    connection: Connection, acting: Acting, signer: CertificateIssuer, device_id: DeviceId, *, replaces: bool = False
) -> Device:
    """Let a device in; with ``replaces`` it takes the place of the one that it seems to be the successor of.

    Raises:
        NotFoundError: There is no such device.
        NotPendingError: It does not wait for an administrator.
        NothingToReplaceError: It follows no other device.
    """
    before = _waiting(connection, acting, device_id)
    if before.state_reason == ATTESTATION:
        raise NotPendingError(f"The device {device_id} has not proven its TPM yet.")
    if replaces and before.replaces is None:
        raise NothingToReplaceError(f"The device {device_id} follows no other device.")
    device = certify(connection, signer, before)
    acting.record(connection, "device.approved", "device", device_id, name=device.display_name)
    _settled(connection, acting, device_id)
    if replaces and before.replaces is not None:
        return replace_device(connection, acting, device_id, before.replaces)
    let_in(connection, acting, device)
    return get_device(connection, acting.tenant_id, device_id)


def certify(connection: Connection, signer: CertificateIssuer, before: Device) -> Device:
    """Make a device that has waited active: its key gets a certificate."""
    certificate = signer.issue_certificate(
        spki=public_key_info(public_key_from_bytes(before.public_key)),
        tenant_id=before.tenant_id,
        device_id=before.id,
    )
    device_states.put_certificate(
        connection,
        before.id,
        before.key_thumbprint,
        certificate=certificate,
        expires_at=read_certificate(certificate).not_after,
    )
    device = enrolled(connection, replace(before, state=DeviceState.ACTIVE, state_reason=None))
    devices.put(connection, device)
    return device


def reject(connection: Connection, acting: Acting, device_id: DeviceId) -> Device:
    """Turn a device away; its key opens nothing, and its request is answered so.

    Raises:
        NotFoundError: There is no such device.
        NotPendingError: It does not wait for an administrator.
    """
    _waiting(connection, acting, device_id)
    return _turned_away(connection, acting, device_id, "device.rejected", REJECTED)


def drop_pending_of(connection: Connection, acting: Acting, package_id: PackageId) -> int:
    """Turn away every device that still waits and came with this package; say how many there were."""
    waiting = device_moves.pending_of_package(connection, package_id)
    for device_id in waiting:
        _turned_away(connection, acting, device_id, "device.dropped", PACKAGE_REVOKED)
    return len(waiting)


def duplicates(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> tuple[Device, ...]:
    """Return a device and, after it, the others that named the same hardware. Raises: NotFoundError."""
    device = get_device(connection, tenant_id, device_id)
    return (device, *same_hardware(connection, device))


def replace_device(connection: Connection, acting: Acting, device_id: DeviceId, former_id: DeviceId) -> Device:
    """Let a device take the place of another: tags, assigned groups and what administrators noted; that one retires.

    Raises:
        NotFoundError: One of them is not there.
    """
    device = hold_device(connection, acting, device_id)
    former = hold_device(connection, acting, former_id)
    taken = group_members.memberships(connection, [former_id])[former_id]
    assigned = sorted(each for each in taken if not groups.get(connection, each).is_dynamic)
    for group_id in assigned:
        group = groups.get(connection, group_id)
        acting.tell(connection, add_members(connection, acting, group, [device_id], MembershipCause.ADDED))
    device = replace(
        device,
        tags=tuple(sorted({*device.tags, *former.tags})),
        device_category=device.device_category or former.device_category,
        device_ownership=former.device_ownership,
        extension_attributes=former.extension_attributes | device.extension_attributes,
        notes=device.notes or former.notes,
        managed_name=device.managed_name or former.managed_name,
        replaces=None,
    )
    device = enrolled(connection, device)
    devices.put(connection, device)
    acting.record(
        connection,
        "device.replaced",
        "device",
        former_id,
        name=former.display_name,
        by=device_id,
        groups=assigned,
    )
    if former.state is not DeviceState.RETIRED:
        retire(connection, acting, former_id, reason=REPLACED)
    let_in(connection, acting, device)
    return device


def may_replace_itself(device: Device, former: Device, last_check_in: datetime | None, now: datetime) -> bool:
    """Say whether a device is so surely the successor of another that a tenant's rule may put it in its place.

    Both show the same TPM, and the other one has been silent for thirty days.
    """
    if device.replaces != former.id or device.tpm_ek_hash is None or device.tpm_ek_hash != former.tpm_ek_hash:
        return False
    if device.attestation_level is AttestationLevel.NONE:
        return False  # it only says so
    return now - (last_check_in or former.registered_at) >= SILENT_BEFORE_REPLACED


def tell_of_duplicates(connection: Connection, acting: Acting, device: Device, twins: tuple[Device, ...]) -> None:
    """Raise an alert, and leave a trace, of a machine that came with another key."""
    others = tuple(twin.id for twin in twins)
    acting.record(connection, "device.duplicateHardware", "device", device.id, name=device.display_name, others=others)
    now = acting.clock.now()
    raise_alert(
        connection,
        Alert(
            id=acting.new_id(),
            tenant_id=acting.tenant_id,
            device_id=device.id,
            kind=DUPLICATE_HARDWARE,
            severity=Severity.MEDIUM,
            title="A machine that is here already registered with another key",
            details=strict_json.encode({"device": device.id, "others": others}).decode(),
            first_at=now,
            last_at=now,
        ),
    )


def _waiting(connection: Connection, acting: Acting, device_id: DeviceId) -> Device:
    device = hold_device(connection, acting, device_id)
    if device.state is not DeviceState.PENDING:
        raise NotPendingError(f"The device {device_id} does not wait: it is {device.state.value}.")
    return device


def _turned_away(connection: Connection, acting: Acting, device_id: DeviceId, activity: str, reason: str) -> Device:
    device = retire(connection, acting, device_id, activity=activity, reason=reason, state_reason=reason)
    _settled(connection, acting, device_id)
    return device


def _settled(connection: Connection, acting: Acting, device_id: DeviceId) -> None:
    """Close the alert about a duplicate: somebody has decided."""
    resolve_of_device(
        connection, acting.tenant_id, device_id, DUPLICATE_HARDWARE, by=acting.actor, at=acting.clock.now()
    )
