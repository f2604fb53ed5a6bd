"""From policies to a device that holds them: one transaction for all providers.

The order: recover what an earlier run left half done → admit documents → resolve → share out among providers → journal
how to go back → per provider write, activate, read back, observe (or undo) → commit. Killed at any instant, the next
run finds either no intent, and all is as it was or as it should be, or an intent, and goes back to before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from shieldwall.agent.applier.admission import Admission, Gate
from shieldwall.agent.applier.attempt import Attempt, Outcome, carry_out, prepare, undo
from shieldwall.agent.applier.failures import ReleaseIncompleteError
from shieldwall.agent.applier.plan import Share, share_out
from shieldwall.agent.applier.state import AS_PUBLISHED, Managed, State, Terms
from shieldwall.agent.applier.statuses import report
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Provider
from shieldwall.catalog.firewall.server import ServerEndpoints
from shieldwall.catalog.model import Catalog
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
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
            state = self._recovered()
            admission = self._gate(terms).admit(documents, state.documents)
            return self._apply(state, admission, Cause(refused=admission.refused, target=target, terms=terms))

    def refresh(self) -> StatusReport:
        """Look at the device again, put back what somebody changed, and report. Raises: as ``enforce``."""
        with self.store.locked():
            state = self._recovered()
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
            state = self._recovered()
            outcomes = self._carry_through(state, self._shares(EffectivePolicy(settings={})), Admission(), Cause())
            stuck = [
                f"{outcome.share.provider.name}: {outcome.failure.cause}" for outcome in outcomes if outcome.failure
            ]
            if stuck:
                raise ReleaseIncompleteError(" ".join(stuck))

    def recover(self) -> tuple[str, ...]:
        """Undo what an earlier run left half done; say which providers went back. Raises: as ``enforce``."""
        with self.store.locked():
            begun = [intent.provider for intent in self.store.load().intents]
            self._recovered()
            return tuple(begun)

    def _recovered(self) -> State:
        """Return the remembered state after going back on every intent; one that cannot be undone yet stays."""
        state = self.store.load()
        if not state.intents:
            return state
        by_name = {provider.name: provider for provider in self.providers}
        stuck = tuple(
            intent for intent in state.intents if undo(self.host, by_name.get(intent.provider), intent) is not None
        )
        recovered = msgspec.structs.replace(state, intents=stuck)
        if recovered != state:
            self.store.save(recovered)
        return recovered

    def _gate(self, terms: Terms) -> Gate:
        server = ServerEndpoints.of(terms.server_urls) if terms.server_urls else None
        return Gate(catalog=self.catalog, platform=self.platform, server=server)

    def _apply(self, state: State, admission: Admission, cause: Cause) -> StatusReport:
        policy = resolve(self.catalog, admission.readable, cause.terms.conflict_rules)
        outcomes = self._carry_through(state, self._shares(policy), admission, cause)
        return report(self.catalog, policy, admission, outcomes, refused=cause.refused, target=cause.target)

    def _shares(self, policy: EffectivePolicy) -> tuple[Share, ...]:
        return share_out(self.host, self.providers, policy)

    def _carry_through(
        self, state: State, shares: Iterable[Share], admission: Admission, cause: Cause
    ) -> list[Outcome]:
        prepared = [self._prepared(share, state) for share in shares]
        attempts = [attempt for attempt in prepared if isinstance(attempt, Attempt)]

        intents = [attempt.intent for attempt in attempts if attempt.changes]
        begun = state.intending(intents)
        if intents:
            self.store.save(begun)  # from here on a crash leads back

        outcomes = [carry_out(self.host, step) if isinstance(step, Attempt) else step for step in prepared]

        committed = _committed(begun, outcomes, admission.documents, cause)
        if not committed.same_as(begun):
            self._commit(committed, attempts)
        return outcomes

    def _prepared(self, share: Share, state: State) -> Attempt | Outcome:
        """Prepare a provider's change, unless files of an earlier one are still not back in place."""
        for intent in state.intents:
            if intent.provider == share.provider.name and (failure := undo(self.host, None, intent)) is not None:
                return Outcome(share=share, failure=failure)
        return prepare(self.host, share, state)

    def _commit(self, committed: State, attempts: Iterable[Attempt]) -> None:
        moment = self.clock.now().isoformat(timespec="seconds")
        try:
            self.store.save(msgspec.structs.replace(committed, committed_at=moment))
        except ShieldwallError:
            # What cannot be remembered must not be: later, nobody could let go of it. The intent on disk stays, so if
            # going back does not work out now, the next run goes on with it.
            for attempt in attempts:
                if attempt.changes:
                    undo(self.host, attempt.provider, attempt.intent)
            raise


def _committed(
    begun: State,
    outcomes: Sequence[Outcome],
    documents: tuple[PolicyDocument, ...],
    cause: Cause,
) -> State:
    """Work out what to remember; for a provider that failed, what was remembered before and maybe how to go back."""
    managed: dict[str, Managed] = dict(begun.providers)
    attempted = {outcome.share.provider.name: outcome for outcome in outcomes if outcome.attempt is not None}
    for name, outcome in attempted.items():
        if outcome.failure is None or outcome.let_go:
            managed.pop(name, None)
            if outcome.attempt is not None and outcome.attempt.managed is not None:
                managed[name] = outcome.attempt.managed
    untouched = tuple(intent for intent in begun.intents if intent.provider not in attempted)
    left = tuple(outcome.left for outcome in attempted.values() if outcome.left is not None)
    return msgspec.structs.replace(
        begun,
        target=cause.target,
        terms=cause.terms,
        documents=documents,
        refused=cause.refused,
        providers=managed,
        intents=untouched + left,
    )
