"""Enrollment status: one number that says whether this channel manages a device, and if not, why.

The numbers are those that Defender for Endpoint publishes for its security settings management; cause and remedy are in
our own words. Server and device read the same table, so both say the same of a device.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from msgspec import Struct


class EnrollmentCode(IntEnum):
    """The published enrollment status codes. Numbers that are missing here were never published."""

    FAILED = 0
    MANAGED = 1
    NOT_ENROLLED = 2
    MANAGED_BY_MDM = 3
    MANAGED_BY_CONFIGURATION_MANAGER = 4
    UNSUPPORTED_SYSTEM = 5
    NON_PERSISTENT_DESKTOP = 6
    IDENTITY_REFUSED = 7
    TENANT_SWITCH_OFF = 8
    PACKAGE_REFUSED = 9
    JOIN_FAILED = 10
    DOCUMENT_REFUSED = 11
    STATE_UNUSABLE = 12
    NO_CONNECTION = 13
    SERVER_NOT_TRUSTED = 14
    TENANT_MISMATCH = 15
    NO_CONNECTION_POINT = 16
    WRONG_CONNECTION_POINT = 17
    CERTIFICATE_OF_ANOTHER_TENANT = 18
    PROXY = 20
    SERVER_BUSY = 24
    UNREADABLE_ANSWER = 25
    GENERAL_26 = 26
    GENERAL_27 = 27
    GENERAL_28 = 28
    GENERAL_29 = 29
    GENERAL_30 = 30
    GENERAL_31 = 31
    GENERAL_32 = 32
    GENERAL_33 = 33
    DIRECTORY_NOT_SYNCHRONISED = 36
    DIRECTORY_SYNCHRONISED_WRONGLY = 37
    NAME_UNKNOWN = 38
    CLOCK = 40
    NAME_SERVICE_SILENT = 41
    PROMOTION_FAILED = 42
    TWO_MANAGERS = 43
    TENANT_NOT_CONFIGURED = 44


class EnrollmentStatus(Struct, frozen=True, kw_only=True):
    """What a code says to people. ``published`` is the group of the published table that it stands in."""

    published: str
    cause: str
    remedy: str
    given: bool = True
    """Whether Shieldwall gives this code; the others stand here for those who compare with Microsoft's channel."""


_GENERAL: Final = "General error"
_CONNECTIVITY: Final = "Connectivity"
_SEE_DOCTOR: Final = "Run shieldwall-agent doctor on the device: it says how far it gets."
_UNUSED: Final = EnrollmentStatus(
    published=_GENERAL,
    cause="Something failed that has no number of its own.",
    remedy="Look for the cause on the device with Microsoft's client analyzer; Shieldwall never gives this code.",
    given=False,
)

STATUSES: Final[Mapping[EnrollmentCode, EnrollmentStatus]] = MappingProxyType(
    {
        EnrollmentCode.FAILED: EnrollmentStatus(
            published="Failed",
            cause="The device could not be enrolled, and what it met has no number of its own.",
            remedy=_SEE_DOCTOR,
        ),
        EnrollmentCode.MANAGED: EnrollmentStatus(
            published="Enrolled",
            cause="This channel manages the device: it gets the policies assigned to it.",
            remedy="Nothing needs doing.",
        ),
        EnrollmentCode.NOT_ENROLLED: EnrollmentStatus(
            published="Never enrolled",
            cause="The device is in the inventory, and the enforcement scope does not take it.",
            remedy="Widen the enforcement scope, or give the device the tag that it asks for.",
        ),
        EnrollmentCode.MANAGED_BY_MDM: EnrollmentStatus(
            published="Managed by Intune",
            cause="An MDM such as Intune, or Microsoft's own settings management, manages the device.",
            remedy="Use the policies of that manager, or take the device out of it.",
        ),
        EnrollmentCode.MANAGED_BY_CONFIGURATION_MANAGER: EnrollmentStatus(
            published="Managed by Configuration Manager",
            cause="Configuration Manager is on the device, and the enforcement scope leaves it in charge.",
            remedy="Use its policies, or switch off the authority of Configuration Manager in the enforcement scope.",
        ),
        EnrollmentCode.UNSUPPORTED_SYSTEM: EnrollmentStatus(
            published=_GENERAL,
            cause="The operating system is too old, a 32-bit one, or in a container without the rights it takes.",
            remedy="Upgrade the system, or give the container the rights; the agent looks again at every check-in.",
        ),
        EnrollmentCode.NON_PERSISTENT_DESKTOP: EnrollmentStatus(
            published=_GENERAL,
            cause="The device forgets what is written to it at its next start.",
            remedy="Put the settings into the image that it starts from.",
        ),
        EnrollmentCode.IDENTITY_REFUSED: EnrollmentStatus(
            published=_GENERAL,
            cause="The server does not take the device for the one it says it is.",
            remedy="Look at the device in the admin center: it may be disabled, deleted or cloned.",
        ),
        EnrollmentCode.TENANT_SWITCH_OFF: EnrollmentStatus(
            published="Not allowed by the tenant",
            cause="The tenant does not allow security settings to be enforced on any device.",
            remedy="Allow it in the enforcement scope.",
        ),
        EnrollmentCode.PACKAGE_REFUSED: EnrollmentStatus(
            published=_GENERAL,
            cause="The onboarding package does not let the device in.",
            remedy="Onboard with a new package that is for this platform.",
        ),
        EnrollmentCode.JOIN_FAILED: EnrollmentStatus(
            published="Join failure",
            cause="The directory did not take the registration that the device has, or make the full one it asked for.",
            remedy="Look at the registration in the directory; without one, the device gets a synthetic registration.",
        ),
        EnrollmentCode.DOCUMENT_REFUSED: EnrollmentStatus(
            published=_GENERAL,
            cause="The device does not believe a document that the server sent.",
            remedy="Look at the server and its signer; the device goes on with what it believed last.",
        ),
        EnrollmentCode.STATE_UNUSABLE: EnrollmentStatus(
            published=_GENERAL,
            cause="The agent cannot read or write what it must remember.",
            remedy="Make room on the disk of the device, or mend the file that shieldwall-agent status names.",
        ),
        EnrollmentCode.NO_CONNECTION: EnrollmentStatus(
            published=_CONNECTIVITY,
            cause="Nothing answers where the server should be.",
            remedy=f"Check that the server runs and that no firewall stands between. {_SEE_DOCTOR}",
        ),
        EnrollmentCode.SERVER_NOT_TRUSTED: EnrollmentStatus(
            published=_CONNECTIVITY,
            cause="Something answers for the server whose certificate the device does not accept.",
            remedy="Look for a proxy that opens TLS; if the server has a new authority, use a new package.",
        ),
        EnrollmentCode.TENANT_MISMATCH: EnrollmentStatus(
            published="Tenant mismatch",
            cause="Device and server speak of different tenants.",
            remedy="Onboard the device with a package of the tenant that it shall belong to.",
        ),
        EnrollmentCode.NO_CONNECTION_POINT: EnrollmentStatus(
            published="Service connection point",
            cause="The domain does not say which directory its devices belong to.",
            remedy="Configure the service connection point of the domain; Shieldwall takes devices without one.",
            given=False,
        ),
        EnrollmentCode.WRONG_CONNECTION_POINT: EnrollmentStatus(
            published="Service connection point",
            cause="The domain sends its devices to another kind of directory.",
            remedy="Point the service connection point of the domain to the directory; Shieldwall never asks for it.",
            given=False,
        ),
        EnrollmentCode.CERTIFICATE_OF_ANOTHER_TENANT: EnrollmentStatus(
            published="Certificate error",
            cause="The device shows a certificate of another tenant, or of an authority that this one does not trust.",
            remedy="Import the registration of the device, or its authority, into this tenant.",
        ),
        EnrollmentCode.PROXY: EnrollmentStatus(
            published=_CONNECTIVITY,
            cause="The proxy does not lead to the server, or its address makes no sense.",
            remedy="Correct the proxy, or onboard without one; it must allow CONNECT to the server.",
        ),
        EnrollmentCode.SERVER_BUSY: EnrollmentStatus(
            published=_CONNECTIVITY,
            cause="The server answers that it cannot serve now.",
            remedy="Wait: the device tries again by itself. If it lasts, look at the server's log.",
        ),
        EnrollmentCode.UNREADABLE_ANSWER: EnrollmentStatus(
            published=_CONNECTIVITY,
            cause="What answers does not speak the protocol that the agent knows.",
            remedy="Bring agent and server to versions that fit each other, and look for what stands between them.",
        ),
        EnrollmentCode.GENERAL_26: EnrollmentStatus(
            published=_GENERAL,
            cause="The device met an error that has no number of its own.",
            remedy="Read the error itself: shieldwall-agent status shows its code, cause and remedy.",
        ),
        EnrollmentCode.GENERAL_27: _UNUSED,
        EnrollmentCode.GENERAL_28: _UNUSED,
        EnrollmentCode.GENERAL_29: _UNUSED,
        EnrollmentCode.GENERAL_30: _UNUSED,
        EnrollmentCode.GENERAL_31: _UNUSED,
        EnrollmentCode.GENERAL_32: _UNUSED,
        EnrollmentCode.GENERAL_33: _UNUSED,
        EnrollmentCode.DIRECTORY_NOT_SYNCHRONISED: EnrollmentStatus(
            published="Directory synchronisation",
            cause="The domain's computers are not synchronised into the directory.",
            remedy="Include them in the synchronisation; Shieldwall takes devices without it.",
            given=False,
        ),
        EnrollmentCode.DIRECTORY_SYNCHRONISED_WRONGLY: EnrollmentStatus(
            published="Directory synchronisation",
            cause="The synchronisation of the domain leaves out what a registration needs.",
            remedy="Correct its rules for computers; Shieldwall takes devices without it.",
            given=False,
        ),
        EnrollmentCode.NAME_UNKNOWN: EnrollmentStatus(
            published="DNS",
            cause="The name of the server is not known to the device.",
            remedy="Check the DNS settings of the device, and that the server's name is published there.",
        ),
        EnrollmentCode.CLOCK: EnrollmentStatus(
            published="Clock",
            cause="The clock of the device is wrong, and signed time did not help.",
            remedy="Set the clock of the device, and keep it set by a time service.",
        ),
        EnrollmentCode.NAME_SERVICE_SILENT: EnrollmentStatus(
            published="DNS",
            cause="No name server answers the device.",
            remedy="Check the network of the device and the name servers it is given.",
        ),
        EnrollmentCode.PROMOTION_FAILED: EnrollmentStatus(
            published="Join failure",
            cause="A full registration appeared, and the device could not change over to it.",
            remedy="Look at the registration in the directory; the device stays managed through its synthetic one.",
        ),
        EnrollmentCode.TWO_MANAGERS: EnrollmentStatus(
            published="Two managers at once",
            cause="Configuration Manager and Microsoft's own settings management are both on the device.",
            remedy="Leave policies to one of them, or take the device out of both to manage it here.",
        ),
        EnrollmentCode.TENANT_NOT_CONFIGURED: EnrollmentStatus(
            published="Not allowed by the tenant",
            cause="The tenant was not set up for settings management when the device asked.",
            remedy="Allow it in the enforcement scope; Shieldwall says 8 for this.",
            given=False,
        ),
    }
)
"""Every code, in words."""
_PUBLISHED: Final[Mapping[int, str]] = {code.value: status.published for code, status in STATUSES.items()}


def status_in_words(code: int) -> str:
    """Name the group of the published table that a code stands in; a number that nobody published says so."""
    return _PUBLISHED.get(code, "Unknown")
