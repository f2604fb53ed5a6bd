"""Guided fixes of what is wrong with the machine itself, and of errors without a number of their own."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.server.portal.first_run.guides.common import DOCTOR, MANAGED, STATUS, SUPPORT, SYNC
from shieldwall.server.portal.first_run.guides.model import Guide, Guides, Step
from shieldwall.server.portal.language import marked

_SYSTEM: Final = Step(
    what=marked("See which system it is."),
    how=marked(
        "Linux has to be at least RHEL, CentOS or Oracle Linux 7.2, Ubuntu 16.04, Debian 9, SLES 12, Amazon Linux 2 or "
        "Fedora 33, with 64 bits. The finding suitability of the doctor says what is missing."
    ),
    commands={
        "linux": "cat /etc/os-release\nuname -m\n@AGENT@ doctor",
        "windows": "Get-ComputerInfo OsName, OsVersion, OsArchitecture\n@AGENT@ doctor",
        "macos": "sw_vers\nuname -m\n@AGENT@ doctor",
    },
)
_UPGRADE: Final = Step(
    what=marked("Upgrade the system, or move what runs there to a newer one."),
    how=marked("Nothing has to be onboarded anew afterwards: the agent looks again at every check-in."),
)
_CONTAINER: Final = Step(
    what=marked("If it is a container, give it what the agent needs, or manage its host instead."),
    how=marked("It needs CAP_NET_ADMIN and CAP_SYS_ADMIN. In most cases the host is the better place."),
    commands={"linux": "systemd-detect-virt --container\ngrep CapEff /proc/self/status"},
)
_SIGN: Final = Step(
    what=marked("See what makes the device forget."),
    how=marked(
        "A live system, an overlay over its root, a root in memory, or the mark that somebody put there on purpose."
    ),
    commands={
        "linux": "findmnt -n -o FSTYPE,OPTIONS /\ncat /proc/cmdline\nls /etc/shieldwall/non-persistent",
        "windows": "Get-ItemProperty HKLM:\\SOFTWARE\\Shieldwall -Name NonPersistent",
        "macos": "mount | head -1",
    },
)
_IMAGE: Final = Step(
    what=marked("Put the settings into the image that the device starts from."),
    how=marked(
        "Every start would make another identity otherwise, and the directory would fill with devices that never "
        "come back."
    ),
)
_UNMARK: Final = Step(
    what=marked("If the device does keep what is written to it, remove the mark."),
    commands={
        "linux": "sudo rm /etc/shieldwall/non-persistent",
        "windows": "Remove-ItemProperty HKLM:\\SOFTWARE\\Shieldwall -Name NonPersistent",
    },
)
_DISK: Final = Step(
    what=marked("Make room on the disk, and see that it can be written."),
    how=marked("A file system with errors is made read-only by the kernel: repair it before anything else."),
    commands={
        "linux": "df -h /var/lib/shieldwall-agent /var/lib/shieldwall-applier\ndmesg | tail -20",
        "windows": "Get-PSDrive C\nGet-WinEvent -LogName System -MaxEvents 20",
        "macos": "df -h /",
    },
)
_OWN_FILES: Final = Step(
    what=marked("See that the agent may read its own files."),
    how=marked(
        "The finding ownFiles names each file that others changed; installing the package again puts them right."
    ),
    commands={
        "linux": "ls -ln /var/lib/shieldwall-agent\nsudo dpkg --verify shieldwall-agent || sudo rpm -V "
        "shieldwall-agent",
        "windows": "icacls $env:ProgramData\\Shieldwall",
        "macos": "ls -le /Library/Shieldwall",
    },
)
_ONBOARD_ANEW: Final = Step(
    what=marked("If a file is damaged for good, take the device out and onboard it anew."),
    how=marked("Offboarding puts the settings back first. Its history stays in the directory."),
    commands={
        "linux": "@AGENT@ offboard\n@AGENT@ onboard shieldwall_onboarding.json --wait",
        "windows": "@AGENT@ offboard\n@AGENT@ onboard shieldwall_onboarding.json --wait",
        "macos": "@AGENT@ offboard\n@AGENT@ onboard shieldwall_onboarding.json --wait",
    },
)
_TIME: Final = Step(
    what=marked("Compare the clock with the right time, and set it."),
    how=marked(
        "The device first believes signed time from the server; this status means that even that did not help, because "
        "the clock is too far off or changes back."
    ),
    commands={
        "linux": "timedatectl\nsudo timedatectl set-ntp true",
        "windows": "w32tm /query /status\nw32tm /resync",
        "macos": "sudo sntp -sS time.apple.com\ndate -u",
    },
)
_VIRTUAL: Final = Step(
    what=marked("In a virtual machine, see that only one of host and guest sets the clock."),
    how=marked("A guest that is set back after every pause meets this status again and again."),
)
_ANALYZER: Final = Step(
    what=marked("Look for the cause with Microsoft's client analyzer."),
    how=marked("Shieldwall never gives this number: the device shows what Microsoft's channel told it."),
    commands={
        "linux": "mdatp health",
        "windows": "MDEClientAnalyzer.cmd",
        "macos": "mdatp health",
    },
)
_UNPUBLISHED: Final = Guide(
    meaning=marked(
        "Microsoft's channel gives this number for an error inside it, and publishes no more about it. It does not "
        "come from Shieldwall."
    ),
    steps=(_ANALYZER, STATUS, DOCTOR),
    fixed=MANAGED,
)

GUIDES: Final[Guides] = {
    EnrollmentCode.UNSUPPORTED_SYSTEM: Guide(
        meaning=marked("The machine cannot be managed as it is; the agent stays passive and touches nothing."),
        steps=(_SYSTEM, _UPGRADE, _CONTAINER, SYNC),
        fixed=MANAGED,
    ),
    EnrollmentCode.NON_PERSISTENT_DESKTOP: Guide(
        meaning=marked("What is written to the device is gone at its next start, its identity included."),
        steps=(_SIGN, _IMAGE, _UNMARK, SYNC),
        fixed=MANAGED,
    ),
    EnrollmentCode.STATE_UNUSABLE: Guide(
        meaning=marked(
            "The agent cannot read or write what it must remember: its identity, the last sequence number, the "
            "policies. It does not guess, so it stops there."
        ),
        steps=(STATUS, _DISK, _OWN_FILES, _ONBOARD_ANEW),
        fixed=MANAGED,
    ),
    EnrollmentCode.CLOCK: Guide(
        meaning=marked(
            "Signatures hold for a time, and by the clock of the device none of them holds now. Nothing new is "
            "believed until the clock is right."
        ),
        steps=(_TIME, _VIRTUAL, SYNC),
        fixed=MANAGED,
    ),
    EnrollmentCode.GENERAL_26: Guide(
        meaning=marked(
            "The device met an error that has no number of its own. The error itself says more than the number."
        ),
        steps=(STATUS, DOCTOR, SYNC, SUPPORT),
        fixed=MANAGED,
    ),
    **dict.fromkeys(
        (
            EnrollmentCode.GENERAL_27,
            EnrollmentCode.GENERAL_28,
            EnrollmentCode.GENERAL_29,
            EnrollmentCode.GENERAL_30,
            EnrollmentCode.GENERAL_31,
            EnrollmentCode.GENERAL_32,
            EnrollmentCode.GENERAL_33,
        ),
        _UNPUBLISHED,
    ),
}
