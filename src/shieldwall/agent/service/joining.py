"""The full join, in its order: key → nonce → request on disk → register → registration on disk.

Its key is apart from the device key, and neither offboarding nor a new onboarding touches it.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shieldwall.agent.service.errors import ProblemAnswerError, UnusableAnswerError
from shieldwall.agent.service.existing import ExistingState, JoinRecord
from shieldwall.agent.service.gateway import Connect, Empty
from shieldwall.agent.service.ports import Machine, Randomness
from shieldwall.agent.service.records import PendingRegistration
from shieldwall.agent.service.registering import RegistrationWriter, server_of
from shieldwall.contract.registration import NonceAnswer, RegisterAnswer
from shieldwall.trust.onboarding import OnboardingPackage

_STALE_NONCE: Final = "badNonce"
_SPENT: Final = "duplicateKey"


class Join(Struct, frozen=True, kw_only=True):
    """Register this machine in the directory; a device uses that when it onboards, or becomes it."""

    existing: ExistingState
    machine: Machine
    connect: Connect
    randomness: Randomness

    def __call__(self, package: OnboardingPackage, *, proxy: str | None = None) -> JoinRecord:
        """Join, or renew the certificate of the join there is; safe to call again after any failure.

        Raises:
            ProblemAnswerError: The server refused; its code and remedy say why.
            GatewayUnreachableError: No answer; the same request goes out at the next call.
        """
        pending = self.existing.find_pending_join()
        if pending is None or pending.package_id != package.package_id:
            pending = self._begin(package, proxy)
        try:
            return self._register(pending)
        except ProblemAnswerError as refusal:
            if refusal.problem.status == 429 or refusal.problem.status >= 500:
                raise
            self.existing.drop_pending_join()
            if refusal.problem.code == _SPENT:
                self.existing.make_join_key()  # the registration was deleted there; with a new key it is another one
            elif refusal.problem.code != _STALE_NONCE:
                raise
            return self._register(self._begin(package, proxy))

    def _begin(self, package: OnboardingPackage, proxy: str | None) -> PendingRegistration:
        key = self.existing.find_join_key() or self.existing.make_join_key()
        server = server_of(package, proxy)
        gateway = self.connect(server, key)
        nonce = gateway.ask_unsigned(f"/{server.tenant_id}/EnrollmentServer/nonce", Empty(), NonceAnswer).nonce
        write = RegistrationWriter(package=package, machine=self.machine, randomness=self.randomness)
        request = write(self.machine.facts(), key, nonce, join_type="full")
        pending = PendingRegistration(package_id=package.package_id, server=server, request=request)
        self.existing.put_pending_join(pending)
        return pending

    def _register(self, pending: PendingRegistration) -> JoinRecord:
        server, key = pending.server, self.existing.find_join_key()
        path = f"/{server.tenant_id}/EnrollmentServer/device"
        answer = None if key is None else self.connect(server, key).ask(path, pending.request, RegisterAnswer)
        if answer is None or answer.tenant_id != server.tenant_id:
            raise UnusableAnswerError("The server's answer to the join names no registration in this tenant.")
        join = JoinRecord(tenant_id=answer.tenant_id, device_id=answer.device_id, certificate=answer.certificate)
        self.existing.put_join(join)
        return join
