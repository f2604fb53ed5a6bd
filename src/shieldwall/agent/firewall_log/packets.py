"""What a packet says of itself in its headers: who, to whom, in which protocol. Pure."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

_PROTOCOLS: Final = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
_WITH_PORTS: Final = frozenset({6, 17, 33, 132, 136})
_MESSAGES: Final = frozenset({1, 58})
_EXTENSIONS: Final = frozenset({0, 43, 60})
"""Headers of IPv6 that say how long they are and what follows: hop-by-hop, routing, destination."""
_FRAGMENT: Final = 44
_IPV4: Final = struct.Struct("!BxHxxHxBxx4s4s")
_IPV6: Final = struct.Struct("!IHBx16s16s")


def described(packet: bytes) -> dict[str, Any]:
    """Describe a packet from its first bytes; as much as they tell, nothing for what is not IP."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= _IPV4.size:
        first, length, fragment, protocol, source, destination = _IPV4.unpack_from(packet)
        said = _addressed(IPv4Address(source), IPv4Address(destination), length, protocol)
        return said if fragment & 0x1FFF else {**said, **_content(protocol, packet[(first & 15) * 4 :])}
    if version == 6 and len(packet) >= _IPV6.size:
        _, length, protocol, source, destination = _IPV6.unpack_from(packet)
        protocol, rest = _past_extensions(protocol, packet[_IPV6.size :])
        said = _addressed(IPv6Address(source), IPv6Address(destination), length + _IPV6.size, protocol)
        return {**said, **_content(protocol, rest)}
    return {}


def _addressed(
    source: IPv4Address | IPv6Address, destination: IPv4Address | IPv6Address, length: int, protocol: int
) -> dict[str, Any]:
    return {
        "source": str(source),
        "destination": str(destination),
        "protocol": _PROTOCOLS.get(protocol, str(protocol)),
        "bytes": length,
    }


def _content(protocol: int, rest: bytes) -> dict[str, Any]:
    if protocol in _WITH_PORTS and len(rest) >= 4:
        source, destination = struct.unpack_from("!HH", rest)
        return {"sourcePort": source, "destinationPort": destination}
    if protocol in _MESSAGES and len(rest) >= 2:
        return {"type": rest[0], "code": rest[1]}
    return {}


def _past_extensions(protocol: int, rest: bytes) -> tuple[int, bytes]:
    while protocol in _EXTENSIONS and len(rest) >= 8:
        protocol, rest = rest[0], rest[(rest[1] + 1) * 8 :]
    if protocol == _FRAGMENT and len(rest) >= 8:
        first = not struct.unpack_from("!H", rest, 2)[0] & 0xFFF8
        return rest[0], rest[8:] if first else b""
    return protocol, rest
