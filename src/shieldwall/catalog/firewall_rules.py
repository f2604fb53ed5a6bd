"""Ports, addresses, and the firewall rules we refuse: those that cut a device off from itself or from everything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final, TypeAlias

from shieldwall.catalog.faults import Fault
from shieldwall.contract.ids import SettingId

RULES: Final = SettingId("linux_shieldwall_firewall_rules")

Interval: TypeAlias = tuple[int, int]
"""A first and a last number, both meant."""

_PORT: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_PORTS_ALLOWED: Final = "A port from 1 to 65535, or an ascending range such as 8000-8010."
_ADDRESSES_ALLOWED: Final = "An address, a network such as 10.0.0.0/8, or an ascending range such as 10.0.0.1-10.0.0.9."
_ALL_PORTS: Final = (1, 65_535)
_DNS_PORT: Final = 53


@dataclass(frozen=True, slots=True)
class Addresses:
    """Consecutive addresses of one version of the protocol, as numbers."""

    version: int
    interval: Interval


_ALL_ADDRESSES: Final = {4: (0, 2**32 - 1), 6: (0, 2**128 - 1)}
_LOOPBACK: Final = (Addresses(4, (127 << 24, (128 << 24) - 1)), Addresses(6, (1, 1)))


def parse_ports(text: str) -> Interval | Fault:
    """Read a port or a range of ports."""
    match = _PORT.fullmatch(text)
    if match is None:
        return Fault("invalidPort", f"{text[:64]!r} is not a port or a range of ports.", _PORTS_ALLOWED)
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= _ALL_PORTS[1]:
        return Fault("invalidPort", f"{text!r} is out of range or descends.", _PORTS_ALLOWED)
    return first, last


def parse_addresses(text: str) -> Addresses | Fault:
    """Read an address, a network or a range of addresses."""
    if "%" in text:
        return Fault("invalidAddress", "An address with a zone means something else on every device.", "No zone.")
    try:
        low, dash, high = text.partition("-")
        if dash:
            first, last = ip_address(low), ip_address(high)
        elif "/" in text and not text.rpartition("/")[2].isdecimal():
            return Fault("invalidAddress", f"{text[:96]!r} has no prefix length.", _ADDRESSES_ALLOWED)
        else:
            network = ip_network(text)
            first, last = network[0], network[-1]
    except ValueError as error:
        return Fault("invalidAddress", f"{str(error)[:160]}.", _ADDRESSES_ALLOWED)
    if first.version != last.version or int(first) > int(last):
        return Fault("invalidAddress", f"{text[:96]!r} does not ascend.", _ADDRESSES_ALLOWED)
    return Addresses(first.version, (int(first), int(last)))


def rule_faults(members: Mapping[SettingId, str | tuple[str, ...]]) -> Iterator[Fault]:
    """Yield what one rule would do that no policy may: block everything, the device itself, or its name resolution.

    ``members`` holds item ids and texts that are right each by itself; a member left out has its default. What a rule
    that allows, or is disabled, says cuts nothing.
    """
    rule = _Rule(members)
    if not rule.blocks:
        return
    if rule.is_anywhere and rule.is_every_port and rule.protocol != "icmp":
        yield Fault("blocksEverything", "This rule blocks everything.", "A rule with a port or an address.")
    elif rule.names_loopback:
        yield Fault("blocksLoopback", "This rule cuts the device off from itself.", "Addresses outside loopback.")
    elif rule.is_anywhere and rule.stops_name_resolution:
        yield Fault("blocksNameResolution", "This rule stops name resolution.", "Remote ports other than 53.")


class _Rule:
    """A rule as it takes effect."""

    def __init__(self, members: Mapping[SettingId, str | tuple[str, ...]]) -> None:
        self._members = members
        self.protocol = self._choice("protocol", "any")
        self.blocks = self._choice("action", "allow") == "block" and self._choice("enabled", "1") == "1"
        self.local_addresses, self.remote_addresses = self._addresses("local"), self._addresses("remote")
        self.local_ports, self.remote_ports = self._ports("local"), self._ports("remote")

    def _choice(self, name: str, default: str) -> str:
        prefix = f"{RULES}_item_{name}_"
        return str(self._members.get(SettingId(prefix[:-1]), prefix + default)).removeprefix(prefix)

    def _texts(self, name: str) -> tuple[str, ...]:
        return tuple(self._members.get(SettingId(f"{RULES}_item_{name}"), ()))

    def _addresses(self, side: str) -> tuple[Addresses, ...]:
        read = (parse_addresses(text) for text in self._texts(f"{side}addresses"))
        return tuple(addresses for addresses in read if not isinstance(addresses, Fault))

    def _ports(self, side: str) -> tuple[Interval, ...]:
        read = (parse_ports(text) for text in self._texts(f"{side}ports"))
        return tuple(ports for ports in read if not isinstance(ports, Fault))

    @property
    def is_anywhere(self) -> bool:
        return _is_everywhere(self.local_addresses) and _is_everywhere(self.remote_addresses)

    @property
    def is_every_port(self) -> bool:
        return _is_every_port(self.local_ports) and _is_every_port(self.remote_ports)

    @property
    def names_loopback(self) -> bool:
        named = [side for side in (self.local_addresses, self.remote_addresses) if not _is_everywhere(side)]
        return any(_touch(addresses, loopback) for side in named for addresses in side for loopback in _LOOPBACK)

    @property
    def stops_name_resolution(self) -> bool:
        outgoing = self._choice("direction", "in") == "out" and _is_every_port(self.local_ports)
        return outgoing and any(first <= _DNS_PORT <= last for first, last in self.remote_ports)


def _is_everywhere(named: tuple[Addresses, ...]) -> bool:
    """Say whether addresses leave nothing out, in either version of the protocol; none named means all."""
    return not named or any(
        _fills((addresses.interval for addresses in named if addresses.version == version), everything)
        for version, everything in _ALL_ADDRESSES.items()
    )


def _is_every_port(ports: tuple[Interval, ...]) -> bool:
    """Say whether ports leave nothing out; none named means all."""
    return not ports or _fills(ports, _ALL_PORTS)


def _fills(intervals: Iterable[Interval], everything: Interval) -> bool:
    reached = everything[0] - 1
    for first, last in sorted(intervals):
        if first > reached + 1:
            return False
        reached = max(reached, last)
    return reached == everything[1]


def _touch(one: Addresses, other: Addresses) -> bool:
    first, last = (max(one.interval[0], other.interval[0]), min(one.interval[1], other.interval[1]))
    return one.version == other.version and first <= last
