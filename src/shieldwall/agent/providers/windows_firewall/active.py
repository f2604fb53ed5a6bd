"""What is in effect, as Windows tells it: the store of all stores.

Source: Microsoft, *WFASCIMProv* (``MSFT_NetFirewallProfile``, ``MSFT_NetFirewallRule``, its filters) and
*Get-NetFirewallRule* (``-PolicyStore``: ``ActiveStore`` is what holds, ``RSOP`` what Group Policy says).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shieldwall.agent.host.cim import FIREWALL, Cim, CimError, CimValue, Properties

PROFILE: Final = "MSFT_NetFirewallProfile"
SETTINGS: Final = "MSFT_NetSecuritySettingData"
RULE: Final = "MSFT_NetFirewallRule"
PORT_FILTER: Final = "MSFT_NetProtocolPortFilter"
ADDRESS_FILTER: Final = "MSFT_NetAddressFilter"
APPLICATION_FILTER: Final = "MSFT_NetApplicationFilter"
SERVICE_FILTER: Final = "MSFT_NetServiceFilter"
FILTERS: Final = (PORT_FILTER, ADDRESS_FILTER, APPLICATION_FILTER, SERVICE_FILTER)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """What holds at one moment, and what Group Policy says where it can be asked."""

    profiles: Mapping[str, Properties]
    group_policy: Mapping[str, Properties]
    settings: Properties
    rules: Mapping[str, Properties]
    """By their names in lower case."""
    filters: Mapping[str, Mapping[str, CimValue]]
    """All conditions of a rule together, by its name in lower case."""


def ask(cim: Cim, *, with_rules: bool) -> Active:
    """Ask Windows. Raises: CimError: It does not answer."""
    rules: Mapping[str, Properties] = {}
    filters: dict[str, dict[str, CimValue]] = {}
    if with_rules:
        rules = _by_name(cim.instances(FIREWALL, RULE, PolicyStore=ACTIVE_STORE))
        for name in FILTERS:
            for row in cim.instances(FIREWALL, name, PolicyStore=ACTIVE_STORE):
                filters.setdefault(_name(row), {}).update(row)
    return Active(
        profiles=_profiles(cim.instances(FIREWALL, PROFILE, PolicyStore=ACTIVE_STORE)),
        group_policy=_profiles(_or_nothing(cim, PROFILE, GROUP_POLICY)),
        settings=next(iter(_or_nothing(cim, SETTINGS, ACTIVE_STORE)), {}),
        rules=rules,
        filters=filters,
    )


def _or_nothing(cim: Cim, class_name: str, store: str) -> Sequence[Properties]:
    """Ask for what may not be there: a machine in no domain has no Group Policy."""
    try:
        return cim.instances(FIREWALL, class_name, PolicyStore=store)
    except CimError:
        return ()


def _profiles(rows: Sequence[Properties]) -> Mapping[str, Properties]:
    return {str(row.get("Name") or row.get("InstanceID") or "").rpartition("|")[2]: row for row in rows}


def _by_name(rows: Sequence[Properties]) -> Mapping[str, Properties]:
    return {_name(row): row for row in rows}


def _name(row: Properties) -> str:
    return str(row.get("InstanceID") or "").lower()
