"""This machine, as a check-in speaks of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from shieldwall import __version__
from shieldwall.agent.host import facts
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.survey import Survey, look, survey
from shieldwall.agent.providers.base import Provider
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMachine:
    """The machine behind a ``Host``."""

    host: Host
    providers: Sequence[Provider]
    catalog_version: str

    def facts(self) -> DeviceFacts:
        """See ``Machine.facts``; the survey is made anew every time, for another manager may have come."""
        found = {provider.name: provider.product_version(self.host) for provider in self.providers}
        plain = facts.device_facts(
            self.host,
            agent_version=__version__,
            catalog_version=self.catalog_version,
            providers={name: version for name, version in found.items() if version is not None},
        )
        return self.survey().upon(plain)

    def survey(self) -> Survey:
        """See ``Machine.survey``."""
        return survey(look(self.host, architecture=os.uname().machine))

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        """See ``Machine.hardware``."""
        return facts.hardware_ids(self.host, tenant_id)

    def boot_id(self) -> str:
        """See ``Machine.boot_id``."""
        return facts.boot_id(self.host)

    def uptime(self) -> float:
        """See ``Machine.uptime``."""
        return facts.uptime(self.host)
