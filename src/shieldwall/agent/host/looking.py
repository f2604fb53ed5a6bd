"""A look at a machine: what it says of itself, who else manages it, since when it runs. Each platform has its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from shieldwall.agent.host import facts
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.running_system import processor
from shieldwall.agent.host.survey import Survey, look, survey
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds


class Looking(Protocol):
    """What can be seen of one machine."""

    def facts(self, *, agent_version: str, catalog_version: str, providers: Mapping[str, str]) -> DeviceFacts:
        """Gather the facts that a check-in reports; what the survey finds is not among them."""
        ...

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        """Hash what tells this machine from another, for one tenant alone."""
        ...

    def boot_id(self) -> str:
        """Name this boot."""
        ...

    def uptime(self) -> float:
        """Return for how many seconds this boot has lasted, sleep included."""
        ...

    def survey(self) -> Survey:
        """Look who else manages the machine, and whether it can be managed at all."""
        ...


class LinuxLooking(Struct, frozen=True):
    """Looks at a Linux machine by its files."""

    host: Host

    def facts(self, *, agent_version: str, catalog_version: str, providers: Mapping[str, str]) -> DeviceFacts:
        """See ``Looking.facts``."""
        return facts.device_facts(
            self.host, agent_version=agent_version, catalog_version=catalog_version, providers=providers
        )

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        """See ``Looking.hardware``."""
        return facts.hardware_ids(self.host, tenant_id)

    def boot_id(self) -> str:
        """See ``Looking.boot_id``."""
        return facts.boot_id(self.host)

    def uptime(self) -> float:
        """See ``Looking.uptime``."""
        return facts.uptime(self.host)

    def survey(self) -> Survey:
        """See ``Looking.survey``."""
        return survey(look(self.host, architecture=processor()))
