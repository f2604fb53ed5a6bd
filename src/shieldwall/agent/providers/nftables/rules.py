"""From an item of the setting to a firewall rule that means something, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar

from shieldwall.agent.providers.nftables.intervals import (
    HIGHEST,
    AddressRange,
    Family,
    Interval,
    merged,
    parse_addresses,
    parse_ports,
)
from shieldwall.contract.ids import SettingId
from shieldwall.contract.strict_json import digest_of
from shieldwall.policy.values import Item, SettingValue

T = TypeVar("T")

FIREWALL_RULES: Final = SettingId("linux_shieldwall_firewall_rules")
_ITEM: Final = f"{FIREWALL_RULES}_item_"
_KNOWN: Final = frozenset(
    f"{_ITEM}{member}"
    for member in (
        "name",
        "enabled",
        "direction",
        "action",
        "protocol",
        "localports",
        "remoteports",
        "localaddresses",
        "remoteaddresses",
        "description",
    )
)
_IDLE: Final = (SettingId(f"{_ITEM}log"), f"{_ITEM}log_false")
"""A member that asks for nothing with this value; with another one this agent cannot do what is asked."""

Direction: TypeAlias = Literal["in", "out"]
Action: TypeAlias = Literal["block", "allow"]
Protocol: TypeAlias = Literal["any", "tcp", "udp", "icmp"]

_DIRECTIONS: Final[dict[str, Direction]] = {"in": "in", "out": "out"}
_ACTIONS: Final[dict[str, Action]] = {"block": "block", "allow": "allow"}
_PROTOCOLS: Final[dict[str, Protocol]] = {"any": "any", "tcp": "tcp", "udp": "udp", "icmp": "icmp"}
_FAMILIES: Final[tuple[Family, ...]] = ("ip", "ip6")
_ALL_PORTS: Final[tuple[tuple[Interval, ...], ...]] = ((), ((1, 65_535),))
_ENABLED: Final = {"0": False, "1": True}


class UnusableRuleError(ValueError):
    """A rule that cannot be expressed or must not be: ``code`` for programs, the message for people."""

    def __init__(self, code: str, cause: str) -> None:
        super().__init__(cause)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Addresses of one end, merged, by family; without any, every address is meant."""

    ip: tuple[Interval, ...] = ()
    ip6: tuple[Interval, ...] = ()

    @property
    def limited(self) -> bool:
        """Whether any address is left out."""
        return not all(self.covers(family) for family in _FAMILIES)

    def covers(self, family: Family) -> bool:
        """Whether every address of one family is meant."""
        return not (self.ip or self.ip6) or self.of(family) == ((0, HIGHEST[family]),)

    def of(self, family: Family) -> tuple[Interval, ...]:
        """Return the addresses of one family."""
        return self.ip if family == "ip" else self.ip6


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRule:
    """One rule as an administrator means it; ``id`` is the same wherever the same rule is used."""

    id: str
    name: str
    enabled: bool
    direction: Direction
    action: Action
    protocol: Protocol
    local_ports: tuple[Interval, ...]
    remote_ports: tuple[Interval, ...]
    local: Addresses
    remote: Addresses

    @property
    def families(self) -> tuple[Family | None, ...]:
        """Families for which a line is needed; ``None`` is one line for both."""
        if not self.local.limited and not self.remote.limited:
            return (None,)
        ends = [end for end in (self.local, self.remote) if end.limited]
        return tuple(family for family in _FAMILIES if all(end.of(family) for end in ends))

    @property
    def cuts_off(self) -> bool:
        """Whether nothing the device says over IPv4 or IPv6 would get out any more, check-ins included."""
        if self.direction == "in" or self.action == "allow" or self.protocol == "icmp":
            return False
        if self.local_ports not in _ALL_PORTS or self.remote_ports not in _ALL_PORTS:
            return False
        return any(self.local.covers(family) and self.remote.covers(family) for family in _FAMILIES)


def name_of(value: SettingValue) -> str:
    """Name an item for a report, whatever state it is in."""
    name = value.get(SettingId(f"{_ITEM}name")) if isinstance(value, Item) else None
    return name if isinstance(name, str) and name else "(rule without a name)"


def parse_rule(value: SettingValue) -> FirewallRule:
    """Understand one item of the setting, trusting nothing in it. Raises: UnusableRuleError."""
    if not isinstance(value, Item):
        raise UnusableRuleError("invalidRule", "A firewall rule is a group of settings.")
    # A member we do not know may be a condition: without it the rule would reach further than it was meant to.
    if unknown := sorted(str(pair[0]) for pair in value.members if pair[0] not in _KNOWN and pair != _IDLE):
        raise UnusableRuleError("unknownMember", f"This agent does not know {unknown[0][:200]}.")
    rule = FirewallRule(
        id=digest_of([[member, _plain(content)] for member, content in value.members])[:16],
        name=name_of(value),
        enabled=_option(value, "enabled", _ENABLED, default="1"),
        direction=_option(value, "direction", _DIRECTIONS, default="in"),
        action=_option(value, "action", _ACTIONS, default=None),
        protocol=_option(value, "protocol", _PROTOCOLS, default="any"),
        local_ports=merged(_collection(value, "localports", parse_ports)),
        remote_ports=merged(_collection(value, "remoteports", parse_ports)),
        local=_addresses(_collection(value, "localaddresses", parse_addresses)),
        remote=_addresses(_collection(value, "remoteaddresses", parse_addresses)),
    )
    _refuse_unusable(rule)
    return rule


def _refuse_unusable(rule: FirewallRule) -> None:
    if (rule.local_ports or rule.remote_ports) and rule.protocol not in {"tcp", "udp"}:
        raise UnusableRuleError("portsNeedProtocol", f"Ports mean nothing with the protocol {rule.protocol!r}.")
    if not rule.families:
        raise UnusableRuleError(
            "addressFamiliesDiffer", "One end is IPv4 only and the other IPv6 only; nothing matches."
        )
    if rule.enabled and rule.cuts_off:
        raise UnusableRuleError(
            "wouldCutOffDevice", "The rule blocks all that the device sends, its check-ins included."
        )


def _option(item: Item, member: str, options: dict[str, T], *, default: str | None) -> T:
    prefix = f"{_ITEM}{member}"
    chosen = item.get(SettingId(prefix))
    if chosen is None and default is not None:
        return options[default]
    word = chosen.removeprefix(f"{prefix}_") if isinstance(chosen, str) and chosen != prefix else None
    if word not in options:
        raise UnusableRuleError("invalidRule", f"{chosen!r:.100} is not an option of {prefix}.")
    return options[word]


def _collection(item: Item, member: str, parse: Callable[[str], T]) -> tuple[T, ...]:
    values = item.get(SettingId(f"{_ITEM}{member}"))
    if values is None:
        return ()
    if not isinstance(values, tuple):
        raise UnusableRuleError("invalidRule", f"{_ITEM}{member} is not a list.")
    try:
        return tuple(parse(str(value)) for value in values)
    except ValueError as error:
        raise UnusableRuleError("invalidRule", str(error)) from None


def _addresses(ranges: tuple[AddressRange, ...]) -> Addresses:
    return Addresses(
        ip=merged(entry.interval for entry in ranges if entry.family == "ip"),
        ip6=merged(entry.interval for entry in ranges if entry.family == "ip6"),
    )


def _plain(value: SettingValue) -> object:
    match value:
        case Item():
            return [[member, _plain(content)] for member, content in value.members]
        case tuple():
            return [_plain(entry) for entry in value]
        case _:
            return value
