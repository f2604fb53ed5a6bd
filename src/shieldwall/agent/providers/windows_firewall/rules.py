"""From an item of the setting to a rule that Windows can read, or the reason why not. Pure.

Each rule is judged before anything is written: from Windows 10 21H2 on, a block with one rule that cannot be read is
refused as a whole. Source of what may be in a rule: Microsoft, [MS-FASP] 2.2.37 and *Firewall CSP*.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from shieldwall.agent.providers.windows_firewall.grammar import PORT_PROTOCOLS, FirewallRule, render
from shieldwall.agent.providers.windows_firewall.members import (
    WORDS,
    UnusableRuleError,
    address,
    interfaces_of,
    list_of,
    local_address,
    message,
    number_of,
    option_of,
    package_of,
    port,
    profiles_of,
    program_of,
    service_of,
    shown_of,
    unless_all,
    users_of,
)
from shieldwall.agent.providers.windows_firewall.places import RULES
from shieldwall.agent.providers.windows_firewall.plain import plain
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.contract.strict_json import digest_of
from shieldwall.policy.values import Item, SettingValue

__all__ = ["UnusableRuleError", "id_of", "is_ours", "name_of", "refused", "rule_of"]

ID_PREFIX: Final = "Shieldwall-"
"""With which the names of all our rules in the store begin; others are never touched."""
_ID: Final = re.compile(rf"{ID_PREFIX}[0-9a-f]{{32}}", re.IGNORECASE)
_MOST_OF_A_RULE: Final = 500_000
"""Characters of a whole rule; the registry takes a million bytes. Source: Microsoft, *Registry Element Size Limits*."""
_ICMP_PROTOCOLS: Final = (1, 58)
_KNOWN: Final = frozenset(
    f"{RULES}_{member}"
    for member in (
        *("firewallrulename", "app_packagefamilyname", "app_filepath", "app_servicename", "protocol", "description"),
        *("localportranges", "remoteportranges", "icmptypesandcodes", "localaddressranges", "remoteaddressranges"),
        *("enabled", "profiles", "action_type", "direction", "interfacetypes", "edgetraversal", "name"),
        "localuserauthorizedlist",
    )
)
_NOT_PUBLISHED: Final = {
    f"{RULES}_policyappid": "a tag of application control",
    f"{RULES}_app_fqbn": "the binary name of a program",
}
_REFERENCE: Final = f"{RULES}_remoteaddressdynamickeywords"


def id_of(value: Item) -> str:
    """Return the name of a rule in the store; the same wherever the same rule is asked for."""
    return f"{ID_PREFIX}{digest_of(plain(value))[:32]}"


def is_ours(name: str) -> bool:
    """Say whether a rule of this name in the store is ours."""
    return _ID.fullmatch(name) is not None


def name_of(value: SettingValue) -> str:
    """Name an item for a report, whatever state it is in."""
    name = value.get(SettingId(f"{RULES}_name")) if isinstance(value, Item) else None
    return (name if isinstance(name, str) and name else "(rule without a name)")[:1024]


def refused(value: SettingValue, error: UnusableRuleError) -> ItemStatus:
    """Report that an item is not written."""
    return ItemStatus(item=name_of(value), state=error.state, code=error.code, reason=str(error)[:1024])


@lru_cache(maxsize=1024)
def rule_of(value: SettingValue) -> FirewallRule:
    """Understand one item, trusting nothing in it. Raises: UnusableRuleError."""
    if not isinstance(value, Item):
        raise UnusableRuleError("invalidRule", "A firewall rule is a group of settings.")
    _refuse_unknown(value)
    protocol = number_of(value, "protocol")
    rule = FirewallRule(
        blocks=option_of(value, "action_type", {"0": True, "1": False}, default="1"),
        active=option_of(value, "enabled", {"0": False, "1": True}, default="1"),
        incoming=option_of(value, "direction", {"in": True, "out": False}, default="out"),
        protocol=protocol,
        profiles=profiles_of(value),
        local_ports=list_of(value, "localportranges", port),
        remote_ports=list_of(value, "remoteportranges", port),
        messages=unless_all(list_of(value, "icmptypesandcodes", message)),
        interface_types=interfaces_of(value),
        local_addresses=unless_all(list_of(value, "localaddressranges", local_address)),
        remote_addresses=unless_all(list_of(value, "remoteaddressranges", address)),
        program=program_of(value),
        service=service_of(value),
        users=users_of(value),
        package=package_of(value),
        name=shown_of(value, "name"),
        description=shown_of(value, "description"),
        edge=option_of(value, "edgetraversal", {"0": False, "1": True}, default="0"),
    )
    _refuse_together(rule, value)
    return rule


def _refuse_unknown(item: Item) -> None:
    for member, _ in item.members:
        if member in _NOT_PUBLISHED:
            cause = f"Nothing is published about how a rule in the registry names {_NOT_PUBLISHED[member]}."
            raise UnusableRuleError("notPublished", cause, state=SettingState.NOT_APPLICABLE)
        if member == _REFERENCE:
            raise UnusableRuleError("groupNotReplaced", f"The server did not put addresses in the place of {member}.")
        # A member that we do not know may be a condition: without it the rule would reach further than it was meant to.
        if member not in _KNOWN:
            raise UnusableRuleError("unknownMember", f"This agent does not know {member[:200]}.")


def _refuse_together(rule: FirewallRule, item: Item) -> None:
    if (rule.local_ports or rule.remote_ports) and rule.protocol not in PORT_PROTOCOLS:
        raise UnusableRuleError("portsNeedProtocol", "Ports need protocol 6 (TCP) or 17 (UDP).")
    if item.get(SettingId(f"{RULES}_icmptypesandcodes")) and rule.protocol not in _ICMP_PROTOCOLS:
        raise UnusableRuleError("icmpNeedsProtocol", "Kinds of ICMP messages need protocol 1 (ICMP) or 58 (ICMPv6).")
    if rule.edge and not rule.incoming:
        raise UnusableRuleError("edgeNeedsInbound", "Edge traversal goes with the direction in only.")
    families = [_families(addresses) for addresses in (rule.local_addresses, rule.remote_addresses) if addresses]
    if not frozenset({4, 6}).intersection(*families):
        raise UnusableRuleError("addressFamiliesDiffer", "One end is IPv4 only and the other IPv6 only.")
    if len(render(rule)) > _MOST_OF_A_RULE:
        raise UnusableRuleError("ruleTooLong", "The rule is longer than the registry holds; part it in two.")


def _families(addresses: tuple[str, ...]) -> frozenset[int]:
    return frozenset(
        family
        for each in addresses
        for family in ((4, 6) if each in WORDS.values() else ((6,) if ":" in each else (4,)))
    )
