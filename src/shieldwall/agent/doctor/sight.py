"""The machine as the applier saw it once; where it said nothing, by our own eyes, which see less."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from shieldwall import __version__
from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.examination import Examination
from shieldwall.agent.applier.protocol import Answer, Request, Standing
from shieldwall.agent.host import facts
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.running_system import processor
from shieldwall.agent.host.survey import Survey, look, survey
from shieldwall.agent.service.errors import ApplierSilentError
from shieldwall.agent.service.ports import Machine
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds


class SeenMachine(Struct, frozen=True, kw_only=True):
    """Answers from memory, so that an applier that hangs is waited for once."""

    host: Host
    behind: Machine
    view: Examination | None

    def facts(self) -> DeviceFacts:
        """See ``Machine.facts``."""
        if self.view is not None and self.view.facts is not None:
            return self.view.facts
        return facts.device_facts(self.host, agent_version=__version__, catalog_version="", providers={})

    def engines(self) -> Mapping[str, str | None]:
        """See ``Machine.engines``."""
        return {} if self.view is None else self.view.engines

    def survey(self) -> Survey:
        """See ``Machine.survey``."""
        if self.view is not None:
            return self.view.survey.read()
        return survey(look(self.host, architecture=processor()))

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        """See ``Machine.hardware``."""
        return facts.hardware_ids(self.host, tenant_id)

    def boot_id(self) -> str:
        """See ``Machine.boot_id``."""
        return self.behind.boot_id()

    def uptime(self) -> float:
        """See ``Machine.uptime``."""
        return self.behind.uptime()


class Remembered(Struct, frozen=True, kw_only=True):
    """Answers requests as the applier did once. Whoever goes on with it can neither wait for it nor change anything."""

    view: Examination | None
    standing: Standing | None

    def __call__(self, request: Request) -> Answer:
        """Answer. Raises: ApplierSilentError: it did not say that then."""
        match request:
            case protocol.Examine() if self.view is not None:
                return protocol.Examined(examination=self.view)
            case protocol.Look() if self.standing is not None:
                return self.standing
            case _:
                raise ApplierSilentError("The applier did not answer.")
