"""Whether a change of the table could keep the device from its server. Pure, and in doubt yes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from shieldwall.agent.providers.nftables.intervals import Family, Interval
from shieldwall.agent.providers.nftables.machine import Machine
from shieldwall.agent.providers.nftables.rules import FirewallRule, parse_rule
from shieldwall.agent.providers.nftables.script import Asked
from shieldwall.agent.providers.nftables.zones import ZoneName

_DNS: Final = 53
_TCP_OR_UDP: Final = frozenset({6, 17})
_ICMP: Final = frozenset({1, 58})


def may_cut_off(before: Asked | None, after: Asked | None) -> bool:
    """Say whether going from one to the other could. What the machine looks like is nobody's change, so it is none.

    Without a table of ours everything passes that others let through.
    """
    if after is None or (before is not None and before.desired == after.desired):
        return False
    if before is None:
        return any(True for _ in _risks(after, after.machine))
    return bool(frozenset(_risks(after, after.machine)) - frozenset(_risks(before, after.machine))) or any(
        _openings(before, zone) - _openings(after, zone) for zone in _closed(after)
    )


def _risks(asked: Asked, machine: Machine) -> Iterator[object]:
    """Yield everything in it that can stop what the device says to its server or hears from it, comparable."""
    profile = asked.profile
    if profile.audit:
        return
    rules = tuple(map(parse_rule, asked.rules or ()))
    for zone in profile.reachable:
        settings = profile.zone(zone)
        if not settings.filtering:
            continue
        for name, stops in (
            ("shielded", settings.shielded),
            ("validation", settings.validation if settings.validation != "off" else None),
            ("invalid", settings.drop_invalid),
            ("inbound", settings.configured and settings.inbound == "block"),
            ("outbound", settings.configured and settings.outbound == "block"),
            ("established", not settings.established),
        ):
            if stops:
                # Which interfaces are in the zone matters as much as what holds there.
                yield zone, name, stops, tuple(_members(asked, zone))
        for rule in rules:
            if rule.counts_in(zone) and rule.action == "block" and _touches(rule, machine, opened=settings.established):
                yield zone, rule.id, settings.established, tuple(_members(asked, zone))


def _closed(asked: Asked) -> Iterator[ZoneName]:
    """Yield zones in which a rule that allows something may be what the device lives by."""
    for zone in asked.profile.reachable:
        settings = asked.profile.zone(zone)
        if settings.configured and (settings.outbound == "block" or not settings.established):
            yield zone


def _openings(asked: Asked, zone: ZoneName) -> frozenset[str]:
    rules = map(parse_rule, asked.rules or ())
    return frozenset(rule.id for rule in rules if rule.counts_in(zone) and rule.action == "allow")


def _members(asked: Asked, zone: ZoneName) -> Iterator[object]:
    """Describe how interfaces get into a zone; into public comes what no other zone claims."""
    profile = asked.profile
    for name in profile.reachable if zone == "public" else (zone,):
        yield name, profile.zone(name).interfaces, tuple(map(repr, profile.zone(name).networks))


def _touches(rule: FirewallRule, machine: Machine, *, opened: bool) -> bool:
    """Say whether a block could be about the server or about resolving names."""
    if rule.direction == "in" and opened:
        return False
    if rule.numbers and not rule.numbers & _TCP_OR_UDP:
        return not rule.numbers <= _ICMP  # it may be the tunnel through which the server is reached
    ports = rule.remote_ports
    if not ports or any(_within(_DNS, interval) for interval in ports):
        return True  # name servers may be anywhere
    if not machine.endpoints:
        return True
    return any(
        any(_within(endpoint.port, interval) for interval in ports) and _is_about(rule, endpoint.address)
        for endpoint in machine.endpoints
    )


def _is_about(rule: FirewallRule, address: str | None) -> bool:
    """Say whether the other end of a rule may be the server; by a name alone, nobody knows where that is."""
    return address is None or not rule.remote.limited or _is_in(rule, address)


def _is_in(rule: FirewallRule, address: str) -> bool:
    parsed = ip_address(address)
    family: Family = "ip" if parsed.version == 4 else "ip6"
    return rule.remote.covers(family) or any(_within(int(parsed), interval) for interval in rule.remote.of(family))


def _within(number: int, interval: Interval) -> bool:
    return interval[0] <= number <= interval[1]
