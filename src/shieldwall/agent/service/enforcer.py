"""The agent's side of the applier: typed questions and answers, over whatever carries them.

A socket carries them to the applier's process (``remote_applier``); for a root of its own, a call carries them to a
warden in this one. Both verify the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.authority import Claim
from shieldwall.agent.applier.examination import Examination
from shieldwall.agent.applier.pin import Authority
from shieldwall.agent.applier.protocol import Answer, Happened, Outcome, Request, Standing
from shieldwall.agent.service.errors import ApplierAnswerError
from shieldwall.contract.events import MAX_EVENTS
from shieldwall.contract.ids import Digest, TenantId
from shieldwall.contract.messages import Envelope

Ask: TypeAlias = Callable[[Request], Answer]
"""Carries a request to the applier and brings its answer. Raises: ShieldwallError: it refused, or is not there."""
Policies: TypeAlias = Callable[[Digest], Envelope | None]
"""Finds a policy that is stored."""

T = TypeVar("T")


class Enforcer(Protocol):
    """Enforces what is signed, and nothing else. Every method leaves the device as it was when it raises."""

    @property
    def obeys_at_once(self) -> bool:
        """Whether it obeys whom this device is onboarded to without being told so apart: it is part of this process."""
        ...

    def start(self) -> None:
        """Tell that the agent has started; finish what was interrupted, where nobody else does that."""
        ...

    def stop(self) -> Standing:
        """Tell that the agent ends because it was asked to; hear whether the whole machine does."""
        ...

    def look(self) -> Standing:
        """Ask where the applier stands, and for a nonce."""
        ...

    def adopt(self, *, authority: Authority | None = None, claim: Claim | None = None) -> None:
        """Say whom this device obeys, and prove who it is."""
        ...

    def enforce(self, manifest: Envelope, policies: Policies, *, time: Envelope | None = None) -> Outcome:
        """Make a manifest hold."""
        ...

    def refresh(self) -> Outcome:
        """Look again at what is in effect, repair drift, and report."""
        ...

    def confirm(self, statement: Envelope) -> None:
        """Show that the server can be reached with the change that waits."""
        ...

    def release(
        self, *, manifest: Envelope | None = None, package: Envelope | None = None, time: Envelope | None = None
    ) -> None:
        """Return every setting to its state from before management, by a leave to go."""
        ...

    def examine(
        self,
        *,
        with_facts: bool = False,
        tenant_id: TenantId | None = None,
        with_sources: bool = False,
        inspect: Literal["checks", "bundle"] | None = None,
    ) -> Examination:
        """Ask what root alone can see of the machine."""
        ...

    def events(self, *, acknowledged: str | None = None, most: int = MAX_EVENTS) -> Happened:
        """Ask what happened on the device that the server does not know yet; say which batch it knows."""
        ...


class AskingEnforcer(Struct, frozen=True, kw_only=True):
    """Asks, and sends along what the applier lacks. ``begin`` starts an applier that lives in this process."""

    ask: Ask
    begin: Callable[[], object] = lambda: None
    obeys_at_once: bool = False

    def start(self) -> None:
        """See ``Enforcer.start``."""
        self.begin()
        self._asked(protocol.Look(agent="started"), Standing)

    def stop(self) -> Standing:
        """See ``Enforcer.stop``."""
        return self._asked(protocol.Look(agent="stopped"), Standing)

    def look(self) -> Standing:
        """See ``Enforcer.look``."""
        return self._asked(protocol.Look(), Standing)

    def adopt(self, *, authority: Authority | None = None, claim: Claim | None = None) -> None:
        """See ``Enforcer.adopt``."""
        self._asked(protocol.Adopt(authority=authority, claim=claim), protocol.Done)

    def enforce(self, manifest: Envelope, policies: Policies, *, time: Envelope | None = None) -> Outcome:
        """See ``Enforcer.enforce``; policies go along once the applier has said which it lacks, in parts if need be."""
        lacking: tuple[Digest, ...] = ()
        while True:
            request = protocol.Apply(manifest=manifest, policies=_part(lacking, policies), time=time)
            answer, time = self.ask(request), None  # a statement of time is good for one answer
            if not isinstance(answer, protocol.Lacking):
                return _expected(answer, Outcome)
            if lacking and len(answer.digests) >= len(lacking):
                raise ApplierAnswerError("The applier asks for policies that it was just given.")
            lacking = answer.digests

    def refresh(self) -> Outcome:
        """See ``Enforcer.refresh``."""
        return self._asked(protocol.Refresh(), Outcome)

    def confirm(self, statement: Envelope) -> None:
        """See ``Enforcer.confirm``."""
        self._asked(protocol.Confirm(statement=statement), protocol.Done)

    def release(
        self, *, manifest: Envelope | None = None, package: Envelope | None = None, time: Envelope | None = None
    ) -> None:
        """See ``Enforcer.release``."""
        self._asked(protocol.Release(manifest=manifest, package=package, time=time), protocol.Done)

    def examine(
        self,
        *,
        with_facts: bool = False,
        tenant_id: TenantId | None = None,
        with_sources: bool = False,
        inspect: Literal["checks", "bundle"] | None = None,
    ) -> Examination:
        """See ``Enforcer.examine``."""
        request = protocol.Examine(facts=with_facts, tenant_id=tenant_id, sources=with_sources, inspect=inspect)
        return self._asked(request, protocol.Examined).examination

    def events(self, *, acknowledged: str | None = None, most: int = MAX_EVENTS) -> Happened:
        """See ``Enforcer.events``."""
        return self._asked(protocol.Events(acknowledged=acknowledged, most=most), Happened)

    def _asked(self, request: Request, kind: type[T]) -> T:
        return _expected(self.ask(request), kind)


def _expected(answer: Answer, kind: type[T]) -> T:
    if isinstance(answer, kind):
        return answer
    raise ApplierAnswerError(f"The applier answers {type(answer).__name__}, expected was {kind.__name__}.")


def _part(lacking: tuple[Digest, ...], policies: Policies) -> tuple[Envelope, ...]:
    """Pick of what is lacking as much as fits into one request, at least one."""
    part: list[Envelope] = []
    size = 0
    for digest in lacking:
        envelope = policies(digest)
        if envelope is None:
            raise ApplierAnswerError("The applier lacks a policy that this agent does not have either.")
        size += len(envelope.payload) + sum(len(signature.sig) for signature in envelope.signatures) + 1024
        if part and size > protocol.MAX_POLICIES_BYTES:
            break
        part.append(envelope)
    return tuple(part)
