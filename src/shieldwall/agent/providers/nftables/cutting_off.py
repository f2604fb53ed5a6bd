"""Whether a change of the table could keep the device from its server. Pure, and in doubt yes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shieldwall.agent.providers.nftables.rules import FirewallRule, parse_rule
from shieldwall.agent.providers.nftables.script import Asked
from shieldwall.agent.providers.nftables.zones import ZoneName

_ICMP: Final = frozenset({1, 58})


def may_cut_off(before: Asked | None, after: Asked | None) -> bool:
    """Say whether going from one to the other could. What the machine looks like is nobody's change, so it is none.

    Without a table of ours everything passes that others let through.
    """
    if after is None or (before is not None and before.desired == after.desired):
        return False
    if before is None:
        return any(True for _ in _risks(after))
    return bool(frozenset(_risks(after)) - frozenset(_risks(before))) or any(
        _openings(before, zone) - _openings(after, zone) for zone in _closed(after)
    )


def _risks(asked: Asked) -> Iterator[object]:
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
            if rule.counts_in(zone) and rule.action == "block" and _touches(rule, opened=settings.established):
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


def _touches(rule: FirewallRule, *, opened: bool) -> bool:
    """Say whether a block could be about the server or about resolving names.

    Where the server is says little about the way there: proxies, translated addresses and tunnels lead past the rule
    that names it, and nobody on the device knows them all. So every outbound block may be about that, but one of ICMP.
    """
    if rule.direction == "in":
        return not opened
    return not (rule.numbers and rule.numbers <= _ICMP)
