"""A look at a Mac, by what its own programs print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from shieldwall.agent.host.facts import hashed_ids
from shieldwall.agent.host.macos import survey, system
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.running_system import processor, seconds_since_boot
from shieldwall.agent.host.survey import Survey
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds

_LONGEST: Final = 256


class MacosLooking(Struct, frozen=True):
    """Implements ``host.looking.Looking``."""

    host: Host
    seconds: Callable[[], float] = seconds_since_boot
    own_processor: Callable[[], str] = processor
    """How this process sees the processor, where the system does not say."""

    def facts(self, *, agent_version: str, catalog_version: str, providers: Mapping[str, str]) -> DeviceFacts:
        """See ``Looking.facts``."""
        release, machine = self._release(), self._machine()
        written = " ".join(filter(None, (release.get("ProductName", "macOS"), release.get("ProductVersion", ""))))
        return DeviceFacts(
            display_name=machine.get("kern.hostname", "localhost")[:_LONGEST],
            os_type="macOS",
            os_version=written[:_LONGEST],
            architecture=self._architecture(machine)[:_LONGEST],
            manufacturer="Apple",
            model=machine.get("hw.model", "")[:_LONGEST],
            agent_version=agent_version,
            catalog_version=catalog_version,
            providers=dict(sorted(providers.items())),
            is_rooted=False,  # a word about phones, as on the other systems
        )

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        """See ``Looking.hardware``; a Mac has one id of its hardware, and none of an installation."""
        found = system.platform_uuid(system.ask(self.host, system.IOREG))
        return hashed_ids(tenant_id, machine_id="", smbios_uuid=found)

    def boot_id(self) -> str:
        """See ``Looking.boot_id``."""
        return self._machine().get("kern.bootsessionuuid", "")[:_LONGEST]

    def uptime(self) -> float:
        """See ``Looking.uptime``."""
        return self.seconds()

    def survey(self) -> Survey:
        """See ``Looking.survey``."""
        return survey.survey(
            survey.look(self.host, architecture=self._architecture(self._machine())),
            enrollment=system.ask(self.host, system.ENROLLMENT),
            os_version=self._release().get("ProductVersion", ""),
        )

    def _release(self) -> Mapping[str, str]:
        return system.pairs(system.ask(self.host, system.SW_VERS))

    def _machine(self) -> Mapping[str, str]:
        return system.pairs(system.ask(self.host, system.SYSCTL))

    def _architecture(self, machine: Mapping[str, str]) -> str:
        return "arm64" if machine.get("hw.optional.arm64") == "1" else self.own_processor()
