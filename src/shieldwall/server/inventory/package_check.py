"""Whether an onboarding package lets a device in now; each reason against it has its own code."""

from __future__ import annotations

from datetime import datetime

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.registration import RegisterRequest
from shieldwall.server.storage.records import OnboardingPackageRecord
from shieldwall.trust import moments


class PackageRefusedError(ShieldwallError):
    """The package does not let this device in; each reason is a subclass with its own code."""

    code = "packageRefused"
    remedy = "Ask the administrator for a new onboarding package."


class PackageNotYetValidError(PackageRefusedError):
    """Used before its time."""

    code = "packageNotYetValid"


class PackageExpiredError(PackageRefusedError):
    """Used after its time."""

    code = "packageExpired"


class PackageRevokedError(PackageRefusedError):
    """An administrator revoked it."""

    code = "packageRevoked"


class PackageExhaustedError(PackageRefusedError):
    """Used as often as it allows."""

    code = "packageExhausted"


class PlatformNotAllowedError(PackageRefusedError):
    """It is for other platforms."""

    code = "platformNotAllowed"


class FullJoinNotAllowedError(PackageRefusedError):
    """It makes no full registrations."""

    code = "fullJoinNotAllowed"
    remedy = "Ask the administrator for a package that allows the full join."


def check_package(package: OnboardingPackageRecord, request: RegisterRequest, now: datetime) -> None:
    """Check that a package lets this request in now. Raises: PackageRefusedError."""
    if package.revoked_at is not None:
        raise PackageRevokedError("The onboarding package has been revoked.")
    if now < package.not_before:
        raise PackageNotYetValidError(f"The onboarding package is valid from {moments.write(package.not_before)}.")
    if now >= package.not_after:
        raise PackageExpiredError(f"The onboarding package expired at {moments.write(package.not_after)}.")
    if request.device_type.lower() not in package.platforms:
        raise PlatformNotAllowedError(f"The onboarding package is not for {request.device_type}.")
    if request.join_type == "full" and package.join_type != "full":
        raise FullJoinNotAllowedError("The onboarding package makes no full registrations.")
