"""Time for troubleshooting: until it is over, what somebody changes at the device stays.

The end is a signed moment, and the clock of this machine belongs to whoever works at it. So the time left is counted
down on disk as well: by the seconds this machine has been up, which no setting of the clock touches. Every start of the
machine costs what may have gone uncounted before it. The window closes by whichever of the two ends first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shieldwall.agent.service.errors import StateCorruptError
from shieldwall.agent.service.ports import Machine
from shieldwall.agent.service.records import TroubleshootingRecord
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.clock import Clock
from shieldwall.contract.messages import Manifest
from shieldwall.policy.protection import LONGEST_WINDOW
from shieldwall.trust import moments

START_COSTS: Final = 60.0
"""The agent looks every minute, so that much may have passed uncounted before a machine went down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubleshooting:
    """Whether somebody may work at this device."""

    state: AgentState
    machine: Machine
    clock: Clock

    def is_open(self, manifest: Manifest) -> bool:
        """Say whether the time is not over yet, and count it down. Raises: HostError."""
        until = manifest.protection.troubleshooting_until
        if until is None:
            self.state.drop_troubleshooting()
            return False
        try:
            end, issued = moments.parse(until), moments.parse(manifest.issued)
            record = self.state.find_troubleshooting()
        except (StateCorruptError, ValueError):
            return False  # whoever damages the count has used up the time
        now = self.clock.now()
        if record is None or record.until != until:
            left = min(end - max(now, issued), LONGEST_WINDOW).total_seconds()
        else:
            left = min(record.seconds_left - self._passed(record), (end - now).total_seconds())
        self.state.put_troubleshooting(
            TroubleshootingRecord(
                until=until,
                seconds_left=max(left, 0.0),
                boot_id=self.machine.boot_id(),
                uptime=self.machine.uptime(),
            )
        )
        return left > 0

    def ends_at(self, manifest: Manifest) -> datetime | None:
        """Return by when it is over, ``None`` where it is; changes nothing, for whoever only looks."""
        until = manifest.protection.troubleshooting_until
        try:
            record = self.state.find_troubleshooting()
            if until is None or record is None or record.until != until:
                return None
            now = self.clock.now()
            left = record.seconds_left - self._passed(record)
            end = min(moments.parse(until), now + timedelta(seconds=left))
        except (StateCorruptError, ValueError):
            return None
        return end if end > now else None

    def _passed(self, record: TroubleshootingRecord) -> float:
        uptime = self.machine.uptime()
        if record.boot_id == self.machine.boot_id():
            return max(uptime - record.uptime, 0.0)
        return uptime + START_COSTS
