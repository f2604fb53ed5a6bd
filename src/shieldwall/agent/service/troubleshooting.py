"""Time for troubleshooting, as the agent shows it. Whoever enforces counts it for itself, by the same rules."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from shieldwall.agent.applier import window
from shieldwall.agent.applier.window import Present
from shieldwall.agent.service.errors import StateCorruptError
from shieldwall.agent.service.ports import Machine
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.clock import Clock
from shieldwall.contract.messages import Manifest


class Troubleshooting(Struct, frozen=True, kw_only=True):
    """Whether somebody may work at this device."""

    state: AgentState
    machine: Machine
    clock: Clock

    def is_open(self, manifest: Manifest) -> bool:
        """Say whether the time is not over yet, and count it down. Raises: HostError."""
        if manifest.protection.troubleshooting_until is None:
            self.state.drop_troubleshooting()
            return False
        try:
            record = window.counted(manifest, self.state.find_troubleshooting(), self._present())
        except (StateCorruptError, ValueError):
            return False  # whoever damages the count has used up the time
        if record is None:
            return False
        self.state.put_troubleshooting(record)
        return record.seconds_left > 0

    def ends_at(self, manifest: Manifest) -> datetime | None:
        """Return by when it is over, ``None`` where it is; changes nothing, for whoever only looks."""
        try:
            return window.ends_at(manifest, self.state.find_troubleshooting(), self._present())
        except (StateCorruptError, ValueError):
            return None

    def _present(self) -> Present:
        return Present(time=self.clock.now(), boot_id=self.machine.boot_id(), uptime=self.machine.uptime())
