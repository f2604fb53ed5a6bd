"""What pages of settings follow while they are open: every change of theirs stands in the audit log."""

from __future__ import annotations

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.portal.handling import PageRequest


def audited(request: PageRequest) -> tuple[str, ...]:
    """Return the topic of the audit log for those who may read it; others see what was there when they came."""
    return ("audit",) if caller_of(request).access.may_everywhere(ResourceAction.READ_AUDIT) else ()
