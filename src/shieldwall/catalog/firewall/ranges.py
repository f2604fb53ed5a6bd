"""Ranges of ports and addresses as numbers, and what they leave out."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from msgspec import Struct

Interval: TypeAlias = tuple[int, int]
"""A first and a last number, both meant."""

ALL_PORTS: Final = (1, 65_535)
_ALL_ADDRESSES: Final = {4: (0, 2**32 - 1), 6: (0, 2**128 - 1)}
_USED: Final = {
    4: ((1 << 24, (127 << 24) - 1), (128 << 24, (224 << 24) - 1)),
    6: ((0x2000 << 112, (0x4000 << 112) - 1), (0xFC00 << 112, (0xFE00 << 112) - 1)),
}
"""Where other devices are. Whoever leaves out loopback, multicast and what nobody uses leaves nothing out."""


class Addresses(Struct, frozen=True):
    """Consecutive addresses of one version of the protocol, as numbers."""

    version: int
    interval: Interval

    @classmethod
    def between(cls, first: IPv4Address | IPv6Address, last: IPv4Address | IPv6Address) -> Addresses:
        """Return the addresses from one to another of the same version."""
        return cls(first.version, (int(first), int(last)))

    @property
    def is_public(self) -> bool:
        """Say whether it begins with an address that means the same all over the internet."""
        make = IPv4Address if self.version == 4 else IPv6Address
        return make(self.interval[0]).is_global

    def touch(self, other: Addresses) -> bool:
        """Say whether an address belongs to both."""
        first, last = max(self.interval[0], other.interval[0]), min(self.interval[1], other.interval[1])
        return self.version == other.version and first <= last


EVERYWHERE: Final = tuple(Addresses(version, interval) for version, interval in _ALL_ADDRESSES.items())
"""All addresses of both versions."""


def are_everywhere(named: Iterable[Addresses]) -> bool:
    """Say whether addresses leave no other device out, in either version of the protocol."""
    kept = tuple(named)
    return any(
        all(fill([one.interval for one in kept if one.version == version], part) for part in used)
        for version, used in _USED.items()
    )


def fill(intervals: Iterable[Interval], wanted: Interval) -> bool:
    """Say whether intervals together leave nothing of ``wanted`` out."""
    reached = wanted[0] - 1
    for first, last in sorted(intervals):
        if first > reached + 1:
            return False
        reached = max(reached, last)
        if reached >= wanted[1]:
            return True
    return False
