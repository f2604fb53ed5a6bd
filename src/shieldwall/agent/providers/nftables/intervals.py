"""Ports and addresses as intervals of numbers: parsed strictly, merged, and written the way nft reads them.

nft refuses a set whose intervals overlap and lists one back with its members merged and reordered. Numbers in merged
order have one form only, so what we ask for and what the kernel holds can be compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Literal, TypeAlias

from msgspec import Struct

Interval: TypeAlias = tuple[int, int]
"""First and last number, both included."""
Family: TypeAlias = Literal["ip", "ip6"]

FAMILIES: Final[tuple[Family, ...]] = ("ip", "ip6")
HIGHEST: Final[dict[Family, int]] = {"ip": 2**32 - 1, "ip6": 2**128 - 1}

_PORTS: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")
_NETWORK: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}\Z")
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}\Z")
_HIGHEST_PORT: Final = 65_535


class AddressRange(Struct, frozen=True, kw_only=True):
    """Neighbouring addresses of one family."""

    family: Family
    interval: Interval


class Addresses(Struct, frozen=True, kw_only=True):
    """Addresses of one end, merged, by family; without any, every address is meant."""

    ip: tuple[Interval, ...] = ()
    ip6: tuple[Interval, ...] = ()

    @property
    def limited(self) -> bool:
        """Whether any address is left out."""
        return not all(self.covers(family) for family in FAMILIES)

    def covers(self, family: Family) -> bool:
        """Whether every address of one family is meant."""
        return not (self.ip or self.ip6) or self.of(family) == ((0, HIGHEST[family]),)

    def of(self, family: Family) -> tuple[Interval, ...]:
        """Return the addresses of one family."""
        return self.ip if family == "ip" else self.ip6


def parse_ports(text: str) -> Interval:
    """Read ``22`` or ``8000-8010``. Raises: ValueError, with the cause in words."""
    if (match := _PORTS.match(text)) is None:
        raise ValueError(f"{text[:64]!r} is neither a port nor a range of ports.")
    first = int(match[1])
    last = int(match[2] or match[1])
    if not 1 <= first <= last <= _HIGHEST_PORT:
        raise ValueError(f"{text!r} is not a range within 1 to {_HIGHEST_PORT}.")
    return first, last


def parse_addresses(text: str) -> AddressRange:
    """Read an address, a network in CIDR notation or a range ``a-b``. Raises: ValueError, with the cause in words."""
    if "-" in text:
        first, last = (_address(part) for part in text.split("-", 1))
        if _family(first) != _family(last) or int(first) > int(last):
            raise ValueError(f"{text[:100]!r} is not a range from a lower to a higher address of one family.")
        return AddressRange(family=_family(first), interval=(int(first), int(last)))
    if "/" in text:
        if not _NETWORK.match(text):
            raise ValueError(f"{text[:100]!r} is not a network in CIDR notation.")
        network = ip_network(text)  # its ValueErrors are in plain words
        first, last = network.network_address, network.broadcast_address
        return AddressRange(family=_family(first), interval=(int(first), int(last)))
    address = _address(text)
    return AddressRange(family=_family(address), interval=(int(address), int(address)))


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Join intervals that overlap or touch; the result is in order and has one form only."""
    joined: list[Interval] = []
    for first, last in sorted(intervals):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def addresses_of(ranges: Iterable[AddressRange]) -> Addresses:
    """Put ranges together as the addresses of one end."""
    kept = tuple(ranges)
    return Addresses(
        ip=merged(entry.interval for entry in kept if entry.family == "ip"),
        ip6=merged(entry.interval for entry in kept if entry.family == "ip6"),
    )


def address_text(family: Family, number: int) -> str:
    """Write a number as the address that it is."""
    if family == "ip":
        return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return str(IPv6Address(number))


def _address(text: str) -> IPv4Address | IPv6Address:
    if not _ADDRESS.match(text):  # keeps out zones such as fe80::1%eth0, which nft would not take
        raise ValueError(f"{text[:100]!r} is not an IPv4 or IPv6 address.")
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise ValueError(f"{text!r} is an IPv4 address in IPv6 notation; packets carry it as {address.ipv4_mapped}.")
    return address


def _family(address: IPv4Address | IPv6Address) -> Family:
    return "ip" if address.version == 4 else "ip6"
