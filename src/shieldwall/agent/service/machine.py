"""This machine, as a check-in speaks of it: by the applier's eyes, which see what root sees."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from shieldwall.agent.applier.examination import Examination
from shieldwall.agent.host.running_system import boot_id, seconds_since_boot
from shieldwall.agent.host.survey import Survey
from shieldwall.agent.service.enforcer import Enforcer
from shieldwall.agent.service.errors import ApplierAnswerError
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds


class RemoteMachine(Struct, frozen=True, kw_only=True):
    """Asks the applier; boot and uptime everybody may read."""

    enforcer: Enforcer

    def facts(self) -> DeviceFacts:
        """See ``Machine.facts``."""
        return _known(self.enforcer.examine(with_facts=True))

    def engines(self) -> Mapping[str, str | None]:
        """See ``Machine.engines``."""
        return self.enforcer.examine(with_facts=True).engines

    def survey(self) -> Survey:
        """See ``Machine.survey``."""
        return self.enforcer.examine().survey.read()

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        """See ``Machine.hardware``."""
        return self.enforcer.examine(tenant_id=tenant_id).hardware or HardwareIds()

    def boot_id(self) -> str:
        """See ``Machine.boot_id``."""
        return boot_id()[:256]

    def uptime(self) -> float:
        """See ``Machine.uptime``."""
        return seconds_since_boot()


def _known(found: Examination) -> DeviceFacts:
    if found.facts is None:
        raise ApplierAnswerError("The applier says nothing about the machine.")
    return found.facts
