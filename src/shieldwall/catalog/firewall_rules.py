"""Ports, addresses, and the firewall rules we refuse: those that cut a device off from itself or from everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from shieldwall.catalog.faults import Fault
from shieldwall.catalog.firewall.ranges import ALL_PORTS, Addresses, Interval, are_everywhere, fill
from shieldwall.catalog.firewall.texts import parse_addresses, parse_ports
from shieldwall.contract.ids import SettingId

RULES: Final = SettingId("linux_shieldwall_firewall_rules")

_DNS_PORT: Final = 53
_LOOPBACK: Final = (Addresses(4, (127 << 24, (128 << 24) - 1)), Addresses(6, (1, 1)))


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
        return any(addresses.touch(loopback) for side in named for addresses in side for loopback in _LOOPBACK)

    @property
    def stops_name_resolution(self) -> bool:
        outgoing = self._choice("direction", "in") == "out" and _is_every_port(self.local_ports)
        return outgoing and any(first <= _DNS_PORT <= last for first, last in self.remote_ports)


def _is_everywhere(named: tuple[Addresses, ...]) -> bool:
    """Say whether addresses leave nothing out; none named means all."""
    return not named or are_everywhere(named)


def _is_every_port(ports: tuple[Interval, ...]) -> bool:
    """Say whether ports leave nothing out; none named means all."""
    return not ports or fill(ports, ALL_PORTS)
