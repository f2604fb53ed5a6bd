"""From a synthetic registration to the full one that has appeared: one device, under its new id, in one transaction.

Check-in state, report, facts, tags and memberships go with it; the synthetic object is gone and its key spent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, KeyThumbprint
from shieldwall.contract.registration import PromoteRequest, RegisterAnswer
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import hold_device
from shieldwall.server.directory.enrollment import enrolled
from shieldwall.server.directory.registration import DuplicateKeyError, let_in, spend_key
from shieldwall.server.inventory import credentials
from shieldwall.server.inventory.claims import Asked, proven_registration
from shieldwall.server.inventory.joining import find_join
from shieldwall.server.inventory.nonces import BadNonceError, NonceSealer
from shieldwall.server.inventory.onboarding import register_answer
from shieldwall.server.inventory.pending import CertificateIssuer
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import AttestationLevel, DeviceState, Registration
from shieldwall.server.storage.devices import device_moves, devices, spent_keys
from shieldwall.server.storage.errors import AlreadyExistsError
from shieldwall.server.storage.onboarding import nonces
from shieldwall.trust.device_certificate import read_certificate
from shieldwall.trust.device_key import public_key_bytes, thumbprint

PROMOTED: Final = "promoted"
"""Why a key is spent whose synthetic registration became a full one."""


class NotSyntheticError(ShieldwallError):
    """Only an active device with a synthetic registration can be promoted."""

    code = "notSynthetic"
    remedy = "Nothing needs doing where the device has its full registration; else look at its state."


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A device with a synthetic registration proves that it is the holder of a full one."""

    acting: Acting
    signer: CertificateIssuer
    sealer: NonceSealer

    def __call__(self, connection: Connection, device_id: DeviceId, asked: Asked[PromoteRequest]) -> RegisterAnswer:
        """Make the full registration the device; the synthetic key has signed the request, and it is its turn.

        Raises:
            NotSyntheticError: There is nothing to promote.
            BadNonceError: The nonce is not ours, too old, or used.
            DuplicateKeyError: The new key was an identity before.
            ShieldwallError: The registration may not be used (``inventory.claims``).
        """
        now, new_key = self.acting.clock.now(), thumbprint(asked.certified.public_key)
        before = hold_device(connection, self.acting, device_id)
        if before.registration is not Registration.SYNTHETIC or before.state is not DeviceState.ACTIVE:
            raise NotSyntheticError(f"The device {device_id} is no active device with a synthetic registration.")
        nonce = self.sealer.open(asked.certified.nonce, self.acting.tenant_id, now)
        found = proven_registration(connection, self.acting.tenant_id, asked, asked.request.existing, now)
        nonces.remove_expired(connection, now)
        if not nonces.use(connection, self.acting.tenant_id, nonce.digest, nonce.expires_at):
            raise BadNonceError("The nonce has been used.")
        if (
            spent_keys.find(connection, new_key) is not None
            or find_join(connection, self.acting.tenant_id, asked.certified) is not None
        ):
            raise DuplicateKeyError("The new key has been an identity before.")

        former = devices.find(connection, found.device_id)
        if former is not None and former.tenant_id == self.acting.tenant_id:  # it left, and makes room
            spend_key(connection, self.acting, former, "reonboarded")
            device_moves.remove(connection, former.tenant_id, former.id)
        certificate = self.signer.issue_certificate(
            spki=asked.certified.spki, tenant_id=self.acting.tenant_id, device_id=found.device_id
        )
        device = replace(
            before,
            id=found.device_id,
            object_id=found.object_id,
            registration=Registration.FULL,
            trust_type=found.trust_type.value,
            key_thumbprint=new_key,
            public_key=public_key_bytes(asked.certified.public_key),
            certificate=certificate,
            certificate_expires_at=read_certificate(certificate).not_after,
            request_digest=asked.digest,
            instance_id=asked.request.instance_id,
            attestation_level=AttestationLevel.NONE,
        )
        epoch = check_ins.get(connection, device_id).epoch + 1
        device = enrolled(connection, device)
        try:
            device_moves.hand_over(connection, device_id, device, epoch=epoch)
        except AlreadyExistsError as error:
            raise DuplicateKeyError("The new key has been an identity before.") from error
        spend_key(connection, self.acting, before, PROMOTED, is_repeatable=True)
        self.acting.record(
            connection, "device.promoted", "device", device_id, name=device.display_name, became=device.id
        )
        self.acting.record(
            connection, "device.promotedFrom", "device", device.id, name=device.display_name, was=device_id
        )
        let_in(connection, self.acting, device)
        return register_answer(device, epoch, now)

    def repeated(
        self, connection: Connection, old_key: KeyThumbprint, asked: Asked[PromoteRequest]
    ) -> RegisterAnswer | None:
        """Answer a promotion again that was made before by this very request, ``None`` where it was not."""
        spent = spent_keys.find(connection, old_key)
        device = devices.find_by_key(connection, thumbprint(asked.certified.public_key))
        if spent is None or spent.reason != PROMOTED or device is None or device.request_digest != asked.digest:
            return None
        certificate = credentials.present(connection, self.acting, self.signer, device.id)
        if certificate is None:
            return None
        epoch = check_ins.get(connection, device.id).epoch
        return register_answer(replace(device, certificate=certificate), epoch, self.acting.clock.now())
