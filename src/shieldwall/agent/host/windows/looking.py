r"""A look at a Windows machine, by its registry and its management.

Sources: Microsoft, *Win32_ComputerSystem*, *Win32_ComputerSystemProduct* (``UUID``: SMBIOS), *Win32_OperatingSystem*.
The host's name under ``Tcpip\Parameters`` and the machine's GUID under ``SOFTWARE\Microsoft\Cryptography`` are where
Windows itself keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from shieldwall.agent.host.cim import SYSTEM, Cim, CimError, Properties
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.facts import hashed_ids
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.registry.one_key import RegistryView
from shieldwall.agent.host.survey import Survey
from shieldwall.agent.host.windows.join import Join, read_join
from shieldwall.agent.host.windows.survey import (
    CONFIGURATION_MANAGER_PROGRAM,
    CONFIGURATION_MANAGER_SERVICE,
    ENROLLMENTS,
    NEIGHBOURS,
    NON_PERSISTENT,
    NON_PERSISTENT_VALUE,
    SENSE,
    SENSE_STATUS,
    SERVICES,
    Enrollment,
    SeenWindows,
    survey,
)
from shieldwall.agent.host.windows_machine import CURRENT_VERSION, WindowsMachine, windows_machine
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds

_LONGEST: Final = 256
_TCPIP: Final = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters"
_COMPUTER_NAME: Final = r"HKLM\SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName"
_CRYPTOGRAPHY: Final = r"HKLM\SOFTWARE\Microsoft\Cryptography"
_ENVIRONMENT: Final = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
_JOIN_SECONDS: Final = 30.0


class WindowsLooking(Struct, frozen=True, kw_only=True):
    """Looks at a Windows machine. ``boot`` names the boot, ``seconds`` tells how long it has lasted."""

    host: Host
    cim: Cim
    boot: Callable[[], str]
    seconds: Callable[[], float]

    def facts(self, *, agent_version: str, catalog_version: str, providers: Mapping[str, str]) -> DeviceFacts:
        """See ``Looking.facts``."""
        machine, computer, view = self._machine(), self._first("Win32_ComputerSystem"), RegistryView(self.host)
        revision = view.number(CURRENT_VERSION, "UBR")
        version = machine.written_version + ("" if revision is None or not machine.version else f".{revision}")
        edition = machine.caption + (" (Server Core)" if machine.is_server_core else "")
        return DeviceFacts(
            display_name=self._name()[:_LONGEST],
            os_type="Windows Server" if machine.is_server else "Windows",
            os_version=" ".join(filter(None, (edition, version)))[:_LONGEST],
            architecture=self._architecture()[:_LONGEST],
            manufacturer=_text(computer, "Manufacturer")[:_LONGEST],
            model=_text(computer, "Model")[:_LONGEST],
            agent_version=agent_version,
            catalog_version=catalog_version,
            providers=dict(sorted(providers.items())),
            is_rooted=False,
        )

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        """See ``Looking.hardware``."""
        machine_guid = RegistryView(self.host).text(_CRYPTOGRAPHY, "MachineGuid").lower().replace("-", "")
        uuid = _text(self._first("Win32_ComputerSystemProduct"), "UUID").lower()
        return hashed_ids(tenant_id, machine_id=machine_guid, smbios_uuid=uuid)

    def boot_id(self) -> str:
        """See ``Looking.boot_id``."""
        return self.boot()[:_LONGEST]

    def uptime(self) -> float:
        """See ``Looking.uptime``."""
        return self.seconds()

    def survey(self) -> Survey:
        """See ``Looking.survey``."""
        return survey(self.look())

    def look(self) -> SeenWindows:
        """See what tells who else manages this machine."""
        view = RegistryView(self.host)
        return SeenWindows(
            machine=self._machine(),
            architecture=self._architecture(),
            sense_status=view.number(SENSE, SENSE_STATUS),
            enrollments=tuple(
                Enrollment(
                    key=key,
                    provider=view.text(f"{ENROLLMENTS}\\{key}", "ProviderID"),
                    state=view.number(f"{ENROLLMENTS}\\{key}", "EnrollmentState"),
                )
                for key in view.keys(ENROLLMENTS)
            ),
            configuration_manager=view.exists(CONFIGURATION_MANAGER_SERVICE) and self._has_ccm(),
            neighbours=tuple(name for name, _ in NEIGHBOURS if view.exists(f"{SERVICES}\\{name}")),
            non_persistent=bool(view.number(NON_PERSISTENT, NON_PERSISTENT_VALUE)),
        )

    def join(self) -> Join:
        """Ask how this machine is joined to a directory; where nothing answers, it is not."""
        program = self.host.find_program("dsregcmd.exe")
        if program is None:
            return Join()
        try:
            asked = self.host.run([program, "/status"], timeout_seconds=_JOIN_SECONDS)
        except HostError:
            return Join()
        return read_join(asked.stdout.decode("utf-8", errors="replace"))

    def _has_ccm(self) -> bool:
        try:
            return self.host.locate(CONFIGURATION_MANAGER_PROGRAM).exists()
        except (OSError, HostError):
            return True

    def _name(self) -> str:
        view = RegistryView(self.host)
        return view.text(_TCPIP, "Hostname") or view.text(_COMPUTER_NAME, "ComputerName") or "localhost"

    def _architecture(self) -> str:
        return RegistryView(self.host).text(_ENVIRONMENT, "PROCESSOR_ARCHITECTURE")

    def _machine(self) -> WindowsMachine:
        try:
            return windows_machine(self.cim, self.host)
        except CimError:
            return WindowsMachine()

    def _first(self, class_name: str) -> Properties:
        try:
            return next(iter(self.cim.instances(SYSTEM, class_name)), {})
        except CimError:
            return {}


def _text(properties: Properties, name: str) -> str:
    value = properties.get(name)
    return value.strip() if isinstance(value, str) else ""
