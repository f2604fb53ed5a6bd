"""Which managed devices the rule of an assignment filter names, saved or not."""

from __future__ import annotations

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.policy.device_sets import places
from shieldwall.server.directory.attributes import described_fleet
from shieldwall.server.directory.filter_rules import PLATFORMS, read_filter_rule, rule_for
from shieldwall.server.manager.filters import InvalidFilterError
from shieldwall.server.storage.fleets.fleets import Whose


def matching_devices(connection: Connection, tenant_id: TenantId, platform: str, rule: str) -> tuple[DeviceId, ...]:
    """Return the managed devices of a platform that a rule names, in the order of their ids.

    Raises:
        InvalidFilterError: There are no filters for that platform.
        InvalidRuleError: The rule cannot be read.
    """
    if platform not in PLATFORMS:
        raise InvalidFilterError(f"There are filters for {', '.join(sorted(PLATFORMS))}.", member="platform")
    wanted = rule_for(platform, read_filter_rule(rule))
    fleet = described_fleet(connection, tenant_id, [wanted], Whose.MANAGED)
    return tuple(fleet.ids[place] for place in places(fleet.columns.matching(wanted)))
