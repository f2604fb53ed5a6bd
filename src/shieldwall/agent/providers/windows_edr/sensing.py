r"""What Defender for Endpoint's service says of itself.

Source: Microsoft, *Troubleshoot onboarding issues*: ``OnboardingState`` is 1 in
``HKLM\SOFTWARE\Microsoft\Windows Advanced Threat Protection\Status`` once a device is onboarded, ``OrgId`` beside it
names the organisation, and the service is ``Sense``.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shieldwall.agent.host.cim import SYSTEM, Cim, CimError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.windows_machine import registry_value
from shieldwall.agent.providers.base import Observation
from shieldwall.agent.providers.windows_edr.packages import package_of

SERVICE: Final = "Sense"
STATUS_KEY: Final = r"HKLM\SOFTWARE\Microsoft\Windows Advanced Threat Protection\Status"
SERVICE_KEY: Final = rf"HKLM\SYSTEM\CurrentControlSet\Services\{SERVICE}"
_RUNNING: Final = "Running"


class Sensed(Struct, frozen=True, kw_only=True):
    """What the sensor says. ``running`` is ``None`` where Windows was not asked or did not answer."""

    onboarded: bool
    organisation: str
    running: bool | None


def is_here(host: Host) -> bool:
    """Say whether the sensor is a service of this Windows."""
    return registry_value(host, SERVICE_KEY, "ImagePath") is not None


def sensed(cim: Cim, host: Host) -> Sensed:
    """Look at the sensor. Never raises."""
    state = registry_value(host, STATUS_KEY, "OnboardingState")
    organisation = registry_value(host, STATUS_KEY, "OrgId")
    return Sensed(
        onboarded=state is not None and state.data == 1,
        organisation=str(organisation.data).lower() if organisation is not None else "",
        running=_is_running(cim),
    )


def onboarding(found: Sensed, package: object) -> Observation:
    """Judge an onboarding."""
    wanted = package_of(package)
    if found.running is False:
        return Observation(effective=False, code="sensorStopped", reason="The service Sense does not run.")
    if not found.onboarded:
        reason = "The service Sense has not said yet that the device is onboarded; that takes minutes."
        return Observation(effective=False, code="notOnboarded", reason=reason)
    if wanted is not None and wanted.organisation and found.organisation not in {"", wanted.organisation}:
        reason = "The device is onboarded to another organisation than that of the package."
        return Observation(effective=False, code="otherOrganisation", reason=reason)
    return Observation(effective=True)


def offboarding(found: Sensed) -> Observation:
    """Judge an offboarding."""
    if found.onboarded:
        reason = "The service Sense still says that the device is onboarded; that takes minutes."
        return Observation(effective=False, code="stillOnboarded", reason=reason)
    return Observation(effective=True)


def _is_running(cim: Cim) -> bool | None:
    try:
        services = cim.instances(SYSTEM, "Win32_Service")
    except CimError:
        return None
    return any(row.get("Name") == SERVICE and row.get("State") == _RUNNING for row in services)
