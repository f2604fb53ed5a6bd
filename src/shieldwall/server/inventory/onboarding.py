"""Onboarding a device: from a signed request and a package to an identity of its own.

The gateway has read the certificate request with ``read_certificate_request`` and checked the request's signature
with the key in it. What follows happens in one transaction, in the order of the device-trust protocol.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.messages import SHORTEST_CHECK_IN_SECONDS, WHOLE_MANIFESTS
from shieldwall.contract.registration import (
    KeyChangeRequest,
    PendingAnswer,
    PendingReason,
    PromoteRequest,
    RegisterAnswer,
    RegisterRequest,
)
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.facts import with_facts
from shieldwall.server.directory.registration import (
    FIRST_EPOCH,
    DuplicateKeyError,
    find_registration,
    register,
    same_hardware,
)
from shieldwall.server.inventory import attestation, credentials, package_watch
from shieldwall.server.inventory.claims import Asked, proven_registration
from shieldwall.server.inventory.joining import find_join, is_to_be_renewed, join
from shieldwall.server.inventory.nonces import BadNonceError, NonceSealer
from shieldwall.server.inventory.package_check import (
    PackageExhaustedError,
    PackageRevokedError,
    check_package,
)
from shieldwall.server.inventory.pending import (
    APPROVAL,
    ATTESTATION,
    DUPLICATE_HARDWARE,
    CertificateIssuer,
    tell_of_duplicates,
)
from shieldwall.server.storage.device_records import Device, DeviceState, Registration
from shieldwall.server.storage.devices.registrations import ExistingRegistration
from shieldwall.server.storage.onboarding import nonces, packages
from shieldwall.server.storage.records import OnboardingPackageRecord
from shieldwall.trust import moments, strict_base64
from shieldwall.trust.certificate_request import BadCertificateRequestError, CertificateRequestFacts, read_request
from shieldwall.trust.device_certificate import read_certificate
from shieldwall.trust.device_key import public_key_bytes, thumbprint
from shieldwall.trust.onboarding import BadOnboardingProofError, check_proof, older_proven_body, proven_body

RETRY_AFTER_SECONDS: Final = 60
_NO_KEY: Final = bytes(32)
_WAITS: Final = MappingProxyType[str, PendingReason](
    {APPROVAL: "approval", DUPLICATE_HARDWARE: "duplicateHardware", ATTESTATION: "attestation"}
)


def read_certificate_request(request: RegisterRequest | KeyChangeRequest | PromoteRequest) -> CertificateRequestFacts:
    """Read the certificate request in a message. Raises: BadCertificateRequestError."""
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
    make_random: Callable[[int], bytes] = secrets.token_bytes

    def __call__(
        self,
        connection: Connection,
        request: RegisterRequest,
        certified: CertificateRequestFacts,
        request_digest: Digest,
        newcomer: DeviceId | None = None,
    ) -> RegisterAnswer | PendingAnswer:
        """Give the sender of this request an identity, or let it wait for one.

        ``certified`` comes from ``read_certificate_request``; its key has signed the body that ``request_digest``
        names. A request with the join type ``full`` makes a full registration and no device yet. ``newcomer`` is the id
        of whoever gets a new one, for callers that undo this and run it again; else one is drawn.

        Raises:
            DuplicateKeyError: The key is another registration's.
            RegistrationRejectedError: An administrator did not let it in.
            BadNonceError: The nonce is not ours, too old, or used.
            BadOnboardingProofError: The sender does not hold the package it names.
            PackageRefusedError: The package does not let it in; each reason is a subclass.
            ShieldwallError: The existing registration it names may not be used (``inventory.claims``).
        """
        now = self.clock.now()
        asked = Asked(request=request, certified=certified, digest=request_digest)
        newcomer = newcomer or DeviceId(self.new_id())

        # 1. The answer to this very request was lost on its way, or was "wait": say how it stands.
        if (known := self._known(connection, asked, now)) is not None:
            return known

        # 2. We made the nonce, for this tenant, within the last five minutes.
        nonce = self.sealer.open(certified.nonce, self.tenant_id, now)

        # 3. The sender holds the package it names. Only then does it hear what is wrong with the package.
        package = self._proven_package(connection, request, certified)

        # 4. The package is valid now, for this platform and this kind of registration.
        check_package(package, request, now)

        # 5. It holds the key of the existing registration it names, if any, and that may be used.
        proof = request.shieldwall.existing
        existing = (
            None
            if proof is None or request.join_type == "full"
            else proven_registration(connection, self.tenant_id, asked, proof, now)
        )

        # 6. The nonce and one use of the package are used up, exactly, however many ask at once.
        nonces.remove_expired(connection, now)
        if not nonces.use(connection, self.tenant_id, nonce.digest, nonce.expires_at):
            if (twin := self._known(connection, asked, now)) is not None:
                return twin  # sent twice, and the other one was quicker
            raise BadNonceError("The nonce has been used.")
        if not packages.take_use(connection, package.id):
            raise PackageExhaustedError(f"The onboarding package has been used {package.max_uses} times.")

        # 7. The device enters the directory under its id: it is let in at once, or waits for an administrator.
        if request.join_type == "full":
            return self._joined(join(connection, self._acting(certified), self.signer, asked, newcomer), now)
        return self._registered(connection, asked, package, existing, newcomer)

    def note_refusal(
        self, connection: Connection, request: RegisterRequest, certified: CertificateRequestFacts, code: str
    ) -> None:
        """Note that a package let somebody not in who holds it. Its own transaction: the other one is undone."""
        package_id = request.shieldwall.onboarding.package_id
        package_watch.note_refusal(connection, self._acting(certified), package_id, code)

    def _known(
        self, connection: Connection, asked: Asked[RegisterRequest], now: datetime
    ) -> RegisterAnswer | PendingAnswer | None:
        """Answer a request that had its effect before; ``None`` where its key is new here."""
        joined = find_join(connection, self.tenant_id, asked.certified)
        if joined is not None and asked.request.join_type != "full":
            raise DuplicateKeyError("The key of this request is that of an existing registration.")
        if joined is not None and not is_to_be_renewed(joined, now):
            return self._joined(joined, now)
        key = thumbprint(asked.certified.public_key)
        device = find_registration(connection, self.tenant_id, key, asked.digest)
        if device is None:
            return None
        if device.state is DeviceState.ACTIVE:
            acting = replace(self._acting(asked.certified), actor=f"device:{device.id}")
            certificate = credentials.present(connection, acting, self.signer, device.id)
            if certificate is None:
                raise DuplicateKeyError("The certificate of this key ended too long ago to be renewed.")
            device = replace(device, certificate=certificate)
        return self._answer(connection, device, now)

    def _proven_package(
        self, connection: Connection, request: RegisterRequest, certified: CertificateRequestFacts
    ) -> OnboardingPackageRecord:
        proof = request.shieldwall.onboarding
        package = packages.find(connection, proof.package_id)
        belongs = package is not None and package.tenant_id == self.tenant_id
        key = package.key if package is not None and belongs else _NO_KEY
        is_older = request.shieldwall.protocol < WHOLE_MANIFESTS
        body = older_proven_body(request) if is_older else proven_body(request)
        check_proof(key, self.tenant_id, certified.nonce, certified.spki, body, mac=proof.mac)
        if package is None or not belongs:  # whoever proved holding no key at all
            raise BadOnboardingProofError("The proof of onboarding does not fit the package, the key and the request.")
        return package

    def _registered(
        self,
        connection: Connection,
        asked: Asked[RegisterRequest],
        package: OnboardingPackageRecord,
        existing: ExistingRegistration | None,
        newcomer: DeviceId,
    ) -> RegisterAnswer | PendingAnswer:
        acting = self._acting(asked.certified)
        found = attestation.shown(
            connection, package, asked.request.shieldwall, asked.certified.public_key, acting.clock.now()
        )
        device = new_device(asked, package, existing, acting, newcomer)
        twins = same_hardware(connection, device)
        device = replace(device, replaces=twins[0].id if twins else None)
        if (reason := ATTESTATION if found else reason_to_wait(package, twins)) is not None:
            device = replace(device, state=DeviceState.PENDING, state_reason=reason)
        else:
            device = self._certified(device, asked.certified)
        details = asked.request.shieldwall
        facts = None if details.facts is None else strict_json.digest_of(details.facts)
        acting = replace(acting, actor=f"device:{device.id}")
        device = register(connection, acting, device, facts=facts, protocol=details.protocol)
        package_watch.note_use(connection, acting, package)
        if twins:
            tell_of_duplicates(connection, acting, device, twins)
        if found is not None:
            attestation.ask(connection, device, found, acting.clock.now(), self.make_random)
        return self._answer(connection, device, acting.clock.now())

    def _certified(self, device: Device, certified: CertificateRequestFacts) -> Device:
        certificate = self.signer.issue_certificate(spki=certified.spki, tenant_id=self.tenant_id, device_id=device.id)
        return replace(device, certificate=certificate, certificate_expires_at=read_certificate(certificate).not_after)

    def _acting(self, certified: CertificateRequestFacts) -> Acting:
        return Acting(
            tenant_id=self.tenant_id,
            actor=f"key:{thumbprint(certified.public_key)}",
            clock=self.clock,
            new_id=self.new_id,
            on_devices_changed=self.on_devices_changed,
        )

    def _answer(self, connection: Connection, device: Device, now: datetime) -> RegisterAnswer | PendingAnswer:
        if device.state is DeviceState.RETIRED:
            raise PackageRevokedError("The onboarding package was revoked before the device was let in.")
        if device.state is DeviceState.PENDING:
            answer = pending_answer(device, now)
            return attestation.with_challenge(connection, device, answer, now, self.make_random)
        return register_answer(device, FIRST_EPOCH, now)

    def _joined(self, registration: ExistingRegistration, now: datetime) -> RegisterAnswer:
        return RegisterAnswer(
            tenant_id=self.tenant_id,
            device_id=registration.device_id,
            certificate=registration.certificate,
            epoch=FIRST_EPOCH,
            next_check_in_seconds=SHORTEST_CHECK_IN_SECONDS,
            server_time=moments.write(now),
        )


def register_answer(device: Device, epoch: int, now: datetime) -> RegisterAnswer:
    """Tell a device who it is."""
    return RegisterAnswer(
        tenant_id=device.tenant_id,
        device_id=device.id,
        certificate=device.certificate,
        epoch=epoch,
        next_check_in_seconds=SHORTEST_CHECK_IN_SECONDS,
        server_time=moments.write(now),
    )


def pending_answer(device: Device, now: datetime) -> PendingAnswer:
    """Tell a device that it has to wait, and for what."""
    return PendingAnswer(
        tenant_id=device.tenant_id,
        device_id=device.id,
        reason=_WAITS[device.state_reason or APPROVAL],
        retry_after_seconds=RETRY_AFTER_SECONDS,
        server_time=moments.write(now),
    )


def new_device(
    asked: Asked[RegisterRequest],
    package: OnboardingPackageRecord,
    existing: ExistingRegistration | None,
    acting: Acting,
    newcomer: DeviceId,
) -> Device:
    """Describe the device that a request speaks of: under the id of its existing registration, or as a newcomer."""
    request, certified, details = asked.request, asked.certified, asked.request.shieldwall
    device = Device(
        id=newcomer if existing is None else existing.device_id,
        object_id=acting.new_id() if existing is None else existing.object_id,
        tenant_id=acting.tenant_id,
        display_name=request.device_display_name,
        registration=Registration.SYNTHETIC if existing is None else Registration.FULL,
        trust_type=None if existing is None else existing.trust_type.value,
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
        certificate="",
        request_digest=asked.digest,
        instance_id=details.instance_id,
        machine_id_hash=details.hardware.machine_id_hash,
        smbios_uuid_hash=details.hardware.smbios_uuid_hash,
        tpm_ek_hash=details.hardware.tpm_ek_hash,
        package_id=package.id,
        enrollment_profile_name=package.display_name,
        registered_at=acting.clock.now(),
        retired_at=None,
    )
    return device if details.facts is None else with_facts(device, details.facts)


def reason_to_wait(package: OnboardingPackageRecord, twins: tuple[Device, ...]) -> PendingReason | None:
    """Say why a device that came with this package, and is like these others, needs an administrator's word."""
    if twins:
        return "duplicateHardware"
    return "approval" if package.approval == "manual" else None
