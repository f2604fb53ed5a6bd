"""What a firewall policy means, packet by packet, in plain Python: an oracle that shares no code with the provider."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Literal

from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item, SettingValue

Verdict = Literal["accept", "reject", "drop"]
Settings = dict[SettingId, SettingValue]

_PREFIX = "linux_shieldwall_firewall_"
_RULES = f"{_PREFIX}rules"
_NUMBERS = {"tcp": {6}, "udp": {17}, "icmp": {1, 58}}
_STRICT_FIRST = ("public", "internal", "trusted")


@dataclass(frozen=True)
class Packet:
    """One packet as the device's firewall sees it. ``local`` is the device's own end."""

    inbound: bool
    protocol: int
    local: str
    remote: str
    local_port: int = 0
    remote_port: int = 0
    kind: tuple[int, int] = (0, 0)
    user: int | None = None
    """Of the sender, where the device itself sends."""
    known: bool = False
    """Whether it belongs to a connection that is open."""
    answer: bool = False
    """Whether the device opened the connection and this comes back."""


@dataclass(frozen=True)
class Model:
    """One device: its policy, and its only interface."""

    settings: Settings
    interface: str
    addresses: tuple[str, ...]

    def fate(self, packet: Packet) -> Verdict:
        """What the sender of a first packet sees, answers included."""
        verdict = self.verdict(packet)
        back = replace(packet, inbound=not packet.inbound, known=True, answer=not packet.inbound)
        if verdict == "accept":
            # The answer has to get through as well, and with TCP what follows it. Nobody's program answers pings.
            legs = [_echoed(back), *([replace(packet, known=True)] if packet.protocol == 6 else [])]
            return "accept" if all(self.verdict(leg) == "accept" for leg in legs) else "drop"
        if verdict == "reject" and packet.inbound:
            told = self.verdict(_refusing(replace(back, user=None)))
            return "reject" if told == "accept" else "drop"
        return verdict

    def verdict(self, packet: Packet) -> Verdict:
        """What happens to one packet."""
        stopped = self._stopped(packet)
        return "accept" if self._word("global", "enableauditmode", "false") == "true" else stopped

    def _stopped(self, packet: Packet) -> Verdict:
        zone = self.zone
        enabled = self._word(zone, "enablefirewall", "")
        if enabled == "false":
            return "accept"
        on = enabled == "true"
        stop: Verdict = "reject" if on and self._word(zone, "stealthmode", "true") == "false" else "drop"
        established = not on or self._word(zone, "allowestablished", "true") == "true"
        shielded = on and packet.inbound and self._word(zone, "shielded", "false") == "true"
        if packet.known and established and (packet.answer or not shielded):
            return "accept"
        if shielded or self._some_rule("block", packet, zone):
            return stop
        if not on or self._some_rule("allow", packet, zone) or self._by_default(packet, zone) == "allow":
            return "accept"
        return stop

    def _some_rule(self, action: str, packet: Packet, zone: str) -> bool:
        return any(self._matches(rule, packet, zone) for rule in self._rules(action))

    def _by_default(self, packet: Packet, zone: str) -> str:
        if packet.inbound and (packet.protocol, packet.kind) in {(1, (8, 0)), (58, (128, 0))}:
            return self._word(zone, "icmpecho", "allow")
        direction, default = ("inbound", "block") if packet.inbound else ("outbound", "allow")
        return self._word(zone, f"default{direction}action", default)

    @property
    def zone(self) -> str:
        """Where the interface belongs: by name before address, and to the strictest that claims it."""
        for zone in _STRICT_FIRST:
            for name in self._list(zone, "interfaces"):
                if name == self.interface or (name.endswith("*") and self.interface.startswith(name[:-1])):
                    return zone
        for zone in _STRICT_FIRST:
            for network in self._list(zone, "networks"):
                if any(_within(address, network) for address in self.addresses):
                    return zone
        return "public"

    def _word(self, zone: str, member: str, default: str) -> str:
        name = f"{_PREFIX}{zone}_{member}"
        return str(self.settings.get(SettingId(name), f"{name}_{default}")).removeprefix(f"{name}_")

    def _list(self, zone: str, member: str) -> tuple[str, ...]:
        value = self.settings.get(SettingId(f"{_PREFIX}{zone}_{member}"), ())
        return tuple(map(str, value)) if isinstance(value, tuple) else ()

    def _rules(self, action: str) -> list[Item]:
        rules = self.settings.get(SettingId(_RULES), ())
        assert isinstance(rules, tuple)
        items = [rule for rule in rules if isinstance(rule, Item)]
        return [rule for rule in items if _said(rule, "action") == action and _said(rule, "enabled", "1") == "1"]

    def _matches(self, rule: Item, packet: Packet, zone: str) -> bool:
        zones, names, users, kinds = (_all(rule, each) for each in ("zones", "interfaces", "users", "icmptypes"))
        numbers = _NUMBERS.get(_said(rule, "protocol", "any"), set[int]())
        if isinstance(number := rule.get(SettingId(f"{_RULES}_item_protocolnumber")), int):
            numbers = {number}
        conditions = (
            (_said(rule, "direction", "in") == "in") is packet.inbound,
            not zones or f"{_RULES}_item_zones_{zone}" in zones,
            not names or any(name in {self.interface, f"{self.interface[:3]}*"} for name in names),
            not numbers or packet.protocol in numbers,
            not users or str(packet.user) in users,
            not kinds or any(_is_kind(kind, packet) for kind in kinds),
        )
        return all(conditions) and self._ends_match(rule, packet)

    @staticmethod
    def _ends_match(rule: Item, packet: Packet) -> bool:
        return all(
            (not ports or any(_between(port, text) for text in ports))
            and (not addresses or any(_within(address, text) for text in addresses))
            for ports, port, addresses, address in (
                (_all(rule, "localports"), packet.local_port, _all(rule, "localaddresses"), packet.local),
                (_all(rule, "remoteports"), packet.remote_port, _all(rule, "remoteaddresses"), packet.remote),
            )
        )


def _echoed(packet: Packet) -> Packet:
    kinds = {1: (0, 0), 58: (129, 0)}
    if packet.protocol not in kinds:
        return packet
    return replace(packet, kind=kinds[packet.protocol], user=None)


def _refusing(packet: Packet) -> Packet:
    """What a refusal is: a reset of TCP, or an ICMP message."""
    if packet.protocol == 6:
        return packet
    six = ":" in packet.local
    return replace(packet, protocol=58 if six else 1, kind=(1, 4) if six else (3, 3), local_port=0, remote_port=0)


def _said(rule: Item, member: str, default: str = "") -> str:
    name = f"{_RULES}_item_{member}"
    return str(rule.get(SettingId(name)) or f"{name}_{default}").removeprefix(f"{name}_")


def _all(rule: Item, member: str) -> tuple[str, ...]:
    value = rule.get(SettingId(f"{_RULES}_item_{member}"))
    return tuple(map(str, value)) if isinstance(value, tuple) else ()


def _is_kind(kind: str, packet: Packet) -> bool:
    number, _, code = kind.partition(":")
    return kind == "*" or (int(number) == packet.kind[0] and code in {"*", str(packet.kind[1])})


def _between(number: int, text: str) -> bool:
    first, _, last = text.partition("-")
    return int(first) <= number <= int(last or first)


def _within(address: str, text: str) -> bool:
    first, dash, last = text.partition("-")
    here = ip_address(address)
    if dash:
        low, high = ip_address(first), ip_address(last)
        return here.version == low.version and int(low) <= int(here) <= int(high)
    network = ip_network(text)
    return here.version == network.version and here in network
