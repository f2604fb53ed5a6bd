"""Rules of the Linux firewall, read as they take effect."""

from __future__ import annotations

from typing import Final

from shieldwall.catalog.faults import Fault, Members
from shieldwall.catalog.firewall import texts
from shieldwall.catalog.firewall.ranges import Addresses, Interval
from shieldwall.catalog.firewall.rules import ICMP, TCP, UDP, Rule, unless_everywhere
from shieldwall.catalog.firewall.server import ServerEndpoints
from shieldwall.contract.ids import SettingId

RULES: Final = SettingId("linux_shieldwall_firewall_rules")

_ALL_ZONES: Final = frozenset({"trusted", "internal", "public"})
_ALL_KINDS: Final = frozenset({"lan", "wireless", "mobilebroadband", "remoteaccess", "virtual"})
_ALL_PROGRAMS: Final = frozenset({"-.slice", "system.slice"})
_AGENT: Final = frozenset({"shieldwall-agent.service"})
_NAME_SERVICES: Final = frozenset({"systemd-resolved.service", "dnsmasq.service", "unbound.service", "nscd.service"})
_AGENT_USERS: Final = frozenset({"0", "root"})
_PROTOCOLS: Final = {"any": None, "icmp": ICMP, "tcp": TCP, "udp": UDP}


def read_rule(members: Members, _server: ServerEndpoints | None) -> Rule:
    """Read one rule as it takes effect.

    ``members`` holds item ids and texts that are right each by itself; a member left out has its default.
    """
    service = str(members.get(_member("servicename"), ""))
    return Rule(
        blocks=_choice(members, "action", "allow") == "block" and _choice(members, "enabled", "1") == "1",
        outgoing=_choice(members, "direction", "in") == "out",
        protocol=_protocol(members),
        local_addresses=_addresses(members, "local"),
        remote_addresses=_addresses(members, "remote"),
        local_ports=_ports(members, "localports"),
        remote_ports=_ports(members, "remoteports"),
        somewhere=_is_somewhere(members),
        narrowed=_is_narrowed(members) or service not in {"", *_ALL_PROGRAMS},
        about_agent=service in _AGENT,
        about_name_service=service in _NAME_SERVICES,
    )


def _is_somewhere(members: Members) -> bool:
    """Say whether a rule holds on some interfaces alone, all of which a device may have."""
    zones = {item_id.rpartition("_")[2] for item_id in _texts(members, "zones")}
    kinds = {item_id.rpartition("_")[2] for item_id in _texts(members, "interfacetypes")}
    return zones not in (set(), _ALL_ZONES) or kinds not in (set(), _ALL_KINDS) or bool(_texts(members, "interfaces"))


def _is_narrowed(members: Members) -> bool:
    """Say whether a rule leaves out what a device cannot do without: an interface, or the users of its services."""
    interfaces, users = _texts(members, "interfaces"), _texts(members, "users")
    named = bool(interfaces) and not any(name.endswith("*") for name in interfaces)
    return named or (bool(users) and not _AGENT_USERS & set(users))


def _protocol(members: Members) -> int | None:
    number = str(members.get(_member("protocolnumber"), ""))
    return int(number) if number.isdecimal() else _PROTOCOLS.get(_choice(members, "protocol", "any"))


def _member(name: str) -> SettingId:
    return SettingId(f"{RULES}_item_{name}")


def _choice(members: Members, name: str, default: str) -> str:
    prefix = f"{_member(name)}_"
    return str(members.get(_member(name), prefix + default)).removeprefix(prefix)


def _texts(members: Members, name: str) -> tuple[str, ...]:
    return tuple(members.get(_member(name), ()))


def _addresses(members: Members, side: str) -> tuple[Addresses, ...] | None:
    """Return the addresses of one side that are known; those of a group are not."""
    named, groups = _texts(members, f"{side}addresses"), _texts(members, f"{side}addressgroups")
    read = (texts.parse_addresses(text) for text in named)
    known = tuple(one for one in read if not isinstance(one, Fault))
    return unless_everywhere(known) if named or groups else None


def _ports(members: Members, name: str) -> tuple[Interval, ...]:
    read = (texts.parse_ports(text) for text in _texts(members, name))
    return tuple(ports for ports in read if not isinstance(ports, Fault))
