"""What firewall rules may say: ports, addresses, and what no rule may cut a device off from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from shieldwall.catalog.faults import LocatedFault, Members
from shieldwall.catalog.firewall import linux, windows
from shieldwall.catalog.firewall.rules import Rule, together_faults
from shieldwall.catalog.firewall.server import Endpoint, ServerEndpoints
from shieldwall.contract.ids import SettingId

__all__ = ["RULE_READERS", "Endpoint", "Rule", "ServerEndpoints", "together_faults"]

RULE_READERS: Final[
    Mapping[SettingId, Callable[[Members, ServerEndpoints | None], Rule | tuple[LocatedFault, ...]]]
] = {
    linux.RULES: linux.read_rule,
    windows.RULES: windows.read_rule,
}
"""For every group whose items are firewall rules, how one takes effect; or what in it cannot stand together."""
