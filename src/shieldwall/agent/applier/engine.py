"""From policies to a device that holds them: one transaction for all providers.

The order: recover what an earlier run left half done → admit documents → resolve → share out among providers → journal
how to go back → per provider write, activate, read back, observe (or undo) → commit. A change that may cut the device
off is committed on probation and goes back unless it is confirmed (``confirming``). The two halves of a transaction are
in ``transaction``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from shieldwall.agent.applier import confirming
from shieldwall.agent.applier.admission import Admission, Gate
from shieldwall.agent.applier.attempt import undo
from shieldwall.agent.applier.confirming import Unconfirmed
from shieldwall.agent.applier.failures import ReleaseIncompleteError
from shieldwall.agent.applier.plan import Share, held_back, share_out
from shieldwall.agent.applier.state import AS_PUBLISHED, Policies, State, Terms, aim_of
from shieldwall.agent.applier.statuses import report
from shieldwall.agent.applier.store import Store
from shieldwall.agent.applier.transaction import Transaction
from shieldwall.agent.applier.uptime import ThisBoot, Uptime
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Provider
from shieldwall.catalog.firewall.server import ServerEndpoints
from shieldwall.catalog.model import Catalog
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import Digest
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import RefusedPolicy, StatusReport
from shieldwall.policy.resolve import EffectivePolicy, resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why something is enforced: the target, on which terms, and what of it was refused."""

    refused: tuple[RefusedPolicy, ...] = ()
    target: Digest | None = None
    terms: Terms = AS_PUBLISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Applier:
    """Changes this device's settings, and nothing else does while it is at work."""

    host: Host
    store: Store
    providers: Sequence[Provider]
    catalog: Catalog
    platform: str
    clock: Clock
    uptime: Uptime = field(default_factory=ThisBoot)
    randomness: Callable[[int], bytes] = os.urandom

    def enforce(
        self, documents: Iterable[PolicyDocument], *, target: Digest | None = None, terms: Terms = AS_PUBLISHED
    ) -> StatusReport:
        """Make the device hold exactly what ``documents`` say, and report every setting.

        A document that is refused is replaced by its last good revision, if there is one. A provider that fails goes
        back to where it was; the others go on.

        Raises:
            BusyError: Another applier is at work.
            HostError: What must be remembered cannot be written (a full disk, say); the device is as it was.
            UnreadableStateError: What is remembered makes no sense; nothing is touched.
        """
        with self.store.locked():
            state = self._ready()
            admission = self._gate(terms).admit(documents, state.documents)
            return self._apply(state, admission, Cause(refused=admission.refused, target=target, terms=terms))

    def refresh(self) -> StatusReport:
        """Look at the device again, put back what somebody changed, and report. Raises: as ``enforce``."""
        with self.store.locked():
            state = self._ready()
            admission = self._gate(state.terms).admit(state.documents, ())
            refused = (*state.refused, *(policy for policy in admission.refused if policy not in state.refused))
            return self._apply(state, admission, Cause(refused=refused, target=state.target, terms=state.terms))

    def release(self) -> None:
        """Let go of everything: the device gets its state from before management back.

        Raises:
            ReleaseIncompleteError: A product would not let go; that is remembered, and releasing again tries again.
            BusyError, HostError, UnreadableStateError: As ``enforce``.
        """
        with self.store.locked():
            state = self._ready()
            wanted = _wanting(state, (), Cause())
            _, outcomes = self._transaction.carry_through(
                state,
                share_out(self.host, self.providers, EffectivePolicy(settings={})),
                replace(wanted, held_back=None),
                decided={},
                before=state.policies,
            )
            stuck = [
                f"{outcome.share.provider.name}: {outcome.failure.cause}" for outcome in outcomes if outcome.failure
            ]
            if stuck:
                raise ReleaseIncompleteError(" ".join(stuck))

    def recover(self) -> tuple[str, ...]:
        """Undo what an earlier run left half done or unconfirmed; say which providers went back.

        This is what a start begins with: whoever could have confirmed a change is gone. Raises: as ``enforce``.
        """
        with self.store.locked():
            state = self.store.load()
            begun = [intent.provider for intent in state.intents]
            state = self._transaction.recovered(state, self.providers)
            if state.unconfirmed is not None:
                begun += state.unconfirmed.providers
                self._go_back(state)
            return tuple(dict.fromkeys(begun))

    def unconfirmed(self) -> Unconfirmed | None:
        """Tell which change waits to be confirmed, and until when. Takes no lock.

        Raises:
            HostError, UnreadableStateError: As ``enforce``.
        """
        return confirming.shown(self.store.load(), self.uptime.now())

    def confirm(self, nonce: str) -> None:
        """Keep the change of this name: somebody proved that the device reaches its server with it.

        Raises:
            NothingToConfirmError: No change waits.
            OtherChangeError: Another one waits; it goes on waiting.
            TooLateError: It went back, now or before.
            BusyError, HostError, UnreadableStateError: As ``enforce``; the change goes on waiting.
        """
        with self.store.locked():
            state = self.store.load()
            try:
                kept = confirming.confirmed(state, nonce, self.uptime.now())
            except confirming.TooLateError:
                self._go_back(state)
                raise
            self.store.save(kept)

    def revert_if_due(self) -> tuple[str, ...]:
        """Take back a change that nobody confirmed in time; name the providers that went back, if any did.

        To be called by a timer at least every few seconds while ``unconfirmed`` tells of a change.

        Raises:
            BusyError, UnreadableStateError: As ``enforce``; to be called again.
            HostError: It went back and that could not be remembered; to be called again, which does no harm.
        """
        with self.store.locked():
            state = self.store.load()
            window = state.unconfirmed
            if window is None or window.left(self.uptime.now()) > 0:
                return ()
            self._go_back(self._transaction.recovered(state, self.providers))
            return window.providers

    @property
    def _transaction(self) -> Transaction:
        return Transaction(
            host=self.host,
            store=self.store,
            clock=self.clock,
            uptime=self.uptime,
            nonce=lambda: self.randomness(16).hex(),
        )

    def _ready(self) -> State:
        """Return what is remembered once nothing is half done and nothing overdue."""
        state = self._transaction.recovered(self.store.load(), self.providers)
        window = state.unconfirmed
        if window is not None and (not window.committed or window.left(self.uptime.now()) <= 0):
            state = self._go_back(state)
        return state

    def _go_back(self, state: State) -> State:
        """Go back on what was not confirmed. The device comes first: that it is reachable again counts most."""
        assert state.unconfirmed is not None
        by_name = {provider.name: provider for provider in self.providers}
        stuck = tuple(
            way.intent
            for way in state.unconfirmed.ways_back
            if undo(self.host, by_name.get(way.intent.provider), way.intent) is not None
        )
        gone = confirming.gone_back(state, stuck)
        self.store.save(gone)
        return gone

    def _gate(self, terms: Terms) -> Gate:
        server = ServerEndpoints.of(terms.server_urls) if terms.server_urls else None
        return Gate(catalog=self.catalog, platform=self.platform, server=server)

    def _apply(self, state: State, admission: Admission, cause: Cause) -> StatusReport:
        policy = resolve(self.catalog, admission.readable, cause.terms.conflict_rules)
        wanted = _wanting(state, admission.documents, cause)
        shares = self._shares(policy, wanted)
        committed, outcomes = self._transaction.carry_through(
            state, shares, wanted, decided=policy.decided(), before=_before(state)
        )
        return report(
            self.catalog,
            policy,
            admission,
            outcomes,
            refused=cause.refused,
            target=cause.target,
            waiting=committed.unconfirmed.providers if committed.unconfirmed else (),
        )

    def _shares(self, policy: EffectivePolicy, wanted: State) -> tuple[Share, ...]:
        shares = share_out(self.host, self.providers, policy)
        if wanted.held_back is None:
            return shares
        former = share_out(self.host, self.providers, self._resolved(wanted.held_back.instead))
        return tuple(
            held_back(share, instead) if share.provider.name in wanted.held_back.providers else share
            for share, instead in zip(shares, former, strict=True)
        )

    def _resolved(self, policies: Policies) -> EffectivePolicy:
        admission = self._gate(policies.terms).admit(policies.documents, ())
        return resolve(self.catalog, admission.readable, policies.terms.conflict_rules)


def _wanting(state: State, documents: tuple[PolicyDocument, ...], cause: Cause) -> State:
    """Say what is to be remembered. What was held back of one target is tried again with another."""
    held = state.held_back
    return replace(
        state,
        target=cause.target,
        terms=cause.terms,
        documents=documents,
        refused=cause.refused,
        held_back=held if held is not None and held.target == aim_of(cause.target, documents) else None,
    )


def _before(state: State) -> Policies:
    """Return the documents of which the providers hold the settings now."""
    return state.held_back.instead if state.held_back is not None else state.policies
