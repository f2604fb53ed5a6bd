"""What follows when a device's TPM has answered: it is let in, or waits for an administrator like any other."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from shieldwall.contract.registration import AttestRequest, PendingAnswer, RegisterAnswer
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import follow, hold_device
from shieldwall.server.directory.registration import let_in, same_hardware
from shieldwall.server.inventory.attestation import REQUIRED, AttestationRequiredError, NoOpenChallengeError, prove
from shieldwall.server.inventory.onboarding import pending_answer, reason_to_wait, register_answer
from shieldwall.server.inventory.pending import ATTESTATION, CertificateIssuer, certify
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import AttestationLevel, Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.onboarding import packages


def attested(
    connection: Connection, acting: Acting, signer: CertificateIssuer, device: Device, answer: AttestRequest
) -> RegisterAnswer | PendingAnswer:
    """Take the answer of a device's TPM, and tell the device how its registration goes on.

    Raises:
        NoOpenChallengeError: Nothing is asked of it, or it is in another state by now.
        AttestationFailedError: The proof does not hold; nothing has changed.
        AttestationRequiredError: Its TPM, trusted when it registered, is trusted no more.
    """
    before = hold_device(connection, acting, device.id)
    if before.state is not device.state:
        raise NoOpenChallengeError(f"The device {device.id} is {before.state.value} now.")
    prove(connection, acting, device, answer)
    device = follow(connection, acting, before)
    if device.state is DeviceState.PENDING and device.state_reason == ATTESTATION:
        device = _gone_on(connection, signer, device)
        if device.state is not DeviceState.PENDING:
            let_in(connection, acting, device)
    if device.state is DeviceState.PENDING:
        return pending_answer(device, acting.clock.now())
    return register_answer(
        devices.get(connection, device.id), check_ins.get(connection, device.id).epoch, acting.clock.now()
    )


def _gone_on(connection: Connection, signer: CertificateIssuer, device: Device) -> Device:
    package = None if device.package_id is None else packages.find(connection, device.package_id)
    assert package is not None, "nobody registers without a package"
    if package.attestation == REQUIRED and device.attestation_level is not AttestationLevel.TPM:
        raise AttestationRequiredError("The TPM of this device is trusted no more.")
    # Others that still wait do not count: whoever comes second is the one to wait.
    twins = tuple(each for each in same_hardware(connection, device) if each.state is not DeviceState.PENDING)
    reason = reason_to_wait(package, twins)
    if reason is None:
        return certify(connection, signer, device)
    waiting = replace(device, state_reason=reason, replaces=device.replaces or (twins[0].id if twins else None))
    devices.put(connection, waiting)
    return waiting
