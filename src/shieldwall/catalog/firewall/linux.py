"""Rules of the Linux firewall, read as they take effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shieldwall.catalog.faults import Fault, LocatedFault, Members
from shieldwall.catalog.firewall import texts
from shieldwall.catalog.firewall.ranges import Addresses, Interval
from shieldwall.catalog.firewall.rules import ICMP, TCP, UDP, Rule, unless_everywhere
from shieldwall.catalog.firewall.server import ServerEndpoints
from shieldwall.contract.ids import SettingId

RULES: Final = SettingId("linux_shieldwall_firewall_rules")

_PROTOCOLS: Final = {"any": None, "icmp": ICMP, "tcp": TCP, "udp": UDP}


def rule_faults(members: Members, server: ServerEndpoints | None) -> Iterator[LocatedFault]:
    """Yield what one rule would do that no policy may.

    ``members`` holds item ids and texts that are right each by itself; a member left out has its default.
    """
    rule = Rule(
        blocks=_choice(members, "action", "allow") == "block" and _choice(members, "enabled", "1") == "1",
        outgoing=_choice(members, "direction", "in") == "out",
        protocol=_PROTOCOLS.get(_choice(members, "protocol", "any")),
        local_addresses=_addresses(members, "localaddresses"),
        remote_addresses=_addresses(members, "remoteaddresses"),
        local_ports=_ports(members, "localports"),
        remote_ports=_ports(members, "remoteports"),
    )
    yield from ((None, fault) for fault in rule.faults(server))


def _choice(members: Members, name: str, default: str) -> str:
    prefix = f"{RULES}_item_{name}_"
    return str(members.get(SettingId(prefix[:-1]), prefix + default)).removeprefix(prefix)


def _texts(members: Members, name: str) -> tuple[str, ...]:
    return tuple(members.get(SettingId(f"{RULES}_item_{name}"), ()))


def _addresses(members: Members, name: str) -> tuple[Addresses, ...] | None:
    named = _texts(members, name)
    read = (texts.parse_addresses(text) for text in named)
    return unless_everywhere(tuple(one for one in read if not isinstance(one, Fault))) if named else None


def _ports(members: Members, name: str) -> tuple[Interval, ...]:
    read = (texts.parse_ports(text) for text in _texts(members, name))
    return tuple(ports for ports in read if not isinstance(ports, Fault))
