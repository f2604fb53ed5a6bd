"""What is in effect, as Windows tells it: the store of all stores.

Source: Microsoft, *WFASCIMProv* (``MSFT_NetFirewallProfile``, ``MSFT_NetFirewallRule``, its filters) and
*Get-NetFirewallRule* (``-PolicyStore``: ``ActiveStore`` is what holds, ``RSOP`` what Group Policy says).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

from shieldwall.agent.host.cim import FIREWALL, Cim, CimError, CimValue, Properties

PROFILE: Final = "MSFT_NetFirewallProfile"
SETTINGS: Final = "MSFT_NetSecuritySettingData"
RULE: Final = "MSFT_NetFirewallRule"
PORT_FILTER: Final = "MSFT_NetProtocolPortFilter"
ADDRESS_FILTER: Final = "MSFT_NetAddressFilter"
APPLICATION_FILTER: Final = "MSFT_NetApplicationFilter"
SERVICE_FILTER: Final = "MSFT_NetServiceFilter"
INTERFACE_TYPE_FILTER: Final = "MSFT_NetInterfaceTypeFilter"
INTERFACE_FILTER: Final = "MSFT_NetInterfaceFilter"
SECURITY_FILTER: Final = "MSFT_NetNetworkLayerSecurityFilter"
FILTERS: Final = (PORT_FILTER, ADDRESS_FILTER, APPLICATION_FILTER, SERVICE_FILTER)
RARE_FILTERS: Final = (INTERFACE_TYPE_FILTER, INTERFACE_FILTER, SECURITY_FILTER)

ACTIVE_STORE: Final = "ActiveStore"
GROUP_POLICY: Final = "RSOP"

NO, YES, NOT_CONFIGURED = 0, 1, 2
"""What ``GpoBoolean`` may be."""
ALLOW, BLOCK = 2, 4
"""What an action may be; 0 is none."""
INBOUND, OUTBOUND = 1, 2
ENABLED = 1
STATUS_OK: Final = 1
SOURCE_GROUP_POLICY: Final = 2


class Active:
    """What holds, asked for once and only as far as somebody wants to know: each question starts a program."""

    def __init__(self, cim: Cim) -> None:
        """Ask nothing yet."""
        self._cim = cim

    @cached_property
    def profiles(self) -> Mapping[str, Properties]:
        """The profiles by name. Raises: CimError: Windows does not answer."""
        return _profiles(self._cim.instances(FIREWALL, PROFILE, PolicyStore=ACTIVE_STORE))

    @cached_property
    def group_policy(self) -> Mapping[str, Properties]:
        """What Group Policy says of the profiles; a machine in no domain may have none."""
        return _profiles(self._or_nothing(PROFILE, GROUP_POLICY))

    @cached_property
    def settings(self) -> Properties:
        """What holds whatever the profile; nothing where Windows does not tell."""
        return next(iter(self._or_nothing(SETTINGS, ACTIVE_STORE)), {})

    @cached_property
    def rules(self) -> Mapping[str, Properties]:
        """The rules by their names in lower case. Raises: CimError: Windows does not answer."""
        return {_name(row): row for row in self._cim.instances(FIREWALL, RULE, PolicyStore=ACTIVE_STORE)}

    @cached_property
    def filters(self) -> Mapping[str, Mapping[str, CimValue]]:
        """Most conditions of each rule together; nothing of those that Windows does not tell."""
        return self._conditions(FILTERS)

    @cached_property
    def rare_filters(self) -> Mapping[str, Mapping[str, CimValue]]:
        """The conditions that few rules have: an interface, a user, another computer."""
        return self._conditions(RARE_FILTERS)

    def _conditions(self, filters: Sequence[str]) -> Mapping[str, Mapping[str, CimValue]]:
        found: dict[str, dict[str, CimValue]] = {}
        for name in filters:
            for row in self._or_nothing(name, ACTIVE_STORE):
                found.setdefault(_name(row), {}).update(row)
        return found

    def _or_nothing(self, class_name: str, store: str) -> Sequence[Properties]:
        try:
            return self._cim.instances(FIREWALL, class_name, PolicyStore=store)
        except CimError:
            return ()


def _profiles(rows: Sequence[Properties]) -> Mapping[str, Properties]:
    return {str(row.get("Name") or row.get("InstanceID") or "").rpartition("|")[2]: row for row in rows}


def _name(row: Properties) -> str:
    return str(row.get("InstanceID") or "").lower()
