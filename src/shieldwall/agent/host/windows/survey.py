r"""Who else manages a Windows machine, and whether it can be managed at all. Pure over what was seen.

Signs, and where they are written:

* ``HKLM\SOFTWARE\Microsoft\SenseCM``, ``EnrollmentStatus``: 1 is Microsoft's own channel, 3 an MDM, 4 Configuration
  Manager. Microsoft, *Troubleshoot onboarding issues related to security management for Defender for Endpoint*.
* ``HKLM\SOFTWARE\Microsoft\Enrollments\{id}``: an enrollment in an MDM, with its ``ProviderID`` and the state 1.
  Microsoft, *Troubleshoot Windows device enrollment errors in Intune*. Keys without a provider are no enrollments.
* The client of Configuration Manager: ``C:\Windows\CCM\CcmExec.exe`` with its service ``CcmExec``. Microsoft, *Client
  installation properties*. Files that an uninstallation left are no sign without the service.
* Server Core and domain controllers are not managed by Microsoft's channel; we manage the former, and the latter where
  the scope of enforcement says so. Microsoft, *Manage endpoint security policies on devices onboarded to Defender*.
* Windows 10 before 1809 and servers before 2012 R2 are older than what that page supports.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.host.suitability import Sign
from shieldwall.agent.host.survey import CONFIGURATION_MANAGER, MICROSOFT_CHANNEL, Finding, Survey
from shieldwall.agent.host.windows_machine import BUILD_2012_R2, BUILD_2019, WindowsMachine

SENSE: Final = r"HKLM\SOFTWARE\Microsoft\SenseCM"
SENSE_STATUS: Final = "EnrollmentStatus"
ENROLLMENTS: Final = r"HKLM\SOFTWARE\Microsoft\Enrollments"
CONFIGURATION_MANAGER_SERVICE: Final = r"HKLM\SYSTEM\CurrentControlSet\Services\CcmExec"
CONFIGURATION_MANAGER_PROGRAM: Final = PurePosixPath("/Windows/CCM/CcmExec.exe")
NON_PERSISTENT: Final = r"HKLM\SOFTWARE\Shieldwall"
NON_PERSISTENT_VALUE: Final = "NonPersistent"
"""A number other than 0 there marks images of desktops that forget; the agent cannot tell them from others."""
SERVICES: Final = r"HKLM\SYSTEM\CurrentControlSet\Services"
NEIGHBOURS: Final[tuple[tuple[str, str], ...]] = (
    ("CSFalconService", "CrowdStrike Falcon"),
    ("SentinelAgent", "SentinelOne"),
)
"""Services of others that protect endpoints, by their names."""

_BY_CHANNEL, _BY_MDM, _BY_CONFIGURATION_MANAGER = 1, 3, 4
_ENROLLED: Final = 1
_INTUNE: Final = "MS DM Server"
_NO_MDM: Final = frozenset({"WMI_Bridge_Server", "WMI_Bridge_SCCM_Server"})
"""Enrollments by which the machine's own management works; nobody manages it from outside through them."""


class Enrollment(Struct, frozen=True, kw_only=True):
    """One key below ``Enrollments``."""

    key: str
    provider: str
    state: int | None


class SeenWindows(Struct, frozen=True, kw_only=True):
    """What a look at the machine saw."""

    machine: WindowsMachine = field(default_factory=WindowsMachine)
    architecture: str = ""
    sense_status: int | None = None
    enrollments: tuple[Enrollment, ...] = ()
    configuration_manager: bool = False
    neighbours: tuple[str, ...] = ()
    non_persistent: bool = False


def survey(seen: SeenWindows) -> Survey:
    """Judge by what was seen."""
    services = dict(NEIGHBOURS)
    return Survey(
        managers=tuple(_managers(seen)),
        neighbours=tuple(
            Finding(product=services[name], evidence=_place(f"{SERVICES}\\{name}")) for name in seen.neighbours
        ),
        unsuitable_sign=_unsuitable(seen),
        domain_controller_sign=(
            Sign(kind=None, finding="This is a domain controller.", evidence="Win32_OperatingSystem: ProductType = 2")
            if seen.machine.is_domain_controller
            else None
        ),
    )


def _managers(seen: SeenWindows) -> Iterator[Finding]:
    sense = _place(f"{SENSE}\\{SENSE_STATUS}")
    enrolled = [each for each in seen.enrollments if each.state == _ENROLLED and each.provider not in {"", *_NO_MDM}]
    if seen.sense_status == _BY_CHANNEL:
        yield Finding(product=MICROSOFT_CHANNEL, evidence=sense, kind="microsoftChannel")
    for each in enrolled:
        product = "Intune" if each.provider == _INTUNE else each.provider[:256]
        yield Finding(product=product, evidence=_place(f"{ENROLLMENTS}\\{each.key}"), kind="mdm")
    if seen.sense_status == _BY_MDM and not enrolled:
        yield Finding(product="Intune", evidence=sense, kind="mdm")
    if seen.configuration_manager:
        yield Finding(
            product=CONFIGURATION_MANAGER, evidence=CONFIGURATION_MANAGER_PROGRAM, kind="configurationManager"
        )
    elif seen.sense_status == _BY_CONFIGURATION_MANAGER:
        yield Finding(product=CONFIGURATION_MANAGER, evidence=sense, kind="configurationManager")


def _unsuitable(seen: SeenWindows) -> Sign | None:
    machine = seen.machine
    if seen.non_persistent:
        return Sign(
            kind="nonPersistentDesktop",
            finding="What is written to this machine is gone at its next start.",
            evidence=f"{NON_PERSISTENT}: {NON_PERSISTENT_VALUE}",
        )
    if 0 < machine.build < (BUILD_2012_R2 if machine.is_server else BUILD_2019):
        return Sign(
            kind="unsupportedOs",
            finding="The operating system is older than the oldest that is supported.",
            evidence=f"{machine.caption}, build {machine.build}",
        )
    if seen.architecture.lower() == "x86":
        return Sign(kind="unsupportedOs", finding="The operating system is a 32-bit one.", evidence=seen.architecture)
    return None


def _place(key: str) -> PurePosixPath:
    return PurePosixPath("/registry").joinpath(*key.split("\\"))
