"""Waiting to be let in: the same registration is sent again until it is decided, as often as the server wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from shieldwall.agent.service.delays import after_failure
from shieldwall.agent.service.errors import (
    GatewayUnreachableError,
    ProblemAnswerError,
    RegistrationPendingError,
    retry_after_seconds,
)
from shieldwall.agent.service.records import Identity
from shieldwall.contract.errors import ShieldwallError

if TYPE_CHECKING:
    from shieldwall.agent.service.onboarding import Onboard

SHORTEST_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 3_600.0
"""No server can make a device ask more often or more seldom than that."""


class AwaitIdentity(Struct, frozen=True, kw_only=True):
    """Ask until the server has decided.

    ``rest`` waits so long and says whether to go on; ``tell`` hears each new reason to wait.
    """

    onboard: Onboard
    rest: Callable[[float], bool]
    tell: Callable[[ShieldwallError], None]
    chance: Callable[[], float]

    def __call__(self) -> Identity | None:
        """Return the identity, ``None`` where somebody broke the waiting off.

        Raises:
            NotOnboardedError: No registration is on its way.
            ProblemAnswerError: The server refused.
        """
        failures, told = 0, ""
        reason: ShieldwallError
        while True:
            try:
                return self.onboard.again()
            except RegistrationPendingError as waits:
                failures, reason = 0, waits
                seconds = float(waits.answer.retry_after_seconds)
            except (GatewayUnreachableError, ProblemAnswerError) as error:
                if isinstance(error, ProblemAnswerError) and _is_final(error):
                    raise
                failures, reason = failures + 1, error
                asked = retry_after_seconds(error)
                seconds = after_failure(failures, chance=self.chance(), retry_after_seconds=asked)
            if str(reason) != told:
                told = str(reason)
                self.tell(reason)
            if not self.rest(min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)):
                return None


def _is_final(refusal: ProblemAnswerError) -> bool:
    return refusal.problem.status < 500 and refusal.problem.status != 429
