"""From a firewall rule to what it matches: one set of matches for each line that it needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from shieldwall.agent.providers.nftables.intervals import FAMILIES, HIGHEST, Addresses, Family, merged
from shieldwall.agent.providers.nftables.lines import CONTROL_GROUP, Match
from shieldwall.agent.providers.nftables.machine import Machine
from shieldwall.agent.providers.nftables.rules import FirewallRule


def matches_of(rule: FirewallRule, machine: Machine) -> Iterator[frozenset[Match]]:
    """Yield what the lines of a rule match; nothing where the machine has no interface that it is about.

    Raises: KeyError: The rule names a user or a unit that this machine does not know; see ``usable.refusal``.
    """
    if rule.kinds and not any(machine.kinds.get(kind) for kind in rule.kinds):
        return
    common = frozenset((*_interfaces(rule, machine), *_sockets(rule, machine)))
    families = FAMILIES if rule.icmp and rule.families == (None,) else rule.families
    for family in families:
        ends = frozenset(_ends(rule, family)) if family is not None else frozenset[Match]()
        for protocol in _protocols(rule, family):
            # A kind of ICMP message belongs to one family already, and nft leaves out what is said twice.
            needed = ends if not rule.icmp else frozenset(match for match in ends if match.field != "meta nfproto")
            yield common | needed | protocol


def _interfaces(rule: FirewallRule, machine: Machine) -> Iterator[Match]:
    field = "meta iifname" if rule.direction == "in" else "meta oifname"
    if rule.interfaces:
        yield Match(field=field, words=frozenset(distinct(rule.interfaces)))
    if rule.kinds:
        names = {name for kind in rule.kinds for name in machine.kinds.get(kind, ())}
        yield Match(field=field, words=frozenset(names))


def distinct(names: tuple[str, ...]) -> Iterator[str]:
    """Leave out names that a beginning such as ``wg*`` covers: nft refuses a set that says something twice."""
    stems = sorted((name.removesuffix("*") for name in names if name.endswith("*")), key=len)
    kept: list[str] = []
    for stem in stems:
        if not any(stem.startswith(shorter) for shorter in kept):
            kept.append(stem)
    yield from (f"{stem}*" for stem in kept)
    yield from (name for name in names if not name.endswith("*") and not any(map(name.startswith, kept)))


def _sockets(rule: FirewallRule, machine: Machine) -> Iterator[Match]:
    if rule.service:
        yield Match(field=CONTROL_GROUP, words=frozenset({machine.services[rule.service].path}))
    if rule.users:
        numbers = (int(user) if user.isdecimal() else machine.users[user] for user in rule.users)
        yield Match(field="meta skuid", intervals=merged((number, number) for number in numbers))


def _protocols(rule: FirewallRule, family: Family | None) -> Iterator[frozenset[Match]]:
    source_ports, destination_ports = (
        (rule.remote_ports, rule.local_ports) if rule.direction == "in" else (rule.local_ports, rule.remote_ports)
    )
    if rule.icmp:
        yield from _messages(rule, "icmp" if family == "ip" else "icmpv6")
    elif source_ports or destination_ports:
        fields = {"sport": source_ports, "dport": destination_ports}
        yield frozenset(
            Match(field=f"{rule.protocol} {name}", intervals=ports) for name, ports in fields.items() if ports
        )
    elif rule.numbers:
        intervals = merged((number, number) for number in rule.numbers)
        yield frozenset({Match(field="meta l4proto", intervals=intervals)})
    else:
        yield frozenset()


def _messages(rule: FirewallRule, protocol: str) -> Iterator[frozenset[Match]]:
    """One line for the kinds of which every code counts, and one for each kind with codes of its own."""
    if whole := merged((number, number) for number, code in rule.icmp if code is None):
        yield frozenset({Match(field=f"{protocol} type", intervals=whole)})
    coded = sorted((number, code) for number, code in rule.icmp if code is not None)
    for number, pairs in groupby(coded, key=lambda pair: pair[0]):
        codes = merged((code, code) for _, code in pairs)
        yield frozenset(
            {
                Match(field=f"{protocol} type", intervals=((number, number),)),
                Match(field=f"{protocol} code", intervals=codes),
            }
        )


def _ends(rule: FirewallRule, family: Family) -> Iterator[Match]:
    source, destination = (rule.remote, rule.local) if rule.direction == "in" else (rule.local, rule.remote)
    limited = False
    for field, addresses in (("saddr", source), ("daddr", destination)):
        intervals = _limiting(addresses, family)
        if intervals:
            limited = True
            yield Match(field=f"{family} {field}", intervals=intervals)
    if not limited:  # every address of one family
        number = 2 if family == "ip" else 10
        yield Match(field="meta nfproto", intervals=((number, number),))


def _limiting(addresses: Addresses, family: Family) -> tuple[tuple[int, int], ...]:
    intervals = addresses.of(family) if addresses.limited else ()
    return () if intervals == ((0, HIGHEST[family]),) else intervals
