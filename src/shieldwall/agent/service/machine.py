"""This machine, as a check-in speaks of it: by the applier's eyes, which see what root sees."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shieldwall.agent.applier.examination import Examination
from shieldwall.agent.host.survey import Survey
from shieldwall.agent.service.enforcer import Enforcer
from shieldwall.agent.service.errors import ApplierAnswerError
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteMachine:
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
        try:
            return _BOOT_ID.read_text(encoding="ascii").strip()[:256]
        except (OSError, ValueError):
            return ""

    def uptime(self) -> float:
        """See ``Machine.uptime``."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def _known(found: Examination) -> DeviceFacts:
    if found.facts is None:
        raise ApplierAnswerError("The applier says nothing about the machine.")
    return found.facts
