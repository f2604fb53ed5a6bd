"""Which rules can be in the table of this machine, and why the others cannot. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from shieldwall.agent.providers.nftables.machine import Machine
from shieldwall.agent.providers.nftables.rules import FirewallRule, UnusableRuleError, name_of, parse_rule
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.policy.values import SettingValue


class Sorted(Struct, frozen=True, kw_only=True):
    """Items of the setting, parted."""

    items: tuple[SettingValue, ...] = ()
    """Those that can be in the table, as they were asked for."""
    rules: tuple[FirewallRule, ...] = ()
    """The same, understood."""
    rejected: tuple[ItemStatus, ...] = ()


def sorted_out(value: SettingValue, machine: Machine) -> Sorted:
    """Part the items of the setting: one that is bad must not take the others along."""
    items: list[SettingValue] = []
    rules: list[FirewallRule] = []
    rejected: list[ItemStatus] = []
    for item in value if isinstance(value, tuple) else (value,):
        try:
            rule = parse_rule(item)
        except UnusableRuleError as error:
            rejected.append(_status(item, SettingState.ERROR, error))
            continue
        error_here = refusal(rule, machine)
        if error_here is not None:
            waiting = error_here.code == "serviceNotRunning"
            rejected.append(_status(item, SettingState.PENDING if waiting else SettingState.ERROR, error_here))
            continue
        items.append(item)
        rules.append(rule)
    return Sorted(items=tuple(items), rules=tuple(rules), rejected=tuple(rejected))


def understood(value: SettingValue) -> tuple[FirewallRule, ...]:
    """Return the rules among the items that mean something and count, whatever the machine."""
    rules: list[FirewallRule] = []
    for item in value if isinstance(value, tuple) else (value,):
        try:
            rules.append(parse_rule(item))
        except UnusableRuleError:
            continue
    return tuple(rule for rule in rules if rule.enabled)


def refusal(rule: FirewallRule, machine: Machine) -> UnusableRuleError | None:
    """Say why a rule that means something cannot be in the table of this machine, or not yet."""
    if not rule.enabled:
        return None
    if words := machine.refused.get(rule.id):
        return UnusableRuleError("refusedByNft", words)
    if unknown := [user for user in rule.users if not user.isdecimal() and user not in machine.users]:
        return UnusableRuleError("unknownUser", f"There is no user {unknown[0]} on this device.")
    if rule.service and rule.service not in machine.services:
        return UnusableRuleError(
            "serviceNotRunning", f"{rule.service} does not run; the rule counts once it does, within a minute."
        )
    return None


def without_services(rules: Iterable[FirewallRule]) -> tuple[FirewallRule, ...]:
    """Leave out rules about services: none of them runs yet when a machine starts."""
    return tuple(rule for rule in rules if not rule.service)


def _status(item: SettingValue, state: SettingState, error: UnusableRuleError) -> ItemStatus:
    return ItemStatus(item=name_of(item)[:1024], state=state, code=error.code, reason=str(error)[:1024])
