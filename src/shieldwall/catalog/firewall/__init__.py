"""What firewall rules may say: ports, addresses, and what no rule may cut a device off from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from shieldwall.catalog.faults import LocatedFault, Members
from shieldwall.catalog.firewall import linux, windows
from shieldwall.catalog.firewall.server import Endpoint, ServerEndpoints
from shieldwall.contract.ids import SettingId

__all__ = ["RULE_CHECKS", "Endpoint", "ServerEndpoints"]

RULE_CHECKS: Final[Mapping[SettingId, Callable[[Members, ServerEndpoints | None], Iterator[LocatedFault]]]] = {
    linux.RULES: linux.rule_faults,
    windows.RULES: windows.rule_faults,
}
"""For every group whose items are firewall rules, what is wrong with one rule as a whole."""
