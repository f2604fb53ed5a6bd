"""The table as lines: what to match and what to do, in one form for the script we write and the listing we compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from shieldwall.agent.providers.nftables.intervals import HIGHEST, Family, Interval, address_text
from shieldwall.agent.providers.nftables.rules import Addresses, FirewallRule

ChainName: TypeAlias = Literal["input", "output"]
Verdict: TypeAlias = Literal["accept", "drop"]

CHAINS: Final[tuple[ChainName, ...]] = ("input", "output")
TABLE: Final = "shieldwall"
"""Our table, in the family inet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A field of a packet, named as nft names it, and the values it may have: words or intervals of numbers."""

    field: str
    words: frozenset[str] = frozenset()
    intervals: tuple[Interval, ...] = ()

    def __str__(self) -> str:
        """Write the match as nft reads it."""
        return f"{self.field} {{ {', '.join((*sorted(self.words), *map(self._interval, self.intervals)))} }}"

    def _interval(self, interval: Interval) -> str:
        family = self.field.split()[0]
        first, last = (address_text(family, number) if family in HIGHEST else str(number) for number in interval)
        return first if first == last else f"{first}-{last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a chain. The comment carries the id of the rule that it comes from."""

    chain: ChainName
    comment: str
    matches: frozenset[Match]
    verdict: Verdict

    def __str__(self) -> str:
        """Write the line as nft reads it."""
        matches = " ".join(sorted(map(str, self.matches)))
        return f'{matches} counter {self.verdict} comment "{self.comment}"'.lstrip()


def lines_for(rules: Iterable[FirewallRule]) -> tuple[Line, ...]:
    """Lay out the whole table: what must always pass, then every block, then every allow."""
    enabled = [rule for rule in rules if rule.enabled]
    return (
        *(line for chain in CHAINS for line in _always(chain)),
        *(line for rule in enabled if rule.action == "block" for line in _lines(rule)),
        *(line for rule in enabled if rule.action == "allow" for line in _lines(rule)),
    )


def _always(chain: ChainName) -> Iterator[Line]:
    loopback = "meta iifname" if chain == "input" else "meta oifname"
    always = {
        "loopback": Match(field=loopback, words=frozenset({"lo"})),
        "established": Match(field="ct state", words=frozenset({"established", "related"})),
        # Without neighbour discovery no IPv6 packet finds its way, as none of IPv4 would without ARP, which never
        # comes through this table.
        "neighbours": Match(
            field="icmpv6 type",
            words=frozenset({"nd-router-solicit", "nd-router-advert", "nd-neighbor-solicit", "nd-neighbor-advert"}),
        ),
    }
    for name, match in always.items():
        yield Line(chain=chain, comment=f"{TABLE} always {name}", matches=frozenset({match}), verdict="accept")


def _lines(rule: FirewallRule) -> Iterator[Line]:
    inbound = rule.direction == "in"
    source, destination = (rule.remote, rule.local) if inbound else (rule.local, rule.remote)
    source_ports, destination_ports = (
        (rule.remote_ports, rule.local_ports) if inbound else (rule.local_ports, rule.remote_ports)
    )
    for family in rule.families:
        matches: list[Match] = []
        if family is not None:
            matches += _addresses(family, source=source, destination=destination)
        if source_ports:
            matches.append(Match(field=f"{rule.protocol} sport", intervals=source_ports))
        if destination_ports:
            matches.append(Match(field=f"{rule.protocol} dport", intervals=destination_ports))
        if not source_ports and not destination_ports and rule.protocol != "any":
            words = {"icmp", "ipv6-icmp"} if rule.protocol == "icmp" else {rule.protocol}
            matches.append(Match(field="meta l4proto", words=frozenset(words)))
        yield Line(
            chain="input" if inbound else "output",
            comment=f"{TABLE} {rule.id}",
            matches=frozenset(matches),
            verdict="drop" if rule.action == "block" else "accept",
        )


def _addresses(family: Family, *, source: Addresses, destination: Addresses) -> Iterator[Match]:
    limited = False
    for field, addresses in (("saddr", source), ("daddr", destination)):
        intervals = addresses.of(family) if addresses.limited else ()
        if intervals and intervals != ((0, HIGHEST[family]),):
            limited = True
            yield Match(field=f"{family} {field}", intervals=intervals)
    if not limited:  # every address of one family
        yield Match(field="meta nfproto", words=frozenset({"ipv4" if family == "ip" else "ipv6"}))
