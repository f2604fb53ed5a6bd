"""The state in which somebody saw a policy: what it says, and whom it is for. It names more than a revision does."""

from __future__ import annotations

from sqlalchemy import Connection

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.storage.policies import assignments
from shieldwall.server.storage.records import Policy


def seen_state(connection: Connection, policy: Policy) -> str:
    """Name the state of a policy as it is now."""
    assigned = assignments.of_policy(connection, policy.id)
    told = sorted(f"{each.kind}{each.group_id}{each.filter_id}{each.filter_kind}" for each in assigned)
    return digest_of_bytes(f"{policy.revision} {policy.modified_at.isoformat()} {told}".encode())
