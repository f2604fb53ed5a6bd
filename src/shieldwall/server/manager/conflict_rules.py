"""The rules by which a tenant brings policies together that want different values."""

from __future__ import annotations

from sqlalchemy import Connection

from shieldwall.contract.conflicts import ConflictRules
from shieldwall.contract.ids import TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.reach import Reach
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.policies.aims import ChangeKind
from shieldwall.server.storage.tenants import tenants


def get_rules(connection: Connection, tenant_id: TenantId) -> ConflictRules:
    """Return the families that a tenant decides otherwise than published. Raises: NotFoundError."""
    return tenants.conflict_rules(connection, tenant_id)


def replace_rules(connection: Connection, acting: Acting, rules: ConflictRules) -> ConflictRules:
    """Make these the rules of the tenant, and let every device follow them; a family left out is as published.

    Raises:
        NotFoundError: There is no such tenant.
    """
    targets.lock(connection)
    if rules == tenants.conflict_rules(connection, acting.tenant_id):
        return rules
    tenants.put_conflict_rules(connection, acting.tenant_id, rules)
    told = {family.value: rule.value for family, rule in rules.items()}
    acting.record(connection, "conflictRules.changed", "tenant", acting.tenant_id, rules=told)
    reach = Reach(connection, acting)
    reach.everybody()
    reach.aim(ChangeKind.TENANT)
    return rules
