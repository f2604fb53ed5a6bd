"""The whole table: what must always pass, which zone a packet belongs to, and the forwarded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

from shieldwall.agent.providers.nftables.lines import ESTABLISHED, REPLY, TABLE, Helper, Line, Match, Table
from shieldwall.agent.providers.nftables.machine import Endpoint, Machine
from shieldwall.agent.providers.nftables.rule_lines import distinct
from shieldwall.agent.providers.nftables.rules import FirewallRule
from shieldwall.agent.providers.nftables.stops import Stops, limit_of
from shieldwall.agent.providers.nftables.zone_lines import ASKED, zone_lines
from shieldwall.agent.providers.nftables.zones import ZONES, Profile, ZoneName

Hook: TypeAlias = Literal["input", "output"]

_LOOPBACK: Final = "lo"
_NEIGHBOURS: Final = ((130, 136), (143, 143))
"""Without neighbour discovery no IPv6 packet finds its way, as none of IPv4 would without ARP, which never comes
through this table; without reports of listeners, switches do not pass its messages on."""
_DNS: Final = 53
_TCP, _UDP = "tcp", "udp"
_SHORT: Final = {"input": "in", "output": "out"}
HELPER_PORTS: Final = {
    "ftp": (_TCP, 21),
    "tftp": (_UDP, 69),
    "irc": (_TCP, 6667),
    "pptp": (_TCP, 1723),
    "sip": (_UDP, 5060),
    "sane": (_TCP, 6566),
    "amanda": (_UDP, 10080),
    "netbios-ns": (_UDP, 137),
}
"""Connection tracking helpers, and the ports on which their protocols are spoken."""


def table_of(profile: Profile, rules: Sequence[FirewallRule], machine: Machine) -> Table:
    """Lay out everything. The rules are such that this machine knows all they name (``usable.refusal``)."""
    zones = profile.reachable
    helpers = tuple(name for name in HELPER_PORTS if name in machine.helpers) if profile.helpers else ()
    asked = "dynset" not in machine.lacking and any(profile.zone(zone).configured for zone in zones)
    lines = (
        *_always_in(machine.endpoints),
        *_always_out(machine),
        *_helping(helpers),
        *([_remembering()] if asked else []),
        *(line for hook in ("input", "output") for line in _sorting(hook, profile, machine)),
        *(
            line
            for zone in zones
            if profile.zone(zone).filtering
            for line in zone_lines(zone, profile, rules, machine, asked=asked)
        ),
        *(_forwarded(profile, machine) if profile.block_forwarded else ()),
    )
    logged = {line.limit for line in lines if line.limit}
    return Table(
        hooks=(
            "input",
            "output",
            *(("forward",) if profile.block_forwarded else ()),
            *(("prerouting",) if helpers else ()),
        ),
        lines=lines,
        limits=tuple(
            (limit_of(zone), profile.zone(zone).log_rate) for zone in sorted(ZONES) if limit_of(zone) in logged
        ),
        sets=(ASKED,) if asked else (),
        helpers=tuple(Helper(name=name, protocol=HELPER_PORTS[name][0]) for name in helpers),
    )


def _always_in(endpoints: Iterable[Endpoint]) -> Iterator[Line]:
    yield _accept("input", "loopback", Match(field="meta iifname", words=frozenset({_LOOPBACK})))
    yield _accept("input", "neighbours", Match(field="icmpv6 type", intervals=_NEIGHBOURS))
    for sender, receiver in ((67, 68), (547, 546)):
        yield _accept("input", "addresses", _port("udp sport", sender), _port("udp dport", receiver))
    answers = (
        Match(field="ct state", intervals=((ESTABLISHED, ESTABLISHED),)),
        Match(field="ct direction", intervals=((REPLY, REPLY),)),
    )
    for endpoint in endpoints:
        yield _accept("input", "server", _port("tcp sport", endpoint.port), *_address("saddr", endpoint), *answers)
    if any(endpoint.address is None for endpoint in endpoints):
        for protocol in (_UDP, _TCP):
            yield _accept("input", "server name", _port(f"{protocol} sport", _DNS), *answers)


def _always_out(machine: Machine) -> Iterator[Line]:
    yield _accept("output", "loopback", Match(field="meta oifname", words=frozenset({_LOOPBACK})))
    yield _accept("output", "neighbours", Match(field="icmpv6 type", intervals=_NEIGHBOURS))
    for sender, receiver in ((68, 67), (546, 547)):
        yield _accept("output", "addresses", _port("udp sport", sender), _port("udp dport", receiver))
    user = machine.agent or 0
    agent = Match(field="meta skuid", intervals=((user, user),))
    for endpoint in machine.endpoints:
        # Where the server has a name, nothing here knows its address: its port is open for the agent alone then.
        limits = (agent,) if endpoint.address is None else _address("daddr", endpoint)
        yield _accept("output", "server", _port("tcp dport", endpoint.port), *limits)
    if any(endpoint.address is None for endpoint in machine.endpoints):
        for protocol in (_UDP, _TCP):
            yield _accept("output", "server name", _port(f"{protocol} dport", _DNS), agent)


def _helping(helpers: Iterable[str]) -> Iterator[Line]:
    for name in helpers:
        protocol, port = HELPER_PORTS[name]
        for chain in ("prerouting", "output"):
            yield Line(
                chain=chain,
                comment=f"{TABLE} helper {name}",
                matches=frozenset({_port(f"{protocol} dport", port)}),
                helper=name,
            )


def _remembering() -> Line:
    many = Match(field="fib daddr type", intervals=((3, 3), (5, 5)))
    return Line(chain="output", comment=f"{TABLE} asked", matches=frozenset({many}), remember=ASKED)


def _sorting(hook: str, profile: Profile, machine: Machine) -> Iterator[Line]:
    """Send packets to their zone: by the interface's name first, then by its address, the rest to public."""
    field = "meta iifname" if hook == "input" else "meta oifname"
    named = [(zone, tuple(distinct(profile.zone(zone).interfaces))) for zone in ZONES]
    addressed = [(zone, machine.zones.get(zone, ())) for zone in ZONES]
    for zone, names in (*named, *addressed):
        if names and zone in profile.reachable:
            yield _to_zone(hook, zone, profile, Match(field=field, words=frozenset(names)))
    yield _to_zone(hook, "public", profile)


def _to_zone(hook: str, zone: ZoneName, profile: Profile, *matches: Match) -> Line:
    verdict = f"goto {zone}_{_SHORT[hook]}" if profile.zone(zone).filtering else "accept"
    return Line(chain=hook, comment=f"{TABLE} zone {zone}", matches=frozenset(matches), verdict=verdict)


def _forwarded(profile: Profile, machine: Machine) -> Iterator[Line]:
    """Stop what is passed on for others; what it says stands in the log of the public zone."""
    stops = Stops(zone="public", settings=profile.public, audit=profile.audit, lacking=machine.lacking)
    yield from stops.silently("forward", "forward", "forward", frozenset())


def _accept(chain: Hook, name: str, *matches: Match) -> Line:
    return Line(chain=chain, comment=f"{TABLE} always {name}", matches=frozenset(matches), verdict="accept")


def _port(field: str, port: int) -> Match:
    return Match(field=field, intervals=((port, port),))


def _address(side: str, endpoint: Endpoint) -> tuple[Match, ...]:
    if endpoint.family is None or endpoint.address is None:
        return ()
    return (Match(field=f"{endpoint.family} {side}", intervals=((endpoint.number, endpoint.number),)),)
