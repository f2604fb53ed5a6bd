"""Offboarding, in its order: settings back to their state from before → tell the server → forget the identity.

There are three ways out: the word of whoever is at the device, unless tamper protection forbids that; an offboarding
package; the signed order of the server. A departure that was allowed or ordered is on disk before anything is restored,
and is carried through however often it is interrupted: by a crash, a restart, a server that cannot be reached. Nothing
is enforced meanwhile.

What was restored stays restored when the server cannot be told or does not listen. Whoever leaves by their own word
keeps the identity then, so that offboarding can be repeated; says "without the server" and leaves without a word to it:
a server that is gone, that removed the device, or that knows a clone of it by the same name has no say in this. A
departure that was ordered or allowed needs no such word where the server no longer knows the device: it is over.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shieldwall.agent.service.enforcement import Enforcement
from shieldwall.agent.service.errors import OffboardRefusedError, ProblemAnswerError, TamperProtectedError
from shieldwall.agent.service.gateway import Empty, Gateway
from shieldwall.agent.service.guard import Guard
from shieldwall.agent.service.package_file import Leave
from shieldwall.agent.service.records import Identity, Leaving
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.messages import OffboardRequest

_ORDERED: Final = "ordered by the server"
_GONE: Final = frozenset({"badSignature", "deviceNotActive", "notFound"})
"""Answers to a device that the server has let go: an answer was lost, or somebody would not wait for it."""


class Offboard(Struct, frozen=True, kw_only=True):
    """Take this device out of management."""

    identity: Identity
    state: AgentState
    gateway: Gateway
    enforcement: Enforcement
    guard: Guard

    def check_allowed(self, package: Leave | None, *, doing: str = "shieldwall-agent offboard") -> None:
        """Let nobody out of a protected device by their own word. Raises: TamperProtectedError; the server hears of it.

        Time for troubleshooting changes nothing about that.
        """
        if package is not None or self.is_due():
            return
        if self.guard.is_protected(self.enforcement.delivery.manifest()):
            self.guard.attempts.note("offboardRefused", doing)
            raise TamperProtectedError("Tamper protection is on for this device.")

    def note_refused_package(self, code: str) -> None:
        """Let the server hear of a package that does not let this device go, if it needs one."""
        if self.guard.is_protected(self.enforcement.delivery.manifest()):
            self.guard.attempts.note("offboardRefused", f"shieldwall-agent offboard --package: {code}")

    def __call__(self, *, reason: str = "", without_server: bool = False, package: Leave | None = None) -> None:
        """Offboard; safe to call again after any failure.

        Raises:
            TamperProtectedError: Somebody has to allow it; nothing was changed.
            GatewayUnreachableError: The server could not be told.
            OffboardRefusedError: The server answered, and does not take this device's word.
        """
        self.check_allowed(package)
        leaving = self._leaving(reason=reason)
        if package is not None:
            leaving = Leaving(
                device_id=self.identity.device_id,
                reason=reason,
                package_id=package.package.package_id,
                package=package.envelope,
            )
            self.state.put_leaving(leaving)
        self.enforcement.release(leaving)
        if not without_server:
            try:
                self._tell(leaving)
            except ProblemAnswerError as refusal:
                raise OffboardRefusedError(refusal) from refusal
        self._forget(leaving)

    def is_due(self) -> bool:
        """Say whether a departure has been ordered or allowed that is not over yet."""
        return self.enforcement.is_leaving(self.enforcement.delivery.manifest())

    def finish(self) -> None:
        """Carry a departure through that was ordered or allowed. Raises: GatewayUnreachableError, ShieldwallError."""
        leaving = self._leaving(reason=_ORDERED)
        self.state.put_leaving(leaving)
        self.enforcement.release(leaving)
        try:
            self._tell(leaving)
        except ProblemAnswerError as refusal:
            if refusal.problem.code not in _GONE:
                raise
        self._forget(leaving)

    def _leaving(self, *, reason: str) -> Leaving:
        begun = self.state.find_leaving(self.identity.device_id)
        return begun or Leaving(device_id=self.identity.device_id, reason=reason)

    def _tell(self, leaving: Leaving) -> None:
        server = self.identity.server
        sequence = self.state.next_sequence()
        request = OffboardRequest(
            seq=sequence.seq, epoch=sequence.epoch, reason=leaving.reason, package_id=leaving.package_id
        )
        path = f"/{server.tenant_id}/EnrollmentServer/device/{self.identity.device_id}/offboard"
        self.gateway.ask(path, request, Empty)

    def _forget(self, leaving: Leaving) -> None:
        self.state.put_leaving(leaving)  # so that forgetting, interrupted, is gone on with
        self.state.forget()
