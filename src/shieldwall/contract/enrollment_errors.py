"""Which enrollment code stands for what a device met, and the other way round: one table, read on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shieldwall.contract.enrollment import EnrollmentCode

_ERRORS: Final[Mapping[EnrollmentCode, tuple[str, ...]]] = MappingProxyType(
    {
        EnrollmentCode.NOT_ENROLLED: ("notOnboarded", "registrationPending"),
        EnrollmentCode.MANAGED_BY_MDM: ("managedElsewhere",),
        EnrollmentCode.IDENTITY_REFUSED: (
            "attestationFailed",
            "attestationMalformed",
            "attestationMismatch",
            "attestationRequired",
            "attestationUnsuitable",
            "badDeviceKey",
            "badSignature",
            "certificateExpired",
            "deviceNotActive",
            "deviceProof",
            "deviceQuarantined",
            "duplicateKey",
            "endorsementCertificate",
            "refusedByServer",
            "registrationRejected",
            "seqConflict",
            "tpmFailed",
        ),
        EnrollmentCode.JOIN_FAILED: (
            "badExistingProof",
            "existingKeyUnusable",
            "existingUnusable",
            "fullJoinNotAllowed",
            "registrationDisabled",
            "registrationInUse",
            "registrationUnknown",
        ),
        EnrollmentCode.CERTIFICATE_OF_ANOTHER_TENANT: (
            "badDeviceCertificate",
            "existingCertificateExpired",
            "existingCertificateInvalid",
            "existingCertificateUntrusted",
        ),
        EnrollmentCode.PROMOTION_FAILED: ("notSynthetic",),
        EnrollmentCode.PACKAGE_REFUSED: (
            "badNonce",
            "badOnboardingProof",
            "packageExhausted",
            "packageExpired",
            "packageInvalid",
            "packageMalformed",
            "packageNotYetValid",
            "packageRefused",
            "packageRevoked",
            "packageSignature",
            "packageTooLarge",
            "packageType",
            "platformNotAllowed",
            "unsuitablePackage",
        ),
        EnrollmentCode.DOCUMENT_REFUSED: (
            "badEnvelope",
            "documentRefused",
            "envelopeSignature",
            "invalidTrustRoot",
            "manifestDevice",
            "manifestExpired",
            "manifestIncarnation",
            "manifestItems",
            "manifestKey",
            "manifestMalformed",
            "manifestNotNewer",
            "manifestRefused",
            "manifestSignature",
            "manifestType",
            "policyDigest",
            "policyIdentity",
            "policyLength",
            "policyMalformed",
            "policyRefused",
            "policySignature",
            "policyType",
            "timeRefused",
            "wrongPayloadType",
        ),
        EnrollmentCode.STATE_UNUSABLE: (
            "diskFull",
            "hostFailed",
            "pinDamaged",
            "refusedFile",
            "stateCorrupt",
            "stateUnreadable",
        ),
        EnrollmentCode.NO_CONNECTION: ("gatewayUnreachable",),
        EnrollmentCode.SERVER_NOT_TRUSTED: ("serverNotTrusted",),
        EnrollmentCode.TENANT_MISMATCH: ("manifestTenant", "notPinned", "packageTenant", "pinRefused", "policyTenant"),
        EnrollmentCode.PROXY: ("proxyFailed", "unusableAddress"),
        EnrollmentCode.SERVER_BUSY: (
            "channelsExhausted",
            "overloaded",
            "requestTimeout",
            "signerBusy",
            "signerLedger",
            "signerLedgerFull",
            "signerUnavailable",
            "storageUnavailable",
            "tooManyRequests",
        ),
        EnrollmentCode.UNREADABLE_ANSWER: ("misdirected", "notTheGateway", "unusableAnswer"),
        EnrollmentCode.NAME_UNKNOWN: ("nameUnknown",),
        EnrollmentCode.CLOCK: ("clockSkew",),
        EnrollmentCode.NAME_SERVICE_SILENT: ("nameServiceSilent",),
    }
)
_CODE_OF_ERROR: Final[Mapping[str, EnrollmentCode]] = MappingProxyType(
    {error: code for code, errors in _ERRORS.items() for error in errors}
)
MAPPED_ERRORS: Final = frozenset(_CODE_OF_ERROR)
"""The error codes that have an enrollment code of their own."""


def errors_of_code(code: EnrollmentCode) -> tuple[str, ...]:
    """Return the codes of the errors that a device shows by this enrollment code, in order."""
    return tuple(sorted(_ERRORS.get(code, ())))


def code_of_error(error: str) -> EnrollmentCode:
    """Return the enrollment code for what a device met, by the code of the error; a general one where none fits."""
    return _CODE_OF_ERROR.get(error, EnrollmentCode.GENERAL_26)
