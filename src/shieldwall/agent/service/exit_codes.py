"""What the agent's programs return, for scripts to rely on."""

from __future__ import annotations

from typing import Final

from shieldwall.agent.service.errors import (
    MANAGED_ELSEWHERE,
    AgentBusyError,
    AlreadyOnboardedError,
    GatewayUnreachableError,
    NotOnboardedError,
    ProblemAnswerError,
    RegistrationPendingError,
    TamperProtectedError,
    UnsuitablePackageError,
)
from shieldwall.contract.errors import ShieldwallError
from shieldwall.trust.onboarding import InvalidPackageError

FAILED: Final = 1
OWNED_BY_ANOTHER: Final = 3
DOCTOR_FOUND_ERRORS: Final = 10
DOCTOR_FOUND_WARNINGS: Final = 13
_CODES: Final[tuple[tuple[type[ShieldwallError], int], ...]] = (
    (NotOnboardedError, 4),
    (AlreadyOnboardedError, 5),
    (UnsuitablePackageError, 6),
    (InvalidPackageError, 6),
    (GatewayUnreachableError, 7),
    (ProblemAnswerError, 8),
    (AgentBusyError, 9),
    (TamperProtectedError, 11),
    (RegistrationPendingError, 12),
)
EXPLAINED: Final = (
    "0 done · 1 failed · 2 wrong usage · 3 managed by somebody else, the agent stays passive · 4 not onboarded · "
    "5 onboarded already · 6 package refused · 7 server not reached · 8 server said no · 9 another agent process is at "
    "work · 10 doctor found errors · 11 protected against tampering · 12 registered, and not let in yet · "
    "13 doctor found warnings, and no errors"
)


def exit_code(error: ShieldwallError) -> int:
    """Return the exit code for an error."""
    if isinstance(error, ProblemAnswerError) and error.problem.code == MANAGED_ELSEWHERE:
        return OWNED_BY_ANOTHER
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
