"""One transaction for all providers: journal how to go back, carry out, commit.

Killed at any instant, the next run finds either no intent, and all is as it was or as it should be, or an intent, and
goes back to before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from shieldwall.agent.applier import confirming
from shieldwall.agent.applier.attempt import Attempt, Outcome, carry_out, prepare, undo
from shieldwall.agent.applier.plan import Share
from shieldwall.agent.applier.state import Managed, Policies, State, Terms
from shieldwall.agent.applier.store import Store
from shieldwall.agent.applier.uptime import Uptime
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Provider
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What changes are carried out with."""

    host: Host
    store: Store
    clock: Clock
    uptime: Uptime
    nonce: Callable[[], str]

    def carry_through(
        self, state: State, shares: Iterable[Share], wanted: State, *, decided: Desired, before: Policies
    ) -> tuple[State, list[Outcome]]:
        """Give every provider its share, and remember ``wanted`` once it is done.

        ``before`` are the policies that hold now: what a change that has to be confirmed goes back to.

        Raises:
            HostError: What must be remembered cannot be written; the device is as it was.
        """
        prepared = [self._prepared(share, state, wanted.terms) for share in shares]
        attempts = [attempt for attempt in prepared if isinstance(attempt, Attempt)]
        risky = confirming.risky(state, attempts)
        window = confirming.opened(
            state, risky, nonce=self.nonce(), now=self.uptime.now(), decided=decided, before=before
        )

        intents = [attempt.intent for attempt in attempts if attempt.changes]
        begun = replace(state.intending(intents), unconfirmed=window)
        if intents:
            self.store.save(begun)  # from here on a crash leads back

        outcomes = self._outcomes(prepared, risky)

        committed = replace(
            _committed(begun, outcomes, wanted),
            unconfirmed=confirming.settled(state.unconfirmed, window, risky, outcomes, self.uptime.now()),
        )
        if not committed.same_as(begun):
            self._commit(committed, attempts)
        return committed, outcomes

    def recovered(self, state: State, providers: Sequence[Provider]) -> State:
        """Return what is remembered after going back on every intent; one that cannot be undone yet stays."""
        if not state.intents:
            return state
        by_name = {provider.name: provider for provider in providers}
        stuck = tuple(
            intent for intent in state.intents if undo(self.host, by_name.get(intent.provider), intent) is not None
        )
        recovered = replace(state, intents=stuck)
        if recovered != state:
            self.store.save(recovered)
        return recovered

    def _prepared(self, share: Share, state: State, terms: Terms) -> Attempt | Outcome:
        """Prepare a provider's change, unless files of an earlier one are still not back in place."""
        for intent in state.intents:
            if intent.provider == share.provider.name and (failure := undo(self.host, None, intent)) is not None:
                return Outcome(share=share, failure=failure)
        return prepare(self.host, share, state, terms)

    def _outcomes(self, prepared: Sequence[Attempt | Outcome], risky: Sequence[Attempt]) -> list[Outcome]:
        """Carry everything out, what may cut the device off last: its time to confirm is not spent on the others."""
        ordered = sorted(range(len(prepared)), key=lambda position: prepared[position] in risky)
        outcomes = {position: self._outcome(prepared[position]) for position in ordered}
        return [outcomes[position] for position in range(len(prepared))]

    def _outcome(self, step: Attempt | Outcome) -> Outcome:
        return carry_out(self.host, step) if isinstance(step, Attempt) else step

    def _commit(self, committed: State, attempts: Iterable[Attempt]) -> None:
        moment = self.clock.now().isoformat(timespec="seconds")
        try:
            self.store.save(replace(committed, committed_at=moment))
        except ShieldwallError:
            # What cannot be remembered must not be: later, nobody could let go of it. The intent on disk stays, so if
            # going back does not work out now, the next run goes on with it.
            for attempt in attempts:
                if attempt.changes:
                    undo(self.host, attempt.provider, attempt.intent)
            raise


def _committed(begun: State, outcomes: Sequence[Outcome], wanted: State) -> State:
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
    return replace(wanted, providers=managed, intents=untouched + left)
