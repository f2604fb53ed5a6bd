r"""Defender for Endpoint's sensor as it is documented: it takes up a package, and says so in the registry.

Assumptions, and where they are written:

* ``Sense`` reads ``OnboardingInfo`` and, to offboard, ``696C1FA1-4030-4FA4-8713-FAF9B2EA7C0A`` below
  ``HKLM\SOFTWARE\Policies\Microsoft\Windows Advanced Threat Protection``; the published scripts write the one and
  delete the other. Microsoft's *WindowsDefenderATPLocalOnboardingScript*, as many keep it in public.
* It says what came of it as ``OnboardingState`` and ``OrgId`` below ``…\Windows Advanced Threat Protection\Status``.
  Microsoft, *Troubleshoot onboarding issues*.
* With both packages it takes neither; a package to offboard counts for the organisation that it names alone.
* ``sc start`` of a service that runs ends with 1056. Microsoft, *System Error Codes*.

To check on a real machine: ``docs/windows-macos.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shieldwall.agent.host.cim import SYSTEM, Properties
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.host.registry import RegistryValue
from shieldwall.testing.windows.cim import no_such_method
from shieldwall.testing.windows.registry import PretendRegistry

POLICY: Final = r"HKLM\SOFTWARE\Policies\Microsoft\Windows Advanced Threat Protection"
STATUS: Final = r"HKLM\SOFTWARE\Microsoft\Windows Advanced Threat Protection\Status"
SERVICE: Final = r"HKLM\SYSTEM\CurrentControlSet\Services\Sense"
ALREADY_RUNNING: Final = 1056


def package(organisation: str, signature: str = "signature") -> str:
    """Make a package of an organisation, as it is downloaded."""
    body = json.dumps({"orgId": organisation, "previousOrgIds": [], "version": "1.7"})
    return json.dumps({"body": body, "sig": signature, "sha256sig": signature})


@dataclass(slots=True)
class PretendSense:
    """The sensor of one machine; a component of its management, and what ``sc.exe`` starts."""

    registry: PretendRegistry
    running: bool = False
    deaf: bool = False
    """Whether it runs and does nothing, as without a way to its cloud."""

    def __post_init__(self) -> None:
        """Register the service."""
        image = r'"%ProgramFiles%\Windows Defender Advanced Threat Protection\MsSense.exe"'
        self.registry.fill(SERVICE, {"ImagePath": RegistryValue.text(image)})

    @property
    def classes(self) -> Sequence[tuple[str, str]]:
        """See ``CimComponent.classes``."""
        return ((SYSTEM, "Win32_Service"),)

    def instances(self, class_name: str, options: Mapping[str, str]) -> Sequence[Properties]:  # noqa: ARG002 - port
        """See ``CimComponent.instances``."""
        return ({"Name": "Sense", "State": "Running" if self.running else "Stopped", "StartMode": "Manual"},)

    def invoke(self, class_name: str, method: str, arguments: Properties) -> Properties:  # noqa: ARG002 - port
        """See ``CimComponent.invoke``. Raises: CimError."""
        raise no_such_method(class_name, method)

    def sc(self, words: Sequence[str]) -> Completed:
        """Do what ``sc.exe`` was asked."""
        if list(words) != ["start", "Sense"]:
            return Completed(returncode=1060, stdout=b"", stderr=b"")
        code = ALREADY_RUNNING if self.running else 0
        self.running = True
        self.work()
        return Completed(returncode=code, stdout=b"", stderr=b"")

    def work(self) -> None:
        """Take up what stands in the policy."""
        onboarding = self._organisation("OnboardingInfo")
        offboarding = self._organisation("696C1FA1-4030-4FA4-8713-FAF9B2EA7C0A")
        if not self.running or self.deaf or (onboarding and offboarding):
            return
        if onboarding:
            self._say(1, onboarding)
        elif offboarding and offboarding == self._status("OrgId"):
            self._say(0, offboarding)

    def _organisation(self, name: str) -> str:
        value = self.registry.value(POLICY, name)
        if value is None:
            return ""
        return str(json.loads(json.loads(str(value.data))["body"])["orgId"])

    def _status(self, name: str) -> str:
        value = self.registry.value(STATUS, name)
        return "" if value is None else str(value.data)

    def _say(self, state: int, organisation: str) -> None:
        values = {"OnboardingState": RegistryValue.dword(state), "OrgId": RegistryValue.text(organisation)}
        self.registry.fill(STATUS, values)
