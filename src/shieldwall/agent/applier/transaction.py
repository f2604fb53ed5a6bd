"""One transaction for all providers: journal how to go back, carry out, commit.

Killed at any instant, the next run finds either no intent, and all is as it was or as it should be, or an intent, and
goes back to before it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shieldwall.agent.applier import confirming, contest
from shieldwall.agent.applier.attempt import Attempt, Outcome, carry_out, prepare, undo
from shieldwall.agent.applier.plan import Share
from shieldwall.agent.applier.state import Managed, Repair, State, Terms
from shieldwall.agent.applier.store import Store
from shieldwall.agent.applier.uptime import Uptime
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Provider
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId

Seen: TypeAlias = Mapping[PurePosixPath, str]
"""Who was seen changing which file: the program and the user, in words."""
NOBODY: Final[Seen] = MappingProxyType({})


class Transaction(Struct, frozen=True, kw_only=True):
    """What changes are carried out with."""

    host: Host
    store: Store
    clock: Clock
    uptime: Uptime
    nonce: Callable[[], str]

    def carry_through(
        self,
        state: State,
        shares: Iterable[Share],
        wanted: State,
        *,
        decided: Desired,
        seen: Seen = NOBODY,
        is_start: bool = False,
    ) -> tuple[State, list[Outcome]]:
        """Give every provider its share, and remember ``wanted`` once it is done. ``seen`` says who changed files.

        At a start (``is_start``) components have lost what no boot keeps; that is nobody's change, and not counted.

        Raises:
            HostError: What must be remembered cannot be written; the device is as it was.
        """
        prepared = [self._prepared(share, state, wanted.terms) for share in shares]
        attempts = [attempt for attempt in prepared if isinstance(attempt, Attempt)]
        risky = confirming.risky(state, attempts)
        window = confirming.opened(
            state, risky, nonce=self.nonce(), now=self.uptime.now(), decided=decided, before=state.holding
        )

        intents = [attempt.intent for attempt in attempts if attempt.changes]
        footing = replace(wanted.footing, fallen=state.footing.fallen)
        begun = replace(state.intending(intents), unconfirmed=window, footing=footing)
        saved = state
        if intents:
            self.store.save(begun)  # from here on a crash leads back
            saved = begun

        outcomes = self._outcomes(prepared, risky, state.repairs)
        if is_start:
            outcomes = [_started(outcome) for outcome in outcomes]

        committed = replace(
            _committed(begun, outcomes, wanted),
            unconfirmed=confirming.settled(state.unconfirmed, window, risky, outcomes, self.uptime.now()),
        )
        outcomes = [_traced(outcome, seen) for outcome in outcomes]
        repairs = self._repairs(state.repairs, outcomes)
        if not committed.same_as(saved):
            self._commit(saved, replace(committed, repairs=repairs), attempts)
        elif repairs != state.repairs:
            with contextlib.suppress(HostError):  # a component that came back is no worse for not being counted
                self.store.save(replace(committed, repairs=repairs))
        return committed, [self._judged(outcome, repairs) for outcome in outcomes]

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
        step = prepare(self.host, share, state, terms)
        if isinstance(step, Outcome) or not step.repairs or not step.changes:
            return step
        allowed = contest.may_repair(state.repairs, share.provider.name, step.drifted, self.uptime.now())
        return msgspec.structs.replace(step, left_alone=not allowed)

    def _outcomes(
        self, prepared: Sequence[Attempt | Outcome], risky: Sequence[Attempt], repairs: tuple[Repair, ...]
    ) -> list[Outcome]:
        """Carry everything out, what may cut the device off last: its time to confirm is not spent on the others."""
        ordered = sorted(range(len(prepared)), key=lambda position: prepared[position] in risky)
        outcomes = {position: self._outcome(prepared[position], repairs) for position in ordered}
        return [outcomes[position] for position in range(len(prepared))]

    def _outcome(self, step: Attempt | Outcome, repairs: tuple[Repair, ...]) -> Outcome:
        if isinstance(step, Outcome):
            return step
        name, now = step.provider.name, self.uptime.now()
        return carry_out(self.host, step, lambda settings: contest.may_repair(repairs, name, settings, now))

    def _judged(self, outcome: Outcome, repairs: tuple[Repair, ...]) -> Outcome:
        """Say which settings are contested, and by whom if that was ever seen."""
        name = outcome.share.provider.name
        contested = contest.contested(repairs, name, self.uptime.now())
        by = outcome.changed_by or (contest.changed_by(repairs, name) if contested else "")
        return msgspec.structs.replace(outcome, contested=contested, changed_by=by)

    def _repairs(self, repairs: tuple[Repair, ...], outcomes: Iterable[Outcome]) -> tuple[Repair, ...]:
        now = self.uptime.now()
        new = tuple(
            Repair(
                provider=outcome.share.provider.name,
                settings=tuple(sorted(outcome.repaired)),
                at=now,
                by=outcome.changed_by,
            )
            for outcome in outcomes
            if outcome.applied_again
        )
        return (*contest.recent(repairs, now), *new) if new else repairs

    def _commit(self, saved: State, committed: State, attempts: Iterable[Attempt]) -> None:
        moment = self.clock.now().isoformat(timespec="seconds")
        try:
            self.store.save(replace(committed, committed_at=moment))
        except ShieldwallError:
            # What cannot be remembered must not be: later, nobody could let go of it. The intent on disk stays, so if
            # going back does not work out now, the next run goes on with it.
            if self._remembers(saved):
                for attempt in attempts:
                    if attempt.changes:
                        undo(self.host, attempt.provider, attempt.intent)
            raise

    def _remembers(self, saved: State) -> bool:
        """Say whether what was saved before is read again; else what was carried out is, and the device agrees with it.

        A disk that refuses to sync a directory has replaced the file in it by then.
        """
        with contextlib.suppress(ShieldwallError):
            if not self.store.holds(saved):
                self.store.save(saved)
        with contextlib.suppress(ShieldwallError):
            return self.store.holds(saved)
        return True


def _started(outcome: Outcome) -> Outcome:
    """Call only that a repair whose files somebody had changed."""
    drifted = frozenset[SettingId]() if outcome.attempt is None else outcome.attempt.drifted
    repaired = outcome.repaired & drifted
    return msgspec.structs.replace(outcome, repaired=repaired, applied_again=outcome.applied_again and bool(repaired))


def _traced(outcome: Outcome, seen: Seen) -> Outcome:
    """Say who changed what was put back: whoever was seen at one of the provider's files."""
    if not outcome.repaired or not seen:
        return outcome
    by = next((seen[path] for path in outcome.share.provider.files() if path in seen), "")
    return msgspec.structs.replace(outcome, changed_by=by)


def _committed(begun: State, outcomes: Sequence[Outcome], wanted: State) -> State:
    """Work out what to remember; for a provider that failed, what was remembered before and maybe how to go back."""
    managed: dict[str, Managed] = dict(begun.providers)
    attempted = {
        outcome.share.provider.name: outcome
        for outcome in outcomes
        if outcome.attempt is not None and not outcome.attempt.left_alone
    }
    for name, outcome in attempted.items():
        if outcome.failure is None or outcome.let_go:
            managed.pop(name, None)
            if outcome.attempt is not None and outcome.attempt.managed is not None:
                managed[name] = outcome.attempt.managed
    untouched = tuple(intent for intent in begun.intents if intent.provider not in attempted)
    left = tuple(outcome.left for outcome in attempted.values() if outcome.left is not None)
    return replace(wanted, providers=managed, intents=untouched + left)
