"""What a check-in needs of the rest of the agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from shieldwall.agent.host.survey import Survey
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds

Randomness: TypeAlias = Callable[[int], bytes]
"""Returns so many unpredictable bytes."""


class Machine(Protocol):
    """What can be said about the machine the agent runs on."""

    def facts(self) -> DeviceFacts:
        """Collect what groups may ask for, the survey's finding included."""
        ...

    def engines(self) -> Mapping[str, str | None]:
        """Name every product that could be steered, with its version where it is here."""
        ...

    def survey(self) -> Survey:
        """Look who else manages the machine, and whether it can be managed at all."""
        ...

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        """Hash what tells this machine from another, for one tenant alone."""
        ...

    def boot_id(self) -> str:
        """Name this boot."""
        ...

    def uptime(self) -> float:
        """Return for how many seconds this boot has lasted, sleep included; no setting of the clock changes that."""
        ...
