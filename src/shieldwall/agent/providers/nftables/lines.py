"""The table as lines: what to match and what to do, in one form for the script we write and the listing we compare.

Values are numbers wherever nft can list them as numbers (``nft -n``); names of interfaces, paths of control groups and
sets are words. In merged order numbers have one form only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Final

from msgspec import Struct

from shieldwall.agent.providers.nftables.intervals import HIGHEST, Interval, address_text

TABLE: Final = "shieldwall"
"""Our table, in the family inet."""
INVALID, ESTABLISHED, RELATED, NEW = 1, 2, 4, 8
"""States of a connection."""
REPLY: Final = 1
"""Direction of a connection: against that of its first packet."""

CONTROL_GROUP: Final = "socket cgroupv2"
"""Field of the control group that the socket of a packet is in."""

_SYMBOLS: Final[Mapping[str, Mapping[int, str]]] = {
    "ct state": {INVALID: "invalid", ESTABLISHED: "established", RELATED: "related", NEW: "new"},
    "ct direction": {0: "original", REPLY: "reply"},
    "meta nfproto": {2: "ipv4", 10: "ipv6"},
    "fib daddr type": {3: "broadcast", 5: "multicast"},
}
"""How the script writes numbers that nft does not read as such, or that nobody could read."""


class Match(Struct, frozen=True, kw_only=True):
    """A field of a packet, named as nft names it, and the values it may have: words or intervals of numbers."""

    field: str
    words: frozenset[str] = frozenset()
    intervals: tuple[Interval, ...] = ()

    def __str__(self) -> str:
        """Write the match as nft reads it."""
        return _written(self)


@lru_cache(maxsize=1024)
def _written(match: Match) -> str:
    """Write a match once: the same thousand addresses stand in several lines. Kept by the very match."""
    if match.field.startswith("fib") and not match.intervals:
        return f"{match.field} missing"
    if any(word.startswith("@") for word in match.words):
        return f"{match.field} {''.join(match.words)}"
    intervals = (_interval(match.field, interval) for interval in match.intervals)
    values = [*(f'"{word}"' for word in sorted(match.words)), *intervals]
    if match.field == CONTROL_GROUP:  # how deep the group lies says its path, so nft 1.0 does not list it
        (path,) = match.words
        return f"{match.field} level {path.count('/') + 1} {values[0]}"
    return f"{match.field} {{ {', '.join(values)} }}"


def _interval(field: str, interval: Interval) -> str:
    symbols, family = _SYMBOLS.get(field), field.split(maxsplit=1)[0]
    first, last = interval
    if symbols is not None:
        return ", ".join(symbols[number] for number in range(first, last + 1))
    write = partial(address_text, family) if family in HIGHEST else str
    return write(first) if first == last else f"{write(first)}-{write(last)}"


class Log(Struct, frozen=True, kw_only=True):
    """A message to whoever listens to a group of netlink."""

    prefix: str
    group: int

    def __str__(self) -> str:
        """Write it as nft reads it."""
        return f'log prefix "{self.prefix}" group {self.group}'


class Line(Struct, frozen=True, kw_only=True):
    """One line of a chain. The comment carries the id of the rule that it comes from.

    ``verdict`` is what nft says at the end of the line: ``accept``, ``drop``, ``reject``, ``reject with tcp reset`` or
    ``goto`` another chain; empty for a line that only notes something.
    """

    chain: str
    comment: str
    matches: frozenset[Match] = frozenset()
    over: int | None = None
    """Counts for packets above so many in a second only."""
    limit: str = ""
    """Counts as long as this limit of the table allows it."""
    log: Log | None = None
    remember: str = ""
    """Puts the interface and source port of a datagram into this set."""
    helper: str = ""
    """Lets this helper read along."""
    verdict: str = ""

    def __str__(self) -> str:
        """Write the line as nft reads it."""
        parts = [
            *sorted(map(str, self.matches)),
            f"limit rate over {self.over}/second burst {self.over} packets" if self.over is not None else "",
            f'limit name "{self.limit}"' if self.limit else "",
            str(self.log) if self.log else "",
            f"update @{self.remember} {{ meta oifname . udp sport }}" if self.remember else "",
            f'ct helper set "{self.helper}"' if self.helper else "",
            f"counter {VERDICTS.get(self.verdict, self.verdict)}" if self.verdict else "",
            f'comment "{self.comment}"',
        ]
        return " ".join(part for part in parts if part)


VERDICTS: Final[Mapping[str, str]] = {"reject": "reject with icmpx type port-unreachable"}
"""Verdicts that nft writes in another way than we name them."""


class Helper(Struct, frozen=True, kw_only=True):
    """A connection tracking helper that the table offers to its lines."""

    name: str
    protocol: str


class Table(Struct, frozen=True, kw_only=True):
    """Everything that the table holds."""

    hooks: tuple[str, ...]
    """Chains that packets come to by themselves; each is called as its hook."""
    lines: tuple[Line, ...]
    limits: tuple[tuple[str, int], ...] = ()
    """Limits by name, in lines a second."""
    sets: tuple[str, ...] = ()
    """Sets of interface and port, filled by lines, emptied by time."""
    helpers: tuple[Helper, ...] = ()

    @property
    def chains(self) -> tuple[str, ...]:
        """Every chain once: a chain that is named before it is made is unknown to nft, so hooks come last."""
        return tuple(dict.fromkeys((*(line.chain for line in self.lines if line.chain not in self.hooks), *self.hooks)))


REMEMBERED_SECONDS: Final = 5
"""How long an answer to what was sent to many may take."""
SET_SIZE: Final = 4096


def table_text(table: Table) -> str:
    """Write the table as nft reads it, in one transaction with the end of the table that was there before."""
    objects = [
        *(f"  limit {name} {{\n    rate {rate}/second burst {rate} packets\n  }}\n" for name, rate in table.limits),
        *(
            f"  set {name} {{\n    type ifname . inet_service\n    flags dynamic,timeout\n"
            f"    timeout {REMEMBERED_SECONDS}s\n    size {SET_SIZE}\n  }}\n"
            for name in table.sets
        ),
        *(
            f'  ct helper {helper.name} {{\n    type "{helper.name}" protocol {helper.protocol};\n  }}\n'
            for helper in table.helpers
        ),
    ]
    chains = [
        f"  chain {chain} {{\n"
        + (f"    type filter hook {chain} priority 0; policy accept;\n" if chain in table.hooks else "")
        + "".join(f"    {line}\n" for line in table.lines if line.chain == chain)
        + "  }\n"
        for chain in table.chains
    ]
    # Adding before deleting makes the deletion succeed whether or not the table was there.
    return f"add table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{''.join(objects + chains)}}}\n"
