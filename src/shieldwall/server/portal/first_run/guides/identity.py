"""Guided fixes of identities: packages, registrations, tenants, certificates."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.server.portal.first_run.guides.common import DOCTOR, MANAGED, NEW_PACKAGE, STATUS, SYNC
from shieldwall.server.portal.first_run.guides.model import Guide, Guides, Step, everywhere
from shieldwall.server.portal.language import marked

_DEVICE_PAGE: Final = Step(
    what=marked("Look at the device here."),
    how=marked(
        "It may be disabled, in quarantine because its identity lives on two machines, or deleted. Its page says "
        "which, and what can be done."
    ),
    path="/devices",
    label=marked("Find the device"),
)
_TPM: Final = Step(
    what=marked("If it has to prove its TPM, see that the TPM works and is trusted."),
    how=marked(
        "A package can ask for it. The authority of the TPM's maker, or this one TPM, has to be among the trusted "
        "authorities."
    ),
    commands=everywhere("@AGENT@ attest"),
    path="/authorities",
    label=marked("Open trusted authorities"),
)
_ROTATE: Final = Step(
    what=marked("If the certificate of the device expired, let it change its key."),
    commands=everywhere("@AGENT@ rotate-key"),
)
_PACKAGE: Final = Step(
    what=marked("Look at the package that was used."),
    how=marked("Its page says whether it is revoked, expired or used up, and for which platforms it is."),
    path="/packages",
    label=marked("Open onboarding packages"),
)
_ONBOARD: Final = Step(
    what=marked("Onboard the device again."),
    how=marked("The file may be used as often as the package says; it is deleted nowhere but on the device."),
    commands=everywhere("@AGENT@ onboard shieldwall_onboarding.json --wait"),
)
_REGISTRATION: Final = Step(
    what=marked("Look at the registration in the directory."),
    how=marked(
        "It has to be enabled, to have the certificate that the device shows, and not to be in use by another device."
    ),
    path="/registrations",
    label=marked("Open existing registrations"),
)
_WITHOUT: Final = Step(
    what=marked("Or onboard without it: the device then gets a synthetic registration."),
    how=marked("Leave out --certificate and --key. A full registration that appears later takes over by itself."),
    commands=_ONBOARD.commands,
)
_FULL: Final = Step(
    what=marked("If the device shall join in full, see that its package allows it."),
    path="/packages",
    label=marked("Open onboarding packages"),
)
_WHICH_TENANT: Final = Step(
    what=marked("See which tenant the device belongs to."),
    how=marked("The line Tenant of the status has to be the id that the page of onboarding packages shows."),
    commands=everywhere("@AGENT@ status"),
)
_MOVE: Final = Step(
    what=marked("To move it here, take it out of the other tenant and onboard it with a package of this one."),
    how=marked("Whoever administers the other tenant can order that; on the device it takes root."),
    commands=everywhere("@AGENT@ offboard\n@AGENT@ onboard shieldwall_onboarding.json --wait"),
)
_PIN: Final = Step(
    what=marked("If agent and applier disagree, let root say which tenant holds."),
    how=marked("The process that enforces obeys the tenant that it was pinned to, and nobody else."),
    commands=everywhere("@AGENT@ pin"),
)
_IMPORT: Final = Step(
    what=marked("Trust the authority that issued its certificate, or import this one registration."),
    how=marked("Only do so if that directory is yours: whoever it vouches for can onboard here."),
    path="/authorities",
    label=marked("Open trusted authorities"),
)
_EXPIRED: Final = Step(
    what=marked("If the certificate expired, renew it where it was issued, or onboard without it."),
    commands={
        "linux": "openssl x509 -noout -subject -issuer -enddate -in CERTIFICATE.pem",
        "windows": "Get-ChildItem Cert:\\LocalMachine\\My | Format-List Subject, Issuer, NotAfter",
        "macos": "openssl x509 -noout -subject -issuer -enddate -in CERTIFICATE.pem",
    },
)

GUIDES: Final[Guides] = {
    EnrollmentCode.IDENTITY_REFUSED: Guide(
        meaning=marked(
            "The server did not take the device for the one it says it is. The device keeps what it enforced last; "
            "nothing new reaches it."
        ),
        steps=(STATUS, _DEVICE_PAGE, _TPM, _ROTATE, SYNC),
        fixed=MANAGED,
    ),
    EnrollmentCode.PACKAGE_REFUSED: Guide(
        meaning=marked("The onboarding package did not let the device in: nothing on the device was changed."),
        steps=(_PACKAGE, NEW_PACKAGE, _ONBOARD),
        fixed=marked("The command says “onboarded”, and the device appears in the list of devices."),
    ),
    EnrollmentCode.JOIN_FAILED: Guide(
        meaning=marked(
            "The device showed a registration that the directory did not accept, or asked for a full one that it did "
            "not get."
        ),
        steps=(STATUS, _REGISTRATION, _FULL, _WITHOUT),
        fixed=marked("The command says “onboarded”, and the device appears in the list of devices."),
    ),
    EnrollmentCode.TENANT_MISMATCH: Guide(
        meaning=marked(
            "Device and server speak of different tenants, and the device obeys only the one it was onboarded to."
        ),
        steps=(_WHICH_TENANT, _PIN, _MOVE),
        fixed=MANAGED,
    ),
    EnrollmentCode.CERTIFICATE_OF_ANOTHER_TENANT: Guide(
        meaning=marked("The device shows a certificate of an authority that this tenant does not trust."),
        steps=(_EXPIRED, _IMPORT, _REGISTRATION, _WITHOUT),
        fixed=marked("The command says “onboarded”, and the device appears in the list of devices."),
    ),
    EnrollmentCode.PROMOTION_FAILED: Guide(
        meaning=marked(
            "A full registration appeared, and the device could not change over to it. It stays managed through its "
            "synthetic one, so nothing is urgent."
        ),
        steps=(_REGISTRATION, DOCTOR, SYNC),
        fixed=marked("The device shows a full registration after its next check-in."),
    ),
}
