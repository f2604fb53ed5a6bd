"""Where requests meet the warden: one request, one answer. The socket's server and the agent in one process use it."""

from __future__ import annotations

from typing import Final, Literal, Protocol, assert_never

import msgspec
from msgspec import Struct

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.examination import Examination
from shieldwall.agent.applier.ports import Asker, Held, Missing
from shieldwall.agent.applier.protocol import Answer, Request
from shieldwall.agent.applier.warden import Warden
from shieldwall.agent.detections.handing import Handing
from shieldwall.agent.host.errors import HostError
from shieldwall.contract.ids import TenantId
from shieldwall.contract.status import StatusReport
from shieldwall.trust import moments

AGENT: Final = "agent"
"""How the engine knows the agent's process."""
UNNAMED: Final = "another manager"


class Examines(Protocol):
    """Looks at the machine."""

    def __call__(
        self, *, with_facts: bool, tenant_id: TenantId | None, inspect: Literal["checks", "bundle"] | None
    ) -> Examination:
        """Look at what is asked for."""
        ...


class Desk(Struct, frozen=True, kw_only=True):
    """Answers."""

    warden: Warden
    examiner: Examines
    events: Handing | None = None
    """What happened on the device; ``None`` where nobody keeps that."""

    def __call__(self, request: Request, asker: Asker) -> Answer:  # noqa: PLR0911 - one answer for each verb
        """Do what is asked. Raises: ShieldwallError: it was refused, or failed; nothing new holds then."""
        warden = self.warden
        match request:
            case protocol.Look():
                self._hear(request)
                return self._standing(is_ending=request.agent == "stopped")
            case protocol.Adopt():
                warden.adopt(asker, request.authority, request.claim)
                return protocol.Done()
            case protocol.Apply():
                return self._outcome(warden.apply(request.manifest, request.policies, time=request.time))
            case protocol.Refresh():
                return self._refreshed()
            case protocol.Confirm():
                warden.confirm(request.statement)
                return protocol.Done()
            case protocol.Release():
                warden.release(asker, manifest=request.manifest, package=request.package, time=request.time)
                return protocol.Done()
            case protocol.Examine():
                return protocol.Examined(examination=self._examined(request))
            case protocol.Events():
                return self._happened(request)
            case _:
                assert_never(request)

    def _happened(self, request: protocol.Events) -> protocol.Happened:
        """Hand over what happened, to whoever speaks for the tenant that is obeyed."""
        pin = self.warden.pin()
        if self.events is None or pin is None:
            return protocol.Happened()
        try:
            batch = self.events.hand_over(pin.authority.tenant_id, request.acknowledged, most=request.most)
        except OSError as error:
            raise HostError(f"The spool of events cannot be read: {error.strerror or error}.") from error
        return protocol.Happened(batch=batch.name, events=batch.events, lost=batch.lost, more=batch.more)

    def _examined(self, request: protocol.Examine) -> Examination:
        found = self.examiner(with_facts=request.facts, tenant_id=request.tenant_id, inspect=request.inspect)
        if not request.sources:
            return found
        survey, pin = found.survey.read(), self.warden.pin()
        manager = (survey.managed_elsewhere or UNNAMED) if survey.is_passive else None
        protected = pin is not None and pin.protected
        return msgspec.structs.replace(found, sources=self.warden.engine.sources(manager=manager, protected=protected))

    def _refreshed(self) -> protocol.Outcome:
        outcome = self._outcome(self.warden.refresh())
        assert isinstance(outcome, protocol.Outcome), "nothing is missing where nothing new came"
        return msgspec.structs.replace(outcome, restored=self.warden.heard_of_restored())

    def _hear(self, request: protocol.Look) -> None:
        engine = self.warden.engine
        match request.agent:
            case "started":
                engine.note_start(AGENT)
            case "stopped":
                engine.note_stop(AGENT)
            case None:
                pass

    def _standing(self, *, is_ending: bool) -> protocol.Standing:
        pin, nonce = self.warden.pin(), self.warden.nonces.give()
        if pin is None:
            return protocol.Standing(nonce=nonce)
        return protocol.Standing(
            nonce=nonce,
            tenant_id=pin.authority.tenant_id,
            device=pin.device,
            successor=pin.successor,
            manifest_version=0 if pin.floor is None else pin.floor.version,
            enforced=pin.enforced,
            protected=pin.protected,
            leaving=pin.leaving,
            stage=self.warden.engine.stage(),
            unconfirmed=self._unconfirmed(),
            change=pin.change,
            trusted_time=moments.write(self.warden.now()),
            going_down=is_ending and self.warden.is_going_down(),
        )

    def _outcome(self, found: StatusReport | Held | Missing) -> protocol.Outcome | protocol.Lacking:
        match found:
            case Missing():
                return protocol.Lacking(digests=found.digests)
            case Held():
                return protocol.Outcome(held=found.why, unconfirmed=self._unconfirmed())
            case StatusReport():
                return protocol.Outcome(report=found, unconfirmed=self._unconfirmed())
            case _:
                assert_never(found)

    def _unconfirmed(self) -> protocol.Unconfirmed | None:
        waiting = self.warden.unconfirmed()
        if waiting is None:
            return None
        return protocol.Unconfirmed(nonce=waiting.nonce, seconds_left=waiting.seconds_left)
