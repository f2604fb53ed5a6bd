"""What a firewall rule does once it holds, whatever the platform, and what no rule may do."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from shieldwall.catalog.faults import Fault
from shieldwall.catalog.firewall.ranges import ALL_PORTS, Addresses, Interval, are_everywhere, fill
from shieldwall.catalog.firewall.server import Endpoint, ServerEndpoints

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17

_DNS_PORT: Final = 53
_LOOPBACK: Final = (Addresses(4, (127 << 24, (128 << 24) - 1)), Addresses(6, (1, 1)))
_EPHEMERAL_PORTS: Final = (49_152, 60_999)
"""What every platform gives to connections of its own, among others."""


class Rule(Struct, frozen=True, kw_only=True):
    """A rule as it takes effect. Addresses are ``None``, and ports empty, where a rule leaves none out.

    ``blocks`` is false for a rule that is switched off as well. ``somewhere`` says that it holds on interfaces of some
    kinds only, ``narrowed`` that it is about some programs, users or interfaces alone, perhaps about the agent or what
    resolves names.
    """

    blocks: bool
    outgoing: bool
    protocol: int | None
    local_addresses: tuple[Addresses, ...] | None
    remote_addresses: tuple[Addresses, ...] | None
    local_ports: tuple[Interval, ...]
    remote_ports: tuple[Interval, ...]
    reaches_name_servers: bool = False
    """Whether it names the device's name servers by a word."""
    somewhere: bool = False
    narrowed: bool = False
    about_agent: bool = False
    about_name_service: bool = False

    def faults(self, server: ServerEndpoints | None) -> Iterator[Fault]:
        """Yield what the rule would do that no policy may: block everything, the device itself, what it cannot miss."""
        if not self.blocks:
            return
        if self._blocks_everything:
            yield Fault("blocksEverything", "This rule blocks everything.", "A rule with a port or an address.")
        elif self._names_loopback:
            yield Fault("blocksLoopback", "This rule cuts the device off from itself.", "Addresses outside loopback.")
        elif self._stops_name_resolution:
            yield Fault("blocksNameResolution", "This rule stops name resolution.", "Remote ports other than 53.")
        elif self._stops_agent(server):
            allowed = "Ports and addresses other than those of the server."
            yield Fault("blocksServer", "This rule cuts the device off from the Shieldwall server.", allowed)

    def half_of_everything(self, protocol: int) -> tuple[Addresses, ...]:
        """Return the remote addresses that it blocks whatever else; with those of other rules they may be all."""
        if not self.blocks or self.narrowed or (self.somewhere and not self.outgoing):
            return ()
        whole = self.local_addresses is None and is_every_port(self.local_ports) and is_every_port(self.remote_ports)
        return self.remote_addresses or () if whole and self.protocol in {None, protocol} else ()

    @property
    def _blocks_everything(self) -> bool:
        return self._leaves_nothing and not self.narrowed and (self.outgoing or not self.somewhere)

    @property
    def _leaves_nothing(self) -> bool:
        every_port = is_every_port(self.local_ports) and is_every_port(self.remote_ports)
        return self._is_anywhere and every_port and self.protocol in {None, TCP, UDP}

    @property
    def _is_anywhere(self) -> bool:
        return self.local_addresses is None and self.remote_addresses is None

    @property
    def _names_loopback(self) -> bool:
        named = (*(self.local_addresses or ()), *(self.remote_addresses or ()))
        touched = any(addresses.touch(loopback) for addresses in named for loopback in _LOOPBACK)
        return touched and not self.narrowed

    @property
    def _stops_name_resolution(self) -> bool:
        servers = self._is_anywhere or (self.reaches_name_servers and self.local_addresses is None)
        reaches_resolver = self.about_name_service or not self.narrowed
        stops = servers and self._stops_connections(_DNS_PORT) and self.protocol in {None, TCP, UDP}
        return reaches_resolver and stops

    def _stops_agent(self, server: ServerEndpoints | None) -> bool:
        """Say whether the agent cannot reach its server; wherever that is, when it cannot reach anything."""
        if self.about_agent and self.outgoing and self._leaves_nothing:
            return True
        reaches_agent = self.about_agent or not self.narrowed
        return reaches_agent and server is not None and any(map(self._stops, server.endpoints))

    def _stops(self, endpoint: Endpoint) -> bool:
        there = self.remote_addresses is None or any(
            named.touch(address) for named in self.remote_addresses for address in endpoint.addresses
        )
        here = self.local_addresses is None
        return here and there and self._stops_connections(endpoint.port) and self.protocol in {None, TCP}

    def _stops_connections(self, port: int) -> bool:
        """Say whether it stops connections of the device's own to a port, whatever port they come from."""
        ports = not self.remote_ports or any(first <= port <= last for first, last in self.remote_ports)
        return self.outgoing and ports and (not self.local_ports or fill(self.local_ports, _EPHEMERAL_PORTS))


def together_faults(rules: Iterable[tuple[str, Rule]]) -> Iterator[tuple[str, Fault]]:
    """Yield what rules that are right each by itself would do together, with the place of the one that completes it."""
    kept = tuple(rules)
    for outgoing in (False, True):
        completing = [
            completed
            for protocol in (TCP, UDP)
            if (
                completed := _completed(
                    [(at, r.half_of_everything(protocol)) for at, r in kept if r.outgoing is outgoing]
                )
            )
        ]
        if completing:
            message = "With the rules above it, this rule blocks everything."
            yield completing[0], Fault("blocksEverything", message, "Rules that leave some addresses out.")


def _completed(blocked: list[tuple[str, tuple[Addresses, ...]]]) -> str | None:
    """Return where the first addresses stand that leave nothing out with those before them."""
    if not _are_all(blocked):
        return None
    place, _ = blocked[bisect_left(range(len(blocked)), True, key=lambda last: _are_all(blocked[: last + 1]))]
    return place


def _are_all(blocked: list[tuple[str, tuple[Addresses, ...]]]) -> bool:
    return are_everywhere(one for _, addresses in blocked for one in addresses)


def is_every_port(ports: tuple[Interval, ...]) -> bool:
    """Say whether ports leave nothing out; none named means all."""
    return not ports or fill(ports, ALL_PORTS)


def unless_everywhere(named: tuple[Addresses, ...]) -> tuple[Addresses, ...] | None:
    """Return the addresses a rule names; ``None`` when they leave nothing out, in either version of the protocol."""
    return None if are_everywhere(named) else named
