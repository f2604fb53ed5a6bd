"""Onboarding, in its order: survey → key → nonce → certificate request → proof → register → identity on disk.

The whole request is on disk before it is sent. When its answer is lost, the same request goes out again, and the server
gives the same identity again (it knows the key and the request).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from msgspec.structs import replace

from shieldwall import __version__
from shieldwall.agent.service import attesting
from shieldwall.agent.service.errors import (
    AlreadyOnboardedError,
    ProblemAnswerError,
    RegistrationPendingError,
    UnsuitablePackageError,
    UnusableAnswerError,
)
from shieldwall.agent.service.gateway import Empty, Gateway
from shieldwall.agent.service.ports import Machine, Randomness
from shieldwall.agent.service.records import Identity, InstanceRecord, PendingRegistration, Server
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.clock import Clock
from shieldwall.contract.messages import PROTOCOL, DeviceFacts
from shieldwall.contract.registration import (
    CertificateRequest,
    NonceAnswer,
    OnboardingProof,
    RegisterAnswer,
    RegisterRequest,
    RegistrationDetails,
)
from shieldwall.trust import moments
from shieldwall.trust.certificate_request import build_request
from shieldwall.trust.device_key import SigningKey, public_key_info
from shieldwall.trust.onboarding import OnboardingPackage, proof, proven_body

Connect: TypeAlias = Callable[[Server, SigningKey], Gateway]
"""Opens a conversation with a server in the name of a key."""

_STALE_NONCE: Final = "badNonce"


@dataclass(frozen=True, slots=True, kw_only=True)
class Onboard:
    """Give this machine an identity at the server that a package names."""

    state: AgentState
    machine: Machine
    connect: Connect
    clock: Clock
    randomness: Randomness

    def __call__(self, package: OnboardingPackage, *, proxy: str | None = None) -> Identity:
        """Onboard; safe to call again after any failure.

        A machine that another manager owns, or that cannot be managed, gets an identity as well: the facts tell the
        server, which shows who manages it and sends no policies.

        Raises:
            AlreadyOnboardedError: There is an identity already.
            UnsuitablePackageError: The package is not meant for this kind of machine.
            ProblemAnswerError: The server refused; its code and remedy say why.
            RegistrationPendingError: The server does not let it in yet; the same request asks again at the next call.
            TpmError: The TPM does not answer the server's challenge; likewise.
            GatewayUnreachableError: No answer; the same request goes out at the next call.
        """
        self.state.forget_past_life()
        identity = self.state.find_identity()
        if identity is not None:
            raise AlreadyOnboardedError(f"This device is onboarded already, as {identity.device_id}.")
        facts = self.machine.facts()
        platform = facts.os_type.partition(" ")[0].lower()
        if package.allowed_platforms and platform not in package.allowed_platforms:
            raise UnsuitablePackageError(
                f"The package is for {', '.join(package.allowed_platforms)}, not for {platform}."
            )

        try:
            return self._registered(package, facts, proxy)
        except RegistrationPendingError as waits:
            # From here on the key is this device's: the request stays, and sent again it tells how things stand.
            pending = self.state.get_pending()
            return self._become(pending, attesting.attest(self.connect(pending.server, self.state.get_key()), waits))

    def _registered(self, package: OnboardingPackage, facts: DeviceFacts, proxy: str | None) -> Identity:
        pending = self._begun(package) or self._begin(package, facts, proxy, self._own_key())
        try:
            return self._register(pending)
        except ProblemAnswerError as refusal:
            if refusal.problem.status == 429 or refusal.problem.status >= 500:
                raise  # not an answer to this request; it stays as it is
            self.state.drop_pending()
            if refusal.problem.code != _STALE_NONCE:
                raise
            # The nonce had run out before its request ever arrived, so the key is still nobody's.
            return self._register(self._begin(package, facts, proxy, self._own_key()))

    def _begun(self, package: OnboardingPackage) -> PendingRegistration | None:
        pending = self.state.find_pending()
        if pending is None:
            return None
        if pending.package_id == package.package_id and self.state.find_key() is not None:
            return pending
        # The request of another package may have been granted: its key is spent.
        self.state.drop_pending()
        self.state.make_key()
        return None

    def _own_key(self) -> SigningKey:
        return self.state.find_key() or self.state.make_key()

    def _begin(
        self, package: OnboardingPackage, facts: DeviceFacts, proxy: str | None, key: SigningKey
    ) -> PendingRegistration:
        server = Server(
            tenant_id=package.tenant_id,
            urls=tuple(package.server_urls),
            tls_roots=tuple(package.tls_roots),
            trust_root=package.trust_root,
            proxy=proxy,
        )
        gateway = self.connect(server, key)
        nonce = gateway.ask_unsigned(f"/{server.tenant_id}/EnrollmentServer/nonce", Empty(), NonceAnswer).nonce
        pending = PendingRegistration(
            package_id=package.package_id, server=server, request=self._request(package, facts, key, nonce)
        )
        self.state.put_pending(pending)
        return pending

    def _request(self, package: OnboardingPackage, facts: DeviceFacts, key: SigningKey, nonce: str) -> RegisterRequest:
        unproven = OnboardingProof(package_id=package.package_id, mac="")
        offer, tpm = attesting.offer(key) or (None, None)
        details = RegistrationDetails(
            instance_id=self.randomness(16).hex(),
            hardware=replace(self.machine.hardware(package.tenant_id), tpm_ek_hash=tpm),
            agent_version=__version__,
            protocol=PROTOCOL,
            onboarding=unproven,
            attestation=offer,
            facts=replace(facts, key_protection=key.protection),
        )
        request = RegisterRequest(
            certificate_request=CertificateRequest(
                type="pkcs10", data=base64.b64encode(build_request(key, nonce)).decode("ascii")
            ),
            join_type="synthetic",
            device_display_name=facts.display_name,
            device_type="Linux",
            operating_system_version=facts.os_version,
            shieldwall=details,
        )
        mac = proof(
            package.onboarding_key.secret(),
            package.tenant_id,
            nonce,
            public_key_info(key.public_key),
            proven_body(request),
        )
        return replace(request, shieldwall=replace(details, onboarding=replace(unproven, mac=mac)))

    def _register(self, pending: PendingRegistration) -> Identity:
        server, key = pending.server, self.state.get_key()
        path = f"/{server.tenant_id}/EnrollmentServer/device"
        answer = self.connect(server, key).ask(path, pending.request, RegisterAnswer)
        if answer is None or answer.tenant_id != server.tenant_id:
            raise UnusableAnswerError("The server's answer to the registration names no identity in this tenant.")
        return self._become(pending, answer)

    def _become(self, pending: PendingRegistration, answer: RegisterAnswer) -> Identity:
        identity = Identity(
            device_id=answer.device_id,
            instance_id=pending.request.shieldwall.instance_id,
            certificate=answer.certificate,
            server=pending.server,
            registered_at=moments.write(self.clock.now()),
        )
        details = pending.request.shieldwall
        self.state.put_instance(InstanceRecord(instance_id=details.instance_id, hardware=details.hardware))
        self.state.put_identity(identity, epoch=answer.epoch)
        return identity
