"""The way of one packet through a table as we wrote it: which line decides on it. Pure, and in doubt silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from shieldwall.agent.firewall_probe.packets import Packet
from shieldwall.agent.providers.nftables.lines import INVALID, NEW, Line, Match, Table

_GOTO: Final = "goto "
_IPV4: Final = 2
_PING: Final = 8
_NEVER: Final = frozenset({"udp", "icmpv6", "ip6"})
"""Headers that none of our packets has."""


class Decided(Struct, frozen=True, kw_only=True):
    """The line at which a packet's way ends, and where in its chain it stands."""

    line: Line
    position: int


def decided(table: Table, packet: Packet, device: str) -> Decided | None:
    """Return what decides on a packet that arrives on a device and belongs to no connection.

    ``None`` where no line does, or where that depends on what a packet alone does not tell: who listens, how many came
    before it.
    """
    chain = "input"
    while True:
        found = _first(table, chain, _facts(packet, device))
        if found is None or not found.line.verdict.startswith(_GOTO):
            return found
        chain = found.line.verdict.removeprefix(_GOTO)


def _first(table: Table, chain: str, facts: Mapping[str, str | int]) -> Decided | None:
    for position, line in enumerate(line for line in table.lines if line.chain == chain):
        if not line.verdict:
            continue
        matching = [_matches(match, facts) for match in line.matches]
        if False in matching:
            continue
        if None in matching or line.over is not None:
            return None
        return Decided(line=line, position=position)
    return None


def _facts(packet: Packet, device: str) -> Mapping[str, str | int]:
    facts: dict[str, str | int] = {
        "meta iifname": device,
        "meta nfproto": _IPV4,
        "meta l4proto": packet.protocol,
        "ip saddr": packet.source,
        "ip daddr": packet.destination,
        "ct state": INVALID if packet.kind == "stray" else NEW,
    }
    if packet.kind == "echo":
        return facts | {"icmp type": _PING, "icmp code": 0}
    return facts | {"tcp sport": packet.source_port, "tcp dport": packet.destination_port}


def _matches(match: Match, facts: Mapping[str, str | int]) -> bool | None:
    """Say whether a packet has what a line wants, ``None`` where nobody knows."""
    if match.field.startswith("fib"):
        # A source is missing where no route leads back to it, and ours does; kinds of receivers are of what leaves.
        return None if match.intervals else False
    if match.field == "meta iifname . udp dport" or match.field.split()[0] in _NEVER:
        return False
    if match.field.split()[0] in {"tcp", "icmp"} and match.field not in facts:
        return False
    value = facts.get(match.field)
    if isinstance(value, str):
        return any(_is_called(value, word) for word in match.words)
    if value is None or match.words:
        return None
    return any(first <= value <= last for first, last in match.intervals)


def _is_called(name: str, word: str) -> bool:
    return name.startswith(word.removesuffix("*")) if word.endswith("*") else name == word
