"""Onboarding, in its order: survey → key → nonce → certificate request → proof → register → identity on disk.

The whole request is on disk before it is sent. When its answer is lost, the same request goes out again, and the server
gives the same identity again (it knows the key and the request).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shieldwall.agent.service import attesting
from shieldwall.agent.service.errors import (
    AlreadyOnboardedError,
    ProblemAnswerError,
    RegistrationPendingError,
    UnsuitablePackageError,
    UnusableAnswerError,
)
from shieldwall.agent.service.existing import ExistingState
from shieldwall.agent.service.gateway import Connect, Empty
from shieldwall.agent.service.ports import Machine, Randomness
from shieldwall.agent.service.records import Identity, InstanceRecord, PendingRegistration
from shieldwall.agent.service.registering import RegistrationWriter, server_of
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.clock import Clock
from shieldwall.contract.messages import DeviceFacts
from shieldwall.contract.registration import (
    NonceAnswer,
    RegisterAnswer,
)
from shieldwall.trust import moments
from shieldwall.trust.device_key import SigningKey
from shieldwall.trust.onboarding import OnboardingPackage

_STALE_NONCE: Final = "badNonce"
_CLOCK_SKEW: Final = "clockSkew"


class Onboard(Struct, frozen=True, kw_only=True):
    """Give this machine an identity at the server that a package names."""

    state: AgentState
    machine: Machine
    connect: Connect
    clock: Clock
    randomness: Randomness
    existing: ExistingState

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

        pending = self._begun(package) or self._begin(package, facts, proxy, self._own_key())
        try:
            return self._decided(pending)
        except ProblemAnswerError as refusal:
            if refusal.problem.code != _STALE_NONCE:
                raise
            # The nonce had run out before its request ever arrived, so the key is still nobody's.
            return self._decided(self._begin(package, facts, proxy, self._own_key()))

    def again(self) -> Identity:
        """Ask how a registration stands that was sent before, without its package.

        Raises:
            NotOnboardedError: None is on its way.
            RegistrationPendingError: It still waits.
            ProblemAnswerError: It was refused, and this machine has to be onboarded anew with a package.
            GatewayUnreachableError: No answer; ask again later.
        """
        return self._decided(self.state.get_pending())

    def _decided(self, pending: PendingRegistration) -> Identity:
        try:
            return self._register(pending)
        except RegistrationPendingError as waits:
            # From here on the key is this device's: the request stays, and sent again it tells how things stand.
            return self._become(pending, attesting.attest(self.connect(pending.server, self.state.get_key()), waits))
        except ProblemAnswerError as refusal:
            if refusal.problem.status == 429 or refusal.problem.status >= 500 or refusal.problem.code == _CLOCK_SKEW:
                raise  # not an answer to this request; it stays as it is
            self.state.drop_pending()
            if refusal.problem.code != _STALE_NONCE:
                self.state.make_key()  # the server may have registered the key before it said no
            raise

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
        server = server_of(package, proxy)
        gateway = self.connect(server, key)
        nonce = gateway.ask_unsigned(f"/{server.tenant_id}/EnrollmentServer/nonce", Empty(), NonceAnswer).nonce
        write = RegistrationWriter(package=package, machine=self.machine, randomness=self.randomness)
        holding = self.existing.find(package.tenant_id)
        request = write(facts, key, nonce, join_type="synthetic", holding=holding)
        pending = PendingRegistration(package_id=package.package_id, server=server, request=request)
        self.state.put_pending(pending)
        return pending

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
            registration="synthetic" if pending.request.shieldwall.existing is None else "full",
            registered_at=moments.write(self.clock.now()),
        )
        details = pending.request.shieldwall
        self.state.put_instance(InstanceRecord(instance_id=details.instance_id, hardware=details.hardware))
        self.state.put_identity(identity, epoch=answer.epoch)
        return identity
