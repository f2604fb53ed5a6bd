"""Which packets prove which settings. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, product
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from shieldwall.agent.firewall_probe.device import DEVICE
from shieldwall.agent.firewall_probe.packets import ICMP, TCP, Packet
from shieldwall.agent.providers.nftables.intervals import Addresses, Interval
from shieldwall.agent.providers.nftables.lines import TABLE
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES, FirewallRule, parse_rule
from shieldwall.agent.providers.nftables.script import Asked
from shieldwall.agent.providers.nftables.walking import Decided, decided
from shieldwall.agent.providers.nftables.zones import AUDIT_MODE, ZoneName, zone_of, zone_setting
from shieldwall.contract.ids import SettingId

SOURCE: Final = 0xC63364D5
"""198.51.100.213, of a network that stands in examples only (RFC 5737), so it is nobody's."""

_PORTS: Final = (47_613, 9, 47_614, 33_011, 61_207)
"""Ports to knock at, in this order, until one is in nobody's rule. Nothing is known to listen there."""
_MOST_RULES: Final = 16
_MOST_THOUGHTS: Final = 64
"""Rules that are thought of until so many are proven: each packet walks the whole table."""
_MOST_PACKETS: Final = 8
"""Packets that are thought of for one rule, until one is decided by it."""
_STOPS: Final = frozenset({"default", "shielded"})
_MEMBERS: Final = {
    "default": ("enablefirewall", "defaultinboundaction"),
    "shielded": ("enablefirewall", "shielded"),
    "echo": ("icmpecho",),
    "invalid": ("dropinvalidpackets",),
}
"""What of a zone is proven by a line, by what the line is for."""
_PROVABLE: Final = frozenset({*(member for members in _MEMBERS.values() for member in members), "stealthmode"})


class Trial(Struct, frozen=True, kw_only=True):
    """One packet, the line that has to decide on it, and what that proves."""

    packet: Packet
    expected: Decided
    proves: frozenset[SettingId]
    rule: str = ""
    """The id of the rule that it is about."""

    @property
    def opens(self) -> bool:
        """Whether the packet must pass."""
        return self.expected.line.verdict == "accept"

    @property
    def refuses(self) -> bool:
        """Whether its sender must be told by a reset that it does not pass."""
        return self.expected.line.verdict == "reject with tcp reset"


def zone_of_device(asked: Asked) -> ZoneName:
    """Say which zone the device of the probe is in: by its name, as it has no address, else public."""
    for zone in asked.profile.reachable:
        names = asked.profile.zone(zone).interfaces
        if any(name == DEVICE or (name.endswith("*") and DEVICE.startswith(name[:-1])) for name in names):
            return zone
    return "public"


def is_provable(setting: SettingId) -> bool:
    """Say whether packets can prove a setting, on a machine that allows it."""
    zone = zone_of(setting)
    if zone is None:
        return setting in {FIREWALL_RULES, AUDIT_MODE}
    return setting.removeprefix(zone_setting(zone, "")) in _PROVABLE


def trials_of(asked: Asked, local: int, first_port: int) -> tuple[Trial, ...]:
    """Choose packets to the machine's own address ``local``, a number.

    ``first_port`` is the first source port, another one at each probe: of a connection that the kernel remembers,
    nothing would be asked again. Raises: UnusableRuleError.
    """
    table = asked.table()
    rules = {rule.id: rule for rule in map(parse_rule, asked.rules or ())}
    chosen: list[Trial] = []
    for number, (fits, packets) in enumerate(_thoughts(asked, rules.values(), local)):
        for thought in packets:
            packet = thought if thought.source_port else replace(thought, source_port=first_port + number)
            found = decided(table, packet, DEVICE)
            if found is None or not fits(_cause(found)):
                continue
            chosen.append(_trial(asked, rules.get(_cause(found)), packet, found))
            break
        if sum(1 for trial in chosen if trial.rule) == _MOST_RULES:
            break
    return tuple(chosen)


def _thoughts(
    asked: Asked, rules: Iterable[FirewallRule], local: int
) -> Iterator[tuple[Callable[[str], bool], Iterable[Packet]]]:
    """Yield what a deciding line may be for, and packets one of which may come to such a line."""
    free, zone = (*_STOPS, f"zone {zone_of_device(asked)}"), zone_of_device(asked)
    tcp = Packet(kind="tcp", source=SOURCE, destination=local, source_port=0)
    yield free.__contains__, (replace(tcp, destination_port=port) for port in _PORTS)
    yield "echo".__eq__, (replace(tcp, kind="echo"),)
    yield "invalid".__eq__, (replace(tcp, kind="stray", destination_port=_PORTS[0]),)
    thoughts = (
        (rule.id.__eq__, islice(_of_rule(rule, tcp), _MOST_PACKETS))
        for rule in rules
        if rule.direction == "in" and rule.counts_in(zone) and _is_within(SOURCE, rule.remote) and not rule.service
    )
    yield from islice(thoughts, _MOST_THOUGHTS)


def _is_within(address: int, addresses: Addresses) -> bool:
    return not addresses.limited or any(first <= address <= last for first, last in addresses.ip)


def _of_rule(rule: FirewallRule, tcp: Packet) -> Iterator[Packet]:
    if not rule.numbers or TCP in rule.numbers:
        free = ((_PORTS[0], _PORTS[0]),)
        # Both ends of a range: a narrower rule often takes one of them.
        for own, other in product(_ends(rule.local_ports or free), _ends(rule.remote_ports or ((0, 0),))):
            yield replace(tcp, destination_port=own, source_port=other)
    elif ICMP in rule.numbers:
        yield replace(tcp, kind="echo")


def _ends(ports: Iterable[Interval]) -> Iterator[int]:
    for first, last in ports:
        yield first
        if last != first:
            yield last


def _trial(asked: Asked, rule: FirewallRule | None, packet: Packet, found: Decided) -> Trial:
    cause, zone = _cause(found), zone_of_device(asked)
    if rule is not None:
        proves = {FIREWALL_RULES}
        would_stop = rule.action == "block"
    else:
        members = _MEMBERS.get(cause, ("enablefirewall",))
        proves = {zone_setting(zone, member) for member in members}
        would_stop = cause == "shielded" or (cause == "default" and asked.profile.zone(zone).inbound == "block")
        if would_stop and not asked.profile.audit:
            proves.add(zone_setting(zone, "stealthmode"))
    if would_stop and asked.profile.audit:
        proves.add(AUDIT_MODE)
    return Trial(packet=packet, expected=found, proves=frozenset(proves), rule="" if rule is None else rule.id)


def _cause(found: Decided) -> str:
    return found.line.comment.removeprefix(f"{TABLE} ")
