"""How this device shows that it is enrolled: what it finds and meets itself, and the server's word.

The server decides, and its word comes with the verified manifest. It may be older than what the device finds out by
itself, and so the order is:

1. what the survey finds and the server can only agree to: somebody else is in charge, or the machine is unfit
2. the present trouble: what the last attempt to check in met
3. the server's word
4. a guess, where there is no word: not enrolled before the first check-in, then what the survey suggests
"""

from __future__ import annotations

import msgspec

from shieldwall.agent.host.survey import Survey
from shieldwall.contract.enrollment import STATUSES, EnrollmentCode, status_in_words
from shieldwall.contract.enrollment_errors import code_of_error


class EnrollmentView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How this device is enrolled. ``told`` says that this is the server's word and no finding of the device."""

    code: int
    status: str
    cause: str
    remedy: str
    told: bool = False


def own_code(found: Survey) -> EnrollmentCode | None:
    """Return the enrollment code that the survey alone decides; Configuration Manager is left to the server."""
    match found.manager, found.unsuitable:
        case "several", _:
            return EnrollmentCode.TWO_MANAGERS
        case (("mdm" | "microsoftChannel"), _):
            return EnrollmentCode.MANAGED_BY_MDM
        case _, "nonPersistentDesktop":
            return EnrollmentCode.NON_PERSISTENT_DESKTOP
        case _, "unsupportedOs":
            return EnrollmentCode.UNSUPPORTED_SYSTEM
        case _:
            return None


def enrollment_of(
    found: Survey, *, trouble: str | None = None, has_checked_in: bool = False, told: int | None = None
) -> EnrollmentView:
    """Say how this device is enrolled.

    ``trouble`` is the code of the error that the last attempt to check in met, ``told`` the server's word.
    """
    surveyed = own_code(found)
    beside = found.manager == "configurationManager"
    if beside and told == EnrollmentCode.MANAGED_BY_CONFIGURATION_MANAGER:
        surveyed = None  # the server asks first who is in charge, and then whether the machine is fit
    if surveyed is not None:
        return view(surveyed)
    if trouble is not None:
        return view(code_of_error(trouble))
    if told is not None:
        return msgspec.structs.replace(view(told), told=True)
    if not has_checked_in:
        return view(EnrollmentCode.NOT_ENROLLED)
    if beside:
        return view(EnrollmentCode.MANAGED_BY_CONFIGURATION_MANAGER)
    return msgspec.structs.replace(
        view(EnrollmentCode.MANAGED),
        cause="The server takes this device's check-ins, and no word of it about the enrollment is stored here.",
        remedy="Run shieldwall-agent sync, and look at the enrollment status of this device in the admin center.",
    )


def view(code: int) -> EnrollmentView:
    """Put a code into words, also one that only a newer server knows."""
    if code not in set(EnrollmentCode):
        return EnrollmentView(
            code=code,
            status=status_in_words(code),
            cause="The server gives an enrollment status that this agent does not know.",
            remedy="Look at this device in the admin center, and bring the agent to the server's version.",
        )
    status = STATUSES[EnrollmentCode(code)]
    return EnrollmentView(code=int(code), status=status.published, cause=status.cause, remedy=status.remedy)
