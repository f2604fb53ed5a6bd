"""The offboarding package: leave to take a device out of management, for a few days, signed by its own tenant.

A protected device is taken out by nobody's word at the device itself. Whoever is sent there without a connection gets a
package: a DSSE envelope by the tenant's onboarding key, which the device knows from its own trust root. It holds no
secret, and it names what it is good for: a tenant, platforms, an end, and if wanted single devices.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId, DeviceIdField, PackageIdField, TenantId, TenantIdField
from shieldwall.contract.messages import Envelope
from shieldwall.trust import moments, payload_types
from shieldwall.trust.dsse import (
    BadEnvelopeError,
    EnvelopeKey,
    TooFewSignaturesError,
    WrongPayloadTypeError,
    open_envelope,
    seal,
)
from shieldwall.trust.onboarding import (
    MAX_PACKAGE_BYTES,
    InvalidPackageError,
    PackageExpiredError,
    PackageMalformedError,
    PackageNotYetValidError,
    PackageSignatureError,
    PackageTenantError,
    PackageTooLargeError,
    PackageTypeError,
)
from shieldwall.trust.roots import Role, TrustRoot

DEFAULT_LIFETIME: Final = timedelta(days=7)
LONGEST_LIFETIME: Final = timedelta(days=30)
MAX_DEVICES: Final = 500
_REMEDY: Final = "Make a new offboarding package on the server of this device's own tenant, and use it unchanged."


class PackageNotForDeviceError(InvalidPackageError):
    """Good for other devices or platforms than this one."""

    code = "packageNotForDevice"
    remedy = _REMEDY


class OffboardingPackage(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """Leave to go. Without ``device_ids`` it is good for every device of the tenant on these platforms."""

    v: Literal[1]
    tenant_id: TenantIdField
    package_id: PackageIdField
    not_before: str
    not_after: str
    platforms: Annotated[tuple[Literal["linux", "windows", "macos"], ...], msgspec.Meta(min_length=1, max_length=3)]
    device_ids: Annotated[tuple[DeviceIdField, ...], msgspec.Meta(max_length=MAX_DEVICES)] = ()

    def __post_init__(self) -> None:
        """Refuse times that are none, and a package that is good for longer than any may be. Raises: ValueError."""
        lifetime = moments.parse(self.not_after) - moments.parse(self.not_before)
        if not timedelta() < lifetime <= LONGEST_LIFETIME:
            raise ValueError(f"an offboarding package is good for {LONGEST_LIFETIME.days} days at most")


def seal_offboarding(package: OffboardingPackage, key: EnvelopeKey) -> Envelope:
    """Sign a package with the onboarding role's key."""
    return seal(strict_json.encode(package), payload_types.OFFBOARDING, key)


def open_offboarding(
    data: bytes, root: TrustRoot, *, tenant_id: TenantId, device_id: DeviceId, platform: str, now: datetime
) -> OffboardingPackage:
    """Read a package file and believe it by the trust root that the device holds, or say why not.

    In this order: bounds → strict JSON → type → role key → its content → tenant → device → platform → time.

    Raises:
        InvalidPackageError: Refused; each reason is a subclass with its own code.
    """
    if len(data) > MAX_PACKAGE_BYTES:
        raise PackageTooLargeError(f"The package is larger than {MAX_PACKAGE_BYTES} bytes.", remedy=_REMEDY)
    try:
        envelope = strict_json.decode(data, Envelope, max_depth=4)
        keys, threshold = root.keys(Role.ONBOARDING), root.threshold(Role.ONBOARDING)
        payload = open_envelope(envelope, payload_types.OFFBOARDING, keys, threshold)
        package = strict_json.decode(payload, OffboardingPackage, max_depth=3)
    except WrongPayloadTypeError:
        cause = "This is a signed document of another kind than an offboarding package."
        raise PackageTypeError(cause, remedy=_REMEDY) from None
    except TooFewSignaturesError:
        cause = "The package is not signed by the key of this device's own tenant."
        raise PackageSignatureError(cause, remedy=_REMEDY) from None
    except (BadEnvelopeError, InvalidJsonError) as error:
        raise PackageMalformedError(f"The package cannot be read: {error.cause}", remedy=_REMEDY) from None
    if package.tenant_id != tenant_id or root.tenant_id != tenant_id:
        raise PackageTenantError("The package belongs to another tenant than this device.", remedy=_REMEDY)
    if package.device_ids and device_id not in package.device_ids:
        raise PackageNotForDeviceError("The package is for other devices than this one.")
    if platform not in package.platforms:
        raise PackageNotForDeviceError(f"The package is for {', '.join(package.platforms)}, not for {platform}.")
    if now < moments.parse(package.not_before):
        raise PackageNotYetValidError(f"The package is valid from {package.not_before}.")
    if now >= moments.parse(package.not_after):
        raise PackageExpiredError(f"The package expired at {package.not_after}.", remedy=_REMEDY)
    return package
