"""Read what stands in a firewall rule: ports, addresses, kinds of ICMP messages. Each platform has its own spelling."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Final

from shieldwall.catalog.faults import Fault
from shieldwall.catalog.firewall.ranges import ALL_PORTS, EVERYWHERE, Addresses, Interval

TOKENS: Final = frozenset(
    {"defaultgateway", "dhcp", "dns", "internet", "intranet", "localsubnet", "ply2renders", "rmtintranet", "wins"}
)
"""Words by which Windows names addresses that only the device knows; upper and lower case are the same."""
ANYWHERE: Final = "*"
"""How Windows says every address, and every kind of ICMP message."""

_PORT: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_ICMP: Final = re.compile(r"([0-9]{1,3}):([0-9]{1,3}|\*)")
_MASK: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_PORTS_ALLOWED: Final = "A port from {} to 65535, or an ascending range such as 8000-8010."
_ADDRESSES_ALLOWED: Final = "An address, a network such as 10.0.0.0/8, or an ascending range such as 10.0.0.1-10.0.0.9."
_WINDOWS_ADDRESSES_ALLOWED: Final = (
    f"{_ADDRESSES_ALLOWED[:-1]}; 10.0.0.0/255.0.0.0, * for every address, or one of {', '.join(sorted(TOKENS))}."
)
_ICMP_ALLOWED: Final = "A type and a code from 0 to 255 such as 8:0, a type with every code such as 3:*, or *."


def parse_ports(text: str, *, lowest: int = ALL_PORTS[0]) -> Interval | Fault:
    """Read a port or a range of ports."""
    match, allowed = _PORT.fullmatch(text), _PORTS_ALLOWED.format(lowest)
    if match is None:
        return Fault("invalidPort", f"{text[:64]!r} is not a port or a range of ports.", allowed)
    first, last = int(match[1]), int(match[2] or match[1])
    if not lowest <= first <= last <= ALL_PORTS[1]:
        return Fault("invalidPort", f"{text!r} is out of range or descends.", allowed)
    return first, last


def parse_windows_ports(text: str) -> Interval | Fault:
    """Read a port or a range of ports as Windows has them: 0 is one of them."""
    return parse_ports(text, lowest=0)


def parse_addresses(text: str) -> Addresses | Fault:
    """Read an address, a network or a range of addresses."""
    return _addresses(text, _ADDRESSES_ALLOWED, masks=False)


def parse_windows_addresses(text: str) -> tuple[Addresses, ...] | Fault:
    """Read addresses as Windows has them. A word that only the device understands gives no addresses."""
    if text == ANYWHERE:
        return EVERYWHERE
    if text.lower() in TOKENS:
        return ()
    read = _addresses(text, _WINDOWS_ADDRESSES_ALLOWED, masks=True)
    return read if isinstance(read, Fault) else (read,)


def parse_icmp(text: str) -> str | Fault:
    """Read a type and a code of ICMP messages."""
    match = _ICMP.fullmatch(text)
    if text == ANYWHERE or (match is not None and all(part == ANYWHERE or int(part) <= 255 for part in match.groups())):
        return text
    return Fault("invalidIcmpType", f"{text[:64]!r} is not a kind of ICMP message.", _ICMP_ALLOWED)


def _addresses(text: str, allowed: str, *, masks: bool) -> Addresses | Fault:
    if "%" in text:
        return Fault("invalidAddress", "An address with a zone means something else on every device.", "No zone.")
    low, dash, high = text.partition("-")
    _, slash, size = text.rpartition("/")
    if slash and not size.isdecimal() and not (masks and _MASK.fullmatch(size)):
        return Fault("invalidAddress", f"{text[:96]!r} has no prefix length.", allowed)
    try:
        if dash:
            first, last = ip_address(low), ip_address(high)
        else:
            network = ip_network(text)
            first, last = network[0], network[-1]
    except ValueError as error:
        return Fault("invalidAddress", f"{str(error)[:160]}.", allowed)
    if first.version != last.version or int(first) > int(last):
        return Fault("invalidAddress", f"{text[:96]!r} does not ascend.", allowed)
    return Addresses.between(first, last)
