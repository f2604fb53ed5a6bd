"""From an item of the setting to a firewall rule that means something, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Literal, TypeAlias, TypeVar

from msgspec import Struct

from shieldwall.agent.providers.nftables.conditions import (
    INTERFACE_KINDS,
    InterfaceKind,
    is_unit,
    parse_icmp,
    parse_interface,
    parse_user,
)
from shieldwall.agent.providers.nftables.intervals import (
    FAMILIES,
    Addresses,
    Family,
    Interval,
    addresses_of,
    merged,
    parse_addresses,
    parse_ports,
)
from shieldwall.agent.providers.nftables.zones import ZONES, ZoneName
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
        "zones",
        "interfaces",
        "interfacetypes",
        "servicename",
        "users",
        "protocolnumber",
        "icmptypes",
        "log",
    )
)
_GROUPS: Final = frozenset({f"{_ITEM}localaddressgroups", f"{_ITEM}remoteaddressgroups"})
"""What the server puts addresses in the place of; a device that sees one would apply a rule without its addresses."""

Direction: TypeAlias = Literal["in", "out"]
Action: TypeAlias = Literal["block", "allow"]
Protocol: TypeAlias = Literal["any", "tcp", "udp", "icmp"]

_DIRECTIONS: Final[dict[str, Direction]] = {"in": "in", "out": "out"}
_ACTIONS: Final[dict[str, Action]] = {"block": "block", "allow": "allow"}
_PROTOCOLS: Final[dict[str, Protocol]] = {"any": "any", "tcp": "tcp", "udp": "udp", "icmp": "icmp"}
_NUMBERS: Final[Mapping[Protocol, frozenset[int]]] = {
    "any": frozenset(),
    "tcp": frozenset({6}),
    "udp": frozenset({17}),
    "icmp": frozenset({1, 58}),
}
_HIGHEST_NUMBER: Final = 255
_ALL_UNITS: Final = "-.slice"
"""The unit that every other one is in."""
_ALL_PORTS: Final[tuple[tuple[Interval, ...], ...]] = ((), ((1, 65_535),))
_ENABLED: Final = {"0": False, "1": True}
_LOG: Final = {"false": False, "true": True}
_ZONES: Final[dict[str, ZoneName]] = {zone: zone for zone in ZONES}


class UnusableRuleError(ValueError):
    """A rule that cannot be expressed or must not be: ``code`` for programs, the message for people."""

    def __init__(self, code: str, cause: str) -> None:
        super().__init__(cause)
        self.code = code


class FirewallRule(Struct, frozen=True, kw_only=True):
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
    zones: frozenset[ZoneName] = frozenset()
    """Zones in which it counts; all when empty, as with the conditions below."""
    interfaces: tuple[str, ...] = ()
    kinds: frozenset[InterfaceKind] = frozenset()
    service: str = ""
    users: tuple[str, ...] = ()
    number: int | None = None
    icmp: tuple[tuple[int, int | None], ...] = ()
    """Types and codes of ICMP messages, without a code every one of the type."""
    log: bool = False

    @property
    def numbers(self) -> frozenset[int]:
        """Protocols it is about, by number; all when empty."""
        return _NUMBERS[self.protocol] if self.number is None else frozenset({self.number})

    def counts_in(self, zone: ZoneName) -> bool:
        """Say whether it counts in a zone."""
        return self.enabled and (not self.zones or zone in self.zones)

    @property
    def families(self) -> tuple[Family | None, ...]:
        """Families for which a line is needed; ``None`` is one line for both."""
        if not self.local.limited and not self.remote.limited:
            return (None,)
        ends = [end for end in (self.local, self.remote) if end.limited]
        return tuple(family for family in FAMILIES if all(end.of(family) for end in ends))

    @property
    def cuts_off(self) -> bool:
        """Whether nothing the device says over IPv4 or IPv6 would get out any more, check-ins included."""
        if self.direction == "in" or self.action == "allow" or not self.numbers <= {6, 17}:
            return False
        if self.interfaces or self.users or self.service:
            return False
        if self.local_ports not in _ALL_PORTS or self.remote_ports not in _ALL_PORTS:
            return False
        return any(self.local.covers(family) and self.remote.covers(family) for family in FAMILIES)


def name_of(value: SettingValue) -> str:
    """Name an item for a report, whatever state it is in."""
    name = value.get(SettingId(f"{_ITEM}name")) if isinstance(value, Item) else None
    return name if isinstance(name, str) and name else "(rule without a name)"


@lru_cache(maxsize=1024)
def parse_rule(value: SettingValue) -> FirewallRule:
    """Understand one item of the setting, trusting nothing in it. Raises: UnusableRuleError.

    A rule may name a thousand addresses and is looked at each minute. What is kept here is named by the very item.
    """
    if not isinstance(value, Item):
        raise UnusableRuleError("invalidRule", "A firewall rule is a group of settings.")
    # A member we do not know may be a condition: without it the rule would reach further than it was meant to.
    if groups := sorted(str(member) for member, _ in value.members if member in _GROUPS):
        raise UnusableRuleError("groupNotReplaced", f"The server did not put addresses in the place of {groups[0]}.")
    if unknown := sorted(str(member) for member, _ in value.members if member not in _KNOWN):
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
        local=addresses_of(_collection(value, "localaddresses", parse_addresses)),
        remote=addresses_of(_collection(value, "remoteaddresses", parse_addresses)),
        zones=frozenset(_options(value, "zones", _ZONES)),
        interfaces=tuple(sorted(set(_collection(value, "interfaces", parse_interface)))),
        kinds=frozenset(_options(value, "interfacetypes", INTERFACE_KINDS)),
        service=_service(value),
        users=tuple(sorted(set(_collection(value, "users", parse_user)))),
        number=_protocol_number(value),
        icmp=_icmp(value),
        log=_option(value, "log", _LOG, default="false"),
    )
    _refuse_unusable(rule)
    return rule


def _refuse_unusable(rule: FirewallRule) -> None:
    if (rule.local_ports or rule.remote_ports) and rule.protocol not in {"tcp", "udp"}:
        raise UnusableRuleError("portsNeedProtocol", f"Ports mean nothing with the protocol {rule.protocol!r}.")
    if rule.icmp and rule.protocol != "icmp":
        raise UnusableRuleError("icmpNeedsProtocol", f"ICMP types mean nothing with the protocol {rule.protocol!r}.")
    if rule.number is not None and rule.protocol != "any":
        raise UnusableRuleError("numberNeedsAny", f"The protocol is {rule.protocol!r} and has a number already.")
    if rule.users and rule.direction == "in":
        raise UnusableRuleError("usersNeedOutbound", "Nobody on this device sends what arrives.")
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


def _options(item: Item, member: str, options: Mapping[str, T]) -> tuple[T, ...]:
    prefix = f"{_ITEM}{member}_"

    def chosen(word: str) -> T:
        if not word.startswith(prefix) or word.removeprefix(prefix) not in options:
            raise ValueError(f"{word!r:.100} is not an option of {_ITEM}{member}.")
        return options[word.removeprefix(prefix)]

    return _collection(item, member, chosen)


def _service(item: Item) -> str:
    value = item.get(SettingId(f"{_ITEM}servicename"))
    if value is None or value == _ALL_UNITS:
        return ""
    if not isinstance(value, str) or not is_unit(value):
        raise UnusableRuleError("invalidRule", f"{value!r:.64} is not a service, slice, scope or socket of systemd.")
    return value


def _protocol_number(item: Item) -> int | None:
    value = item.get(SettingId(f"{_ITEM}protocolnumber"))
    if value is not None and not (isinstance(value, int) and 0 <= value <= _HIGHEST_NUMBER):
        raise UnusableRuleError("invalidRule", f"{value!r:.64} is not the number of a protocol.")
    return value


def _icmp(item: Item) -> tuple[tuple[int, int | None], ...]:
    """Read kinds of messages; every kind is what a rule without this member is about."""
    kinds = set(_collection(item, "icmptypes", parse_icmp))
    if None in kinds:
        return ()
    known = {kind for kind in kinds if kind is not None}
    whole = {number for number, code in known if code is None}
    return tuple(sorted((kind for kind in known if kind[1] is None or kind[0] not in whole), key=repr))


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


def _plain(value: SettingValue) -> object:
    match value:
        case Item():
            return [[member, _plain(content)] for member, content in value.members]
        case tuple():
            return [_plain(entry) for entry in value]
        case _:
            return value
