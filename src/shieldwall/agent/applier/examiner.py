"""Looks at the machine for whoever may not: in the applier's process, or in the agent's for a root of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from shieldwall import __version__
from shieldwall.agent.applier.examination import Examination, Surveyed
from shieldwall.agent.host.looking import Looking
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.survey import Survey
from shieldwall.agent.inspection.model import Inspection
from shieldwall.agent.providers.base import Provider
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds


class Examiner(Struct, frozen=True, kw_only=True):
    """Looks at the machine behind a ``Host``; the survey is made anew every time, for another manager may have come."""

    host: Host
    looking: Looking
    providers: Sequence[Provider]
    catalog_version: str
    inspect: Callable[[bool], Inspection] = lambda _with_exhibits: Inspection()
    """Looks for the doctor, in bounded time; where wanted, also at what a bundle holds."""

    def __call__(
        self,
        *,
        with_facts: bool,
        tenant_id: TenantId | None,
        inspect: Literal["checks", "bundle"] | None = None,
    ) -> Examination:
        """Look at what is asked for."""
        found = self.survey()
        engines = self.engines() if with_facts else {}
        return Examination(
            survey=Surveyed.of(found),
            facts=self._facts(found, engines) if with_facts else None,
            hardware=None if tenant_id is None else self.hardware(tenant_id),
            engines=engines,
            inspection=None if inspect is None else self.inspect(inspect == "bundle"),
        )

    def facts(self) -> DeviceFacts:
        """Collect what groups may ask for, the survey's finding included."""
        return self._facts(self.survey(), self.engines())

    def _facts(self, found: Survey, engines: Mapping[str, str | None]) -> DeviceFacts:
        plain = self.looking.facts(
            agent_version=__version__,
            catalog_version=self.catalog_version,
            providers={name: version for name, version in engines.items() if version is not None},
        )
        return found.upon(plain)

    def engines(self) -> dict[str, str | None]:
        """Name the products that could be steered, with the versions of those that are here."""
        return {provider.name: provider.product_version(self.host) for provider in self.providers}

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        """Hash what tells this machine from another, for one tenant alone."""
        return self.looking.hardware(tenant_id)

    def boot_id(self) -> str:
        """Name this boot."""
        return self.looking.boot_id()

    def uptime(self) -> float:
        """Return for how many seconds this boot has lasted, sleep included."""
        return self.looking.uptime()

    def survey(self) -> Survey:
        """Look who else manages the machine, and whether it can be managed at all."""
        return self.looking.survey()
