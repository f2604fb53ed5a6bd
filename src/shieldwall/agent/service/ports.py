"""What a check-in needs of the rest of the agent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

from shieldwall.agent.applier.state import Terms
from shieldwall.agent.host.survey import Survey
from shieldwall.contract.ids import Digest, TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import StatusReport

Randomness: TypeAlias = Callable[[int], bytes]
"""Returns so many unpredictable bytes."""


class Machine(Protocol):
    """What can be said about the machine the agent runs on."""

    def facts(self) -> DeviceFacts:
        """Collect what groups may ask for, the survey's finding included."""
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


class Enforcer(Protocol):
    """Makes policies so, and says what is in effect. Every method leaves the device as it was when it raises."""

    def recover(self) -> Sequence[str]:
        """Undo what a crash left half done; names what went back."""
        ...

    def enforce(self, documents: Iterable[PolicyDocument], *, target: Digest | None, terms: Terms) -> StatusReport:
        """Make these policies, and no others, hold, on the tenant's terms."""
        ...

    def refresh(self) -> StatusReport:
        """Look again at what is in effect, repair drift, and report."""
        ...

    def release(self) -> None:
        """Return every setting to its state from before management."""
        ...
