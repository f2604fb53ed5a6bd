"""How the channel as a whole is: in the words that Graph publishes for its connector; pure."""

from __future__ import annotations

from datetime import datetime

from shieldwall.policy.enrollment import EnforcementScope
from shieldwall.server.inventory.machines import INACTIVE_AFTER


def partner_state(scope: EnforcementScope, heartbeat: datetime | None, now: datetime) -> str:
    """Say in the published words how the channel is: ``unresponsive`` where no device was in touch for a week."""
    if not scope.is_allowed:
        return "available"
    if heartbeat is None:
        return "notSetUp"
    return "unresponsive" if heartbeat < now - INACTIVE_AFTER else "enabled"
