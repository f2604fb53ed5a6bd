"""From policies to a device that holds them: one transaction for all providers.

The order: recover what an earlier run left half done → admit documents → resolve → share out among providers → journal
how to go back → per provider write, activate, read back, observe (or undo) → commit. A change that may cut the device
off is committed on probation and goes back unless it is confirmed (``confirming``). The two halves of a transaction are
in ``transaction``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from shieldwall.agent.applier import confirming, stability
from shieldwall.agent.applier.admission import Admission
from shieldwall.agent.applier.attempt import undo
from shieldwall.agent.applier.choosing import Choosing, Recent
from shieldwall.agent.applier.confirming import Unconfirmed
from shieldwall.agent.applier.failures import ReleaseIncompleteError
from shieldwall.agent.applier.plan import Share, share_out
from shieldwall.agent.applier.sources import SettingSource, sources
from shieldwall.agent.applier.state import AS_PUBLISHED, Footing, Stage, State, Terms
from shieldwall.agent.applier.statuses import report
from shieldwall.agent.applier.store import Store
from shieldwall.agent.applier.transaction import NOBODY, Seen, Transaction
from shieldwall.agent.applier.uptime import ThisBoot, Uptime
from shieldwall.agent.applier.wanting import Cause, wanting
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Provider, Supervised
from shieldwall.catalog.model import Catalog
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import Digest
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import StatusReport
from shieldwall.policy.resolve import EffectivePolicy


class Applier(Struct, frozen=True, kw_only=True):
    """Changes this device's settings, and nothing else does while it is at work."""

    host: Host
    store: Store
    providers: Sequence[Provider]
    catalog: Catalog
    platform: str
    clock: Clock
    uptime: Uptime = field(default_factory=ThisBoot)
    randomness: Callable[[int], bytes] = os.urandom
    recent: Recent = field(default_factory=Recent)

    def enforce(
        self,
        documents: Iterable[PolicyDocument],
        *,
        target: Digest | None = None,
        terms: Terms = AS_PUBLISHED,
        is_start: bool = False,
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
            admission = self._choosing.gate(terms).admit(documents, state.documents)
            cause = Cause(refused=admission.refused, target=target, terms=terms, is_offered=True)
            return self._apply(state, admission, cause, is_start=is_start)

    def refresh(self, seen: Seen = NOBODY) -> StatusReport:
        """Look at the device again, put back what somebody changed, and report. Raises: as ``enforce``.

        ``seen`` says who was seen changing which file; what is put back is reported with that.
        """
        with self.store.locked():
            state = self._ready()
            admission = self._choosing.admitted(state.policies)
            refused = (*state.refused, *(policy for policy in admission.refused if policy not in state.refused))
            cause = Cause(refused=refused, target=state.target, terms=state.terms)
            return self._apply(state, admission, cause, seen=seen, supervise=True)

    def release(self) -> None:
        """Let go of everything: the device gets its state from before management back.

        Raises:
            ReleaseIncompleteError: A product would not let go; that is remembered, and releasing again tries again.
            BusyError, HostError, UnreadableStateError: As ``enforce``.
        """
        with self.store.locked():
            state = self._ready()
            wanted = replace(
                wanting(state, (), Cause(), self.uptime.now()),
                held_back=None,
                footing=replace(state.footing, trial=None, fallen=None),
            )
            nothing = share_out(self.host, self.providers, EffectivePolicy(settings={}))
            _, outcomes = self._transaction.carry_through(state, nothing, wanted, decided={})
            stuck = [
                f"{outcome.share.provider.name}: {outcome.failure.cause}" for outcome in outcomes if outcome.failure
            ]
            if stuck:
                raise ReleaseIncompleteError(" ".join(stuck))

    def recover(self) -> tuple[str, ...]:
        """Undo what an earlier run left half done or unconfirmed; say which providers went back.

        This is what a start begins with: whoever could have confirmed a change is gone. Raises: as ``enforce``.
        """
        with self.store.locked(whatever_the_disk_says=True):
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
        with self.store.locked(whatever_the_disk_says=True):
            state = self.store.load()
            window = state.unconfirmed
            if window is None or window.left(self.uptime.now()) > 0:
                return ()
            self._go_back(self._transaction.recovered(state, self.providers))
            return window.providers

    def note_start(self, program: str) -> Stage:
        """Note that a program of ours has started; where it crashed too often, fall back.

        Returns how much the device is trusted with from now on. The next report says what was held back.

        Raises: as ``enforce``; whoever starts goes on all the same.
        """
        with self.store.locked():
            state = self.store.load()
            before = state.footing
            state = self._keeping(state, stability.started(state, program, self.uptime.now()))
            fallen = state.footing.fallen
            if fallen is not None and fallen != before.fallen and fallen.target == state.aim:
                state = self._transaction.recovered(state, self.providers)
                if state.unconfirmed is not None:
                    state = self._go_back(state)
                admission = self._choosing.admitted(state.policies)
                cause = Cause(refused=state.refused, target=state.target, terms=state.terms)
                self._apply(state, admission, cause)
            return state.stage

    def note_stop(self, program: str) -> None:
        """Note that a program ends because it was asked to: its next start is no crash. Raises: as ``enforce``."""
        with self.store.locked():
            state = self.store.load()
            self._keeping(state, stability.stopped(state.footing, program))

    def stage(self) -> Stage:
        """Say how much the device is trusted with. Takes no lock. Raises: HostError, UnreadableStateError."""
        return self.store.load().stage

    def sources(self, *, manager: str | None = None, protected: bool = False) -> tuple[SettingSource, ...]:
        """Say of every setting that could be held here whose its value is. Takes no lock and changes nothing.

        ``manager`` names another product that owns this device; ``protected`` says whether tamper protection is on.

        Raises:
            HostError, UnreadableStateError: As ``enforce``.
        """
        state = self.store.load()
        shares, _ = self._choosing.shares(self._choosing.resolved(state.policies), state)
        products = (self._choosing.product(share, state) for share in shares)
        return tuple(
            source
            for product in products
            for source in sources(self.catalog, product, manager=manager, protected=protected)
        )

    def held(self) -> tuple[Mapping[str, Desired], tuple[PolicyDocument, ...]]:
        """Say what each provider is asked to hold, and by which documents. Takes no lock and changes nothing.

        Raises:
            HostError, UnreadableStateError: As ``enforce``.
        """
        state = self.store.load()
        shares, _ = self._choosing.shares(self._choosing.resolved(state.policies), state)
        return {share.provider.name: share.desired for share in shares}, tuple(state.documents)

    @property
    def _choosing(self) -> Choosing:
        return Choosing(
            host=self.host,
            providers=self.providers,
            catalog=self.catalog,
            platform=self.platform,
            recent=self.recent,
        )

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
        return self._keeping(state, stability.passed(state, self.uptime.now()))

    def _keeping(self, state: State, footing: Footing) -> State:
        if footing == state.footing:
            return state
        kept = replace(state, footing=footing)
        self.store.save(kept)
        return kept

    def _go_back(self, state: State) -> State:
        """Go back on what was not confirmed. The device comes first: that it is reachable again counts most."""
        assert state.unconfirmed is not None
        by_name = {provider.name: provider for provider in self.providers}
        stuck = tuple(
            way.intent
            for way in state.unconfirmed.ways_back
            if undo(self.host, by_name.get(way.intent.provider), way.intent, whatever_the_disk_says=True) is not None
        )
        gone = confirming.gone_back(state, stuck)
        self.store.save(gone)
        return gone

    def _apply(
        self,
        state: State,
        admission: Admission,
        cause: Cause,
        *,
        seen: Seen = NOBODY,
        supervise: bool = False,
        is_start: bool = False,
    ) -> StatusReport:
        asked = self._choosing.resolve(admission, cause.terms.conflict_rules)
        wanted = wanting(state, admission.documents, cause, self.uptime.now())
        shares, shown = self._choosing.shares(asked, wanted)
        restored = {share.provider.name: self._supervised(share) for share in shares} if supervise else {}
        committed, outcomes = self._transaction.carry_through(
            state, shares, wanted, decided=asked.decided(), seen=seen, is_start=is_start
        )
        return report(
            self.catalog,
            shown,
            admission,
            [
                msgspec.structs.replace(outcome, restored=restored.get(outcome.share.provider.name, ()))
                for outcome in outcomes
            ],
            refused=cause.refused,
            target=cause.target,
            waiting=committed.unconfirmed.providers if committed.unconfirmed else (),
        )

    def _supervised(self, share: Share) -> tuple[str, ...]:
        provider = share.provider
        if not share.desired or not isinstance(provider, Supervised):
            return ()
        return tuple(provider.supervise(self.host, share.desired))
