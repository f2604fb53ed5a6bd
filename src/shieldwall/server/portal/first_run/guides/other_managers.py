"""Guided fixes where somebody else manages the device, or a domain says where its devices belong."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.server.portal.first_run.guides.common import MANAGED, SYNC
from shieldwall.server.portal.first_run.guides.model import Guide, Guides, Step
from shieldwall.server.portal.language import marked

_WHO: Final = Step(
    what=marked("Find out who manages the device."),
    how=marked("The finding otherManager names the product, and the file or registry value that gave it away."),
    commands={
        "linux": "@AGENT@ doctor --json | grep -A4 otherManager",
        "windows": "@AGENT@ doctor --json | Select-String -Context 0,4 otherManager",
        "macos": "@AGENT@ doctor --json | grep -A4 otherManager",
    },
)
_DECIDE: Final = Step(
    what=marked("Decide which of the two shall be in charge."),
    how=marked(
        "If the other manager stays, nothing needs doing here: the agent remains passive and the inventory says so. "
        "Two managers that set the same things would undo each other's work."
    ),
)
_LEAVE_MDM: Final = Step(
    what=marked("To manage it here, take the device out of the other management first."),
    how=marked(
        "Retire it in the console of that manager (in Intune: Devices, the device, Retire), or unenroll it on the "
        "device. In Microsoft's own settings management, take it out of the enforcement scope there."
    ),
    commands={
        "linux": "ls -l /etc/opt/microsoft/mdatp/managed/ /etc/intune /opt/microsoft/intune",
        "windows": "dsregcmd /status\n"
        "Get-ChildItem HKLM:\\SOFTWARE\\Microsoft\\Enrollments | Get-ItemProperty -Name ProviderID "
        "-ErrorAction SilentlyContinue",
        "macos": "sudo profiles status -type enrollment\nls -l /Library/Preferences/com.microsoft.mdeattach.plist",
    },
)
_LOOK_AGAIN: Final = Step(
    what=marked("Let the device look again."),
    how=marked("It looks every minute and at every check-in; nothing has to be onboarded anew."),
    commands=SYNC.commands,
)
_AUTHORITY: Final = Step(
    what=marked("Or take its authority away in the enforcement scope."),
    how=marked(
        "Untick “Manage security settings using Configuration Manager”. Then Shieldwall manages such devices while "
        "the client stays; do not assign the same settings in both."
    ),
    path="/scope",
    label=marked("Open the enforcement scope"),
)
_CLIENT: Final = Step(
    what=marked("See whether the client of Configuration Manager is still in use."),
    how=marked("If it is a leftover, remove it; the next check-in notices."),
    commands={
        "windows": "Get-Service CcmExec\nC:\\Windows\\ccmsetup\\ccmsetup.exe /uninstall",
        "linux": "ls -d /opt/microsoft/configmgr",
        "macos": "ls -d /Library/Application\\ Support/Microsoft/CCM",
    },
)
_NOT_OURS: Final = Step(
    what=marked("Make sure that it is Microsoft's channel that says so."),
    how=marked(
        "Shieldwall needs no domain and no synchronised directory and never gives this status. A device that shows it "
        "is enrolled, or was, in Microsoft's channel."
    ),
    commands=_WHO.commands,
)
_DOMAIN: Final = Step(
    what=marked("Look at what the domain tells its computers."),
    how=marked("It has to name your directory, in the object Device Registration Configuration."),
    commands={
        "windows": "dsregcmd /status\n"
        '$root = ([adsi]"LDAP://RootDSE").configurationNamingContext\n'
        '$point = "CN=62a0ff2e-97b9-4513-943f-0d221bd30080,CN=Device Registration Configuration,CN=Services,$root"\n'
        '([adsi]"LDAP://$point").keywords',
    },
)
_ONBOARD_HERE: Final = Step(
    what=marked("Or manage the device here, without the domain."),
    how=marked("It gets a synthetic registration of its own, and keeps it until a full one appears."),
    path="/packages/new",
    label=marked("Make a package"),
)
_SYNCHRONISATION: Final = Step(
    what=marked("Look at the rules of the synchronisation."),
    how=marked(
        "The organisational unit of the computer has to be included, and the computer needs its certificate "
        "(userCertificate) before it is synchronised. Then start a run."
    ),
    commands={"windows": "Start-ADSyncSyncCycle -PolicyType Delta\ndsregcmd /status"},
)

GUIDES: Final[Guides] = {
    EnrollmentCode.MANAGED_BY_MDM: Guide(
        meaning=marked(
            "The device found an MDM, or Microsoft's own settings management, and stays passive: it registers, "
            "checks in and reports, and enforces nothing."
        ),
        steps=(_WHO, _DECIDE, _LEAVE_MDM, _LOOK_AGAIN),
        fixed=MANAGED,
    ),
    EnrollmentCode.MANAGED_BY_CONFIGURATION_MANAGER: Guide(
        meaning=marked(
            "The client of Configuration Manager is on the device, and your enforcement scope leaves it in charge."
        ),
        steps=(_DECIDE, _AUTHORITY, _CLIENT, _LOOK_AGAIN),
        fixed=MANAGED,
    ),
    EnrollmentCode.TWO_MANAGERS: Guide(
        meaning=marked(
            "Configuration Manager and Microsoft's settings management are both on the device. As long as they are, "
            "nobody can say who decides, and the agent stays passive whatever the scope says."
        ),
        steps=(_WHO, _CLIENT, _LEAVE_MDM, _LOOK_AGAIN),
        fixed=MANAGED,
    ),
    EnrollmentCode.NO_CONNECTION_POINT: Guide(
        meaning=marked("Microsoft's channel did not find in the domain which directory its devices belong to."),
        steps=(_NOT_OURS, _DOMAIN, _ONBOARD_HERE),
        fixed=MANAGED,
    ),
    EnrollmentCode.WRONG_CONNECTION_POINT: Guide(
        meaning=marked("The domain sends its devices to a directory that Microsoft's channel cannot use."),
        steps=(_NOT_OURS, _DOMAIN, _ONBOARD_HERE),
        fixed=MANAGED,
    ),
    EnrollmentCode.DIRECTORY_NOT_SYNCHRONISED: Guide(
        meaning=marked(
            "The computers of the domain are not synchronised into the directory, so they never appear there."
        ),
        steps=(_NOT_OURS, _SYNCHRONISATION, _ONBOARD_HERE),
        fixed=MANAGED,
    ),
    EnrollmentCode.DIRECTORY_SYNCHRONISED_WRONGLY: Guide(
        meaning=marked("The synchronisation leaves out what a registration of the computer needs."),
        steps=(_NOT_OURS, _SYNCHRONISATION, _ONBOARD_HERE),
        fixed=MANAGED,
    ),
}
