"""Onboarding a device: from a signed request and a package to an identity of its own.

The gateway has read the certificate request with ``read_certificate_request`` and checked the request's signature
with the key in it. What follows happens in one transaction, in the order of the device-trust protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sqlalchemy import Connection

from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.messages import SHORTEST_CHECK_IN_SECONDS
from shieldwall.contract.registration import RegisterAnswer, RegisterRequest
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.registration import FIRST_EPOCH, find_registration, register
from shieldwall.server.inventory.nonces import BadNonceError, NonceSealer
from shieldwall.server.storage import nonces, packages
from shieldwall.server.storage.device_records import Device, DeviceState, Registration
from shieldwall.server.storage.records import OnboardingPackageRecord
from shieldwall.trust import moments, strict_base64
from shieldwall.trust.certificate_request import BadCertificateRequestError, CertificateRequestFacts, read_request
from shieldwall.trust.device_key import public_key_bytes, thumbprint
from shieldwall.trust.onboarding import BadOnboardingProofError, check_proof, proven_body

_NO_KEY: Final = bytes(32)


class PackageRefusedError(ShieldwallError):
    """The package does not let this device in; each reason is a subclass with its own code."""

    code = "packageRefused"
    remedy = "Ask the administrator for a new onboarding package."


class PackageNotYetValidError(PackageRefusedError):
    """Used before its time."""

    code = "packageNotYetValid"


class PackageExpiredError(PackageRefusedError):
    """Used after its time."""

    code = "packageExpired"


class PackageRevokedError(PackageRefusedError):
    """An administrator revoked it."""

    code = "packageRevoked"


class PackageExhaustedError(PackageRefusedError):
    """Used as often as it allows."""

    code = "packageExhausted"


class PlatformNotAllowedError(PackageRefusedError):
    """It is for other platforms."""

    code = "platformNotAllowed"


class CertificateIssuer(Protocol):
    """What onboarding needs of the signer."""

    def issue_certificate(self, *, spki: bytes, tenant_id: TenantId, device_id: DeviceId) -> str:
        """Certify that a key is a device's; the answer is PEM."""
        ...


def read_certificate_request(request: RegisterRequest) -> CertificateRequestFacts:
    """Read the certificate request of a registration. Raises: BadCertificateRequestError."""
    try:
        der = strict_base64.decode(request.certificate_request.data)
    except ValueError:
        raise BadCertificateRequestError("The certificate request is not base64.") from None
    return read_request(der)


@dataclass(frozen=True, slots=True, kw_only=True)
class Onboarding:
    """A device asks for an identity."""

    tenant_id: TenantId
    signer: CertificateIssuer
    sealer: NonceSealer
    clock: Clock
    new_id: Callable[[], str]
    on_devices_changed: Callable[[Connection, frozenset[DeviceId]], None]

    def __call__(
        self,
        connection: Connection,
        request: RegisterRequest,
        certified: CertificateRequestFacts,
        request_digest: Digest,
    ) -> RegisterAnswer:
        """Give the sender of this request an identity.

        ``certified`` comes from ``read_certificate_request``; its key has signed the body that ``request_digest``
        names.

        Raises:
            DuplicateKeyError: The key is another registration's.
            BadNonceError: The nonce is not ours, too old, or used.
            BadOnboardingProofError: The sender does not hold the package it names.
            PackageRefusedError: The package does not let it in; each reason is a subclass.
        """
        now = self.clock.now()

        # 1. The answer to this very request was lost on its way: give it again.
        key = thumbprint(certified.public_key)
        if (known := find_registration(connection, key, request_digest)) is not None:
            return self._answer(known, now)

        # 2. We made the nonce, for this tenant, within the last five minutes.
        nonce = self.sealer.open(certified.nonce, self.tenant_id, now)

        # 3. The sender holds the package it names. Only then does it hear what is wrong with the package.
        package = self._proven_package(connection, request, certified)

        # 4. The package is valid now, for this platform.
        _check(package, request, now)

        # 5. The nonce and one use of the package are used up, exactly, however many ask at once.
        nonces.remove_expired(connection, now)
        if not nonces.use(connection, self.tenant_id, nonce.digest, nonce.expires_at):
            if (twin := find_registration(connection, key, request_digest)) is not None:
                return self._answer(twin, now)  # sent twice, and the other one was quicker
            raise BadNonceError("The nonce has been used.")
        if not packages.take_use(connection, package.id):
            raise PackageExhaustedError(f"The onboarding package has been used {package.max_uses} times.")

        # 6. The device gets its id and certificate, and enters the directory and its groups; policies are aimed at it.
        device = self._device(request, certified, request_digest, package)
        register(connection, self._acting(device), device)
        return self._answer(device, now)

    def _proven_package(
        self, connection: Connection, request: RegisterRequest, certified: CertificateRequestFacts
    ) -> OnboardingPackageRecord:
        proof = request.shieldwall.onboarding
        package = packages.find(connection, proof.package_id)
        belongs = package is not None and package.tenant_id == self.tenant_id
        key = package.key if package is not None and belongs else _NO_KEY
        check_proof(key, self.tenant_id, certified.nonce, certified.spki, proven_body(request), mac=proof.mac)
        if package is None or not belongs:  # whoever proved holding no key at all
            raise BadOnboardingProofError("The proof of onboarding does not fit the package, the key and the request.")
        return package

    def _device(
        self,
        request: RegisterRequest,
        certified: CertificateRequestFacts,
        request_digest: Digest,
        package: OnboardingPackageRecord,
    ) -> Device:
        device_id = DeviceId(self.new_id())
        details = request.shieldwall
        return Device(
            id=device_id,
            object_id=self.new_id(),
            tenant_id=self.tenant_id,
            display_name=request.device_display_name,
            registration=Registration.SYNTHETIC,
            trust_type=None,
            state=DeviceState.ACTIVE,
            os_type=request.device_type,
            os_version=request.operating_system_version,
            architecture="",
            manufacturer="",
            model="",
            agent_version=details.agent_version,
            catalog_version="",
            managed_elsewhere=None,
            tags=package.tags,
            key_thumbprint=thumbprint(certified.public_key),
            public_key=public_key_bytes(certified.public_key),
            certificate=self.signer.issue_certificate(
                spki=certified.spki, tenant_id=self.tenant_id, device_id=device_id
            ),
            request_digest=request_digest,
            instance_id=details.instance_id,
            machine_id_hash=details.hardware.machine_id_hash,
            smbios_uuid_hash=details.hardware.smbios_uuid_hash,
            package_id=package.id,
            registered_at=self.clock.now(),
            retired_at=None,
        )

    def _acting(self, device: Device) -> Acting:
        return Acting(
            tenant_id=self.tenant_id,
            actor=f"device:{device.id}",
            clock=self.clock,
            new_id=self.new_id,
            on_devices_changed=self.on_devices_changed,
        )

    def _answer(self, device: Device, now: datetime) -> RegisterAnswer:
        return RegisterAnswer(
            tenant_id=self.tenant_id,
            device_id=device.id,
            certificate=device.certificate,
            epoch=FIRST_EPOCH,
            next_check_in_seconds=SHORTEST_CHECK_IN_SECONDS,
            server_time=moments.write(now),
        )


def _check(package: OnboardingPackageRecord, request: RegisterRequest, now: datetime) -> None:
    if package.revoked_at is not None:
        raise PackageRevokedError("The onboarding package has been revoked.")
    if now < package.not_before:
        raise PackageNotYetValidError(f"The onboarding package is valid from {moments.write(package.not_before)}.")
    if now >= package.not_after:
        raise PackageExpiredError(f"The onboarding package expired at {moments.write(package.not_after)}.")
    if request.device_type.lower() not in package.platforms:
        raise PlatformNotAllowedError(f"The onboarding package is not for {request.device_type}.")
