"""How check-ins follow each other, for as long as the agent runs.

recover → enforce what is stored → (check in → wait, looking for drift and telling what happened every minute)*

The waiting is a policy sync's long poll where the server has room for one, and plain sleeping where not. Only there the
agent can be interrupted; whatever it does otherwise is finished first. Time, chance and sleeping are handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from shieldwall.agent.journal import Journal
from shieldwall.agent.service.check_in import CheckIn, Settled
from shieldwall.agent.service.delays import after_failure
from shieldwall.agent.service.enforcement import Enforcement
from shieldwall.agent.service.errors import GatewayUnreachableError, ProblemAnswerError, retry_after_seconds
from shieldwall.agent.service.policy_sync import PolicySync
from shieldwall.agent.service.promoting import Promote
from shieldwall.agent.service.proving import Prove
from shieldwall.agent.service.records import Trouble
from shieldwall.agent.service.resync import Resync
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.telling import Telling
from shieldwall.agent.service.trusted_time import AskSignedTime
from shieldwall.agent.service.upkeep import Upkeep
from shieldwall.agent.service.waiting import Pause, Wake
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.trust import moments

REFRESH_SECONDS: Final = 60
SYNC_SPACING_SECONDS: Final = 5
LISTEN_AGAIN_SECONDS: Final = 300
"""After a line broke that a device was waiting on; twice as long at most, so that a fleet does not come at once."""
CONFIRM_AGAIN_SECONDS: Final = 15
CONFIRM_TRIES: Final = 3
"""How often, and after how long, a device that could not prove its connection tries to before it waits its turn."""
_LATER: Final = frozenset({429, 503})
_CLOCK_SKEW: Final = "clockSkew"
_CERTIFICATE_EXPIRED: Final = "certificateExpired"
_NUMBERS_REFUSED: Final = "seqConflict"
_ENDED: Final = "shieldwall-agent was ended"
_PROMOTED: Final = Settled(next_check_in_seconds=0, manifest_changed=False, rounds=0, report=None, promoted=True)


class SteadyCheckIn(Struct, frozen=True, kw_only=True):
    """A check-in that cures what can be cured, keeps the identity good, and remembers what went wrong.

    A clock that is off asks for signed time, a certificate that has ended is renewed, refused numbers are counted anew:
    each once, and then the check-in is tried again. A change that could have cut this device off is confirmed after it.
    """

    check_in: CheckIn
    ask_signed_time: AskSignedTime
    resync: Resync
    promote: Promote
    prove: Prove
    upkeep: Upkeep
    state: AgentState
    clock: Clock
    journal: Journal

    def __call__(self) -> Settled:
        """Check in, unless this device has become another one; then its parts have to be put together anew.

        Raises:
            ShieldwallError: As ``CheckIn``; the trouble is on disk then, for ``status`` to show.
        """
        wish = self.state.wishes.find_check_in()
        try:
            if self.promote():
                return _PROMOTED
            self.upkeep.settle()
            settled = self._cured()
            if not settled.left and self.upkeep.keep_up():
                settled = self._cured()  # the manifest speaks of the old key: here comes the one for the new
            if settled.left:
                return settled  # with the identity went everything there would be to remember
            if self.prove.reachable() and self.check_in.enforcement.refresh():
                settled = self._cured()  # what waited to be confirmed holds for good, and the server shall know
        except ShieldwallError as error:
            if _says_later(error):
                self._confirm_all_the_same()
            self._remember(error, wish)
            raise
        standing = self.state.standing()
        well = msgspec.structs.replace(standing, answered_wish=wish, failures=0, trouble=None)
        if well != standing:
            self.state.put_standing(well)
        return settled

    def _cured(self) -> Settled:
        cures = {
            _CLOCK_SKEW: self._correct_clock,
            _CERTIFICATE_EXPIRED: self.upkeep.renew,
            _NUMBERS_REFUSED: self._count_anew,
        }
        while True:
            try:
                return self.check_in()
            except ProblemAnswerError as refusal:
                cure = cures.pop(refusal.problem.code, None)
                if cure is None:
                    raise
            cure()

    def _confirm_all_the_same(self) -> None:
        """Prove that the server can be reached although it has no time for a check-in.

        Signed time is never refused for want of time. Else a server with too much to do would let a whole fleet take
        back a change that cut nobody off.
        """
        try:
            self.prove.reachable()
        except ShieldwallError as error:
            self.journal.trouble("changeNotConfirmed", error)

    def _correct_clock(self) -> None:
        offset = self.ask_signed_time()
        self.journal.say("clockOff", seconds=round(offset.total_seconds()))

    def _count_anew(self) -> None:
        self.journal.say("resynced", epoch=self.resync())

    def _remember(self, error: ShieldwallError, wish: str) -> None:
        try:
            standing = self.state.standing()
            code = error.problem.code if isinstance(error, ProblemAnswerError) else error.code
            since = moments.write(self.clock.now())
            if standing.trouble is not None and standing.trouble.code == code:
                since = standing.trouble.since
            trouble = Trouble(code=code, cause=error.cause, remedy=error.advice, since=since)
            self.state.put_standing(
                msgspec.structs.replace(standing, trouble=trouble, failures=standing.failures + 1, answered_wish=wish)
            )
        except ShieldwallError as other:  # a full disk must not hide what went wrong first
            self.journal.trouble("troubleNotKept", other)


def _says_later(error: ShieldwallError) -> bool:
    """Tell whether the server was reached and wants to be asked again later."""
    return isinstance(error, ProblemAnswerError) and error.problem.status in _LATER


class Parts(Protocol):
    """What depends on who this device is."""

    @property
    def check_in(self) -> SteadyCheckIn:
        """Its check-in."""
        ...

    @property
    def enforcement(self) -> Enforcement:
        """Its enforcement."""
        ...

    @property
    def policy_sync(self) -> PolicySync:
        """Its wait for a policy sync."""
        ...

    @property
    def telling(self) -> Telling:
        """How it tells what happened."""
        ...


class Loop(Struct, kw_only=True):
    """Runs until somebody asks it to stop. ``reassemble`` puts together who this device is after a promotion."""

    check_in: SteadyCheckIn
    enforcement: Enforcement
    policy_sync: PolicySync
    pause: Pause
    monotonic: Callable[[], float]
    chance: Callable[[], float]
    journal: Journal
    reassemble: Callable[[], Parts]
    telling: Telling | None = None
    """Tells what happened on the device, whenever it is looked for drift."""
    before_rest: Callable[[], None] = lambda: None
    """Called before every wait, so that a service at rest weighs little."""
    failures: int = 0
    confirm_tries: int = 0
    may_listen: bool = True
    silent_until: float = 0.0
    checked_in: float = 0.0
    left: bool = False

    def run(self) -> None:
        """Recover, then check in and wait, over and over, until stopped or until this device has left management."""
        self._start()
        due = self.monotonic()
        look = due + REFRESH_SECONDS
        wake = Wake.TIME
        while wake is not Wake.STOP:
            if wake is Wake.SYNC or self.monotonic() >= due:
                due = self.monotonic() + self.take_turn()
                if self.left:
                    return
                if self.confirm_tries and not self.failures:
                    self.confirm_tries, look = 0, self.monotonic()  # what became of the change shall be known at once
            if self.monotonic() >= look:
                look = self.monotonic() + REFRESH_SECONDS
                if self._finds_drift() and not self.failures:
                    due = self.monotonic()
                    continue
                if self.telling is not None and not self.failures:
                    self.telling(self.monotonic())
            self.before_rest()
            wake = self._wait(min(due, look) - self.monotonic())
        self._stop()

    def _start(self) -> None:
        try:
            self.enforcement.start()
        except ShieldwallError as error:
            self.journal.trouble("startFailed", error)

    def _stop(self) -> None:
        self.policy_sync.close()
        try:
            standing = self.enforcement.enforcer.stop()
            if standing.protected and not standing.going_down and not standing.leaving:
                self._say_farewell()
        except ShieldwallError as error:
            self.journal.trouble("stopNotNoted", error)
        self.journal.say("stopped")

    def _say_farewell(self) -> None:
        """Let the server hear that somebody ended the agent of a protected device: it may be the last it hears."""
        try:
            self.enforcement.guard.attempts.note("protectionChanged", _ENDED)
            self.check_in()
        except ShieldwallError as error:
            self.journal.trouble("farewellNotSaid", error)

    def take_turn(self) -> float:
        """Check in once, and return in how many seconds the next turn comes."""
        self.may_listen = True
        try:
            settled = self.check_in()
            if settled.promoted:
                self.policy_sync.close()  # a line of who this device was
                parts = self.reassemble()
                self.check_in, self.enforcement, self.policy_sync = parts.check_in, parts.enforcement, parts.policy_sync
                self.telling = None if self.telling is None else parts.telling
                settled = self.check_in()
        except ShieldwallError as error:
            self.failures += 1
            self.journal.trouble("checkInFailed", error)
            if self.confirm_tries < CONFIRM_TRIES and self.check_in.prove.is_waiting():
                self.confirm_tries += 1
                return CONFIRM_AGAIN_SECONDS
            asked = retry_after_seconds(error)
            return after_failure(self.failures, chance=self.chance(), retry_after_seconds=asked)
        self.failures = 0
        if settled.left:
            self.left = True
            self.journal.say("left")
            return 0.0
        self.checked_in = self.monotonic()
        self.journal.say("checkedIn", rounds=settled.rounds, changed=settled.manifest_changed)
        return float(settled.next_check_in_seconds)

    def _finds_drift(self) -> bool:
        try:
            return self.enforcement.refresh()
        except ShieldwallError as error:
            self.journal.trouble("refreshFailed", error)
            return False

    def _wait(self, seconds: float) -> Wake:
        if seconds < 1 or self.failures or not self.may_listen or self.monotonic() < self.silent_until:
            return self.pause.sleep(max(seconds, 0.0))
        until = self.monotonic() + seconds
        wake = self.pause.during(lambda: self._listen(int(seconds)))
        # A server that answers early, whether "nothing" or "now" over and over, must not keep the device busy.
        if wake is Wake.TIME and self.monotonic() < until:
            return self.pause.sleep(until - self.monotonic())
        earliest = self.checked_in + SYNC_SPACING_SECONDS
        if wake is Wake.SYNC and self.monotonic() < earliest:
            return Wake.STOP if self.pause.sleep(earliest - self.monotonic()) is Wake.STOP else Wake.SYNC
        return wake

    def _listen(self, seconds: int) -> Wake:
        try:
            heard = self.policy_sync.wait(seconds)
        except GatewayUnreachableError as error:
            # A line that broke says nothing about whether the server has room for those who wait.
            self.journal.trouble("waitFailed", error)
            self.silent_until = self.monotonic() + LISTEN_AGAIN_SECONDS * (1 + self.chance())
            return Wake.TIME
        except ShieldwallError as error:
            self.journal.trouble("waitFailed", error)
            heard = None
        if heard is None:
            self.may_listen = False  # asked again after the next check-in; until then a plain sleep does
            return Wake.TIME
        return heard
