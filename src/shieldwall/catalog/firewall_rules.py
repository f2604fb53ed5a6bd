"""Ports, addresses, and the firewall rules we refuse: those that cut a device off from itself or from everything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import (
    IPv4Network,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
    summarize_address_range,
)
from typing import Final, TypeAlias

from shieldwall.catalog.faults import Fault
from shieldwall.contract.ids import SettingId

RULES: Final = SettingId("linux_shieldwall_firewall_rules")

_PORTS: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_PORTS_ALLOWED: Final = "A port from 1 to 65535, or an ascending range such as 8000-8010."
_ADDRESSES_ALLOWED: Final = "An address, a network such as 10.0.0.0/8, or an ascending range such as 10.0.0.1-10.0.0.9."
_LOOPBACK: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_DNS_PORT: Final = 53
_LAST_PORT: Final = 65_535

_Network: TypeAlias = IPv4Network | IPv6Network


def parse_ports(text: str) -> tuple[int, int] | Fault:
    """Read a port or a range of ports as its first and last port."""
    match = _PORTS.fullmatch(text)
    if match is None:
        return Fault("invalidPort", f"{text[:64]!r} is not a port or a range of ports.", _PORTS_ALLOWED)
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= _LAST_PORT:
        return Fault("invalidPort", f"{text!r} is out of range or descends.", _PORTS_ALLOWED)
    return first, last


def parse_addresses(text: str) -> tuple[_Network, ...] | Fault:
    """Read an address, a network or a range of addresses as the networks that make it up."""
    if "%" in text:
        return Fault("invalidAddress", "An address with a zone means something else on every device.", "No zone.")
    try:
        first, dash, last = text.partition("-")
        if dash:
            return tuple(summarize_address_range(ip_address(first), ip_address(last)))
        if "/" in text and not text.rpartition("/")[2].isdecimal():
            return Fault("invalidAddress", f"{text[:96]!r} has no prefix length.", _ADDRESSES_ALLOWED)
        return (ip_network(text),)
    except (ValueError, TypeError) as error:
        return Fault("invalidAddress", f"{str(error)[:160]}.", _ADDRESSES_ALLOWED)


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

    def _addresses(self, side: str) -> tuple[_Network, ...]:
        read = (parse_addresses(text) for text in self._texts(f"{side}addresses"))
        return tuple(network for networks in read if not isinstance(networks, Fault) for network in networks)

    def _ports(self, side: str) -> tuple[tuple[int, int], ...]:
        read = (parse_ports(text) for text in self._texts(f"{side}ports"))
        return tuple(ports for ports in read if not isinstance(ports, Fault))

    @property
    def is_anywhere(self) -> bool:
        return _is_everything(self.local_addresses) and _is_everything(self.remote_addresses)

    @property
    def is_every_port(self) -> bool:
        return _is_every_port(self.local_ports) and _is_every_port(self.remote_ports)

    @property
    def names_loopback(self) -> bool:
        named = [side for side in (self.local_addresses, self.remote_addresses) if not _is_everything(side)]
        return any(_touch(network, loopback) for side in named for network in side for loopback in _LOOPBACK)

    @property
    def stops_name_resolution(self) -> bool:
        outgoing = self._choice("direction", "in") == "out" and _is_every_port(self.local_ports)
        return outgoing and any(first <= _DNS_PORT <= last for first, last in self.remote_ports)


def _is_everything(networks: tuple[_Network, ...]) -> bool:
    """Say whether addresses leave nothing out, in either version of the protocol; none named means all."""
    version4 = collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    version6 = collapse_addresses(network for network in networks if isinstance(network, IPv6Network))
    return not networks or IPv4Network("0.0.0.0/0") in version4 or IPv6Network("::/0") in version6


def _is_every_port(ports: tuple[tuple[int, int], ...]) -> bool:
    """Say whether ports leave nothing out; none named means all."""
    reached = 0
    for first, last in sorted(ports):
        if first > reached + 1:
            return False
        reached = max(reached, last)
    return not ports or reached == _LAST_PORT


def _touch(network: _Network, other: _Network) -> bool:
    return network.version == other.version and network.overlaps(other)
