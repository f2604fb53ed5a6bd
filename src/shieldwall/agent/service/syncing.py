"""``shieldwall-agent sync``: check in now, by the running agent where there is one, else here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from shieldwall.agent.service.errors import AgentBusyError, CheckInFailedError, GatewayUnreachableError
from shieldwall.agent.service.lock import Holder, StateLock, ask_to_check_in
from shieldwall.agent.service.records import Trouble
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.status import StatusReport

if TYPE_CHECKING:
    from shieldwall.agent.service.assembly import Surroundings

PATIENCE_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.1


class Synced(Struct, frozen=True, kw_only=True):
    """The reports before and after a check-in."""

    before: StatusReport | None
    after: StatusReport | None


class Sync(Struct, frozen=True, kw_only=True):
    """Check in now."""

    surroundings: Surroundings
    lock: StateLock
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]

    def __call__(self) -> Synced:
        """Check in and wait for the outcome.

        Raises:
            NotOnboardedError: There is no identity to check in with.
            AgentBusyError: The running agent does not come to it.
            ShieldwallError: The check-in failed, here or there.
        """
        state = self.surroundings.state
        state.get_identity()
        before = state.find_report()
        holder = self.lock.holder()
        if holder is None or not holder.running or not self._asked(holder):
            with self.lock.held():
                self.surroundings.promote().finish()
                if self.surroundings.enrolled().check_in().promoted:
                    self.surroundings.enrolled().check_in()
        return Synced(before=before, after=state.find_report())

    def _asked(self, holder: Holder) -> bool:
        """Ask the running agent; false when it ended before it came to it."""
        state = self.surroundings.state
        wish = self.surroundings.randomness(16).hex()
        state.wishes.put_check_in(wish)
        ask_to_check_in(holder)
        deadline = self.monotonic() + PATIENCE_SECONDS
        while state.standing().answered_wish != wish:
            if self.monotonic() > deadline:
                raise AgentBusyError(f"The running agent (process {holder.pid}) has not checked in within two minutes.")
            if self.lock.holder() != holder:
                return False
            self.sleep(_POLL_SECONDS)
        trouble = state.standing().trouble
        if trouble is not None:
            raise _failure(trouble)
        return True


def _failure(trouble: Trouble) -> ShieldwallError:
    kinds: tuple[type[GatewayUnreachableError], ...] = (
        GatewayUnreachableError,
        *GatewayUnreachableError.__subclasses__(),
    )
    unreachable = {kind.code: kind for kind in kinds}
    if trouble.code in unreachable:
        return unreachable[trouble.code](trouble.cause)
    return CheckInFailedError(trouble.cause, remedy=trouble.remedy)
