"""Packets of a probe as bytes, and what an answer says. Pure. Layout: RFC 791, RFC 792, RFC 9293.

Only the standard library: the program that sends them has to start quickly.
"""

from __future__ import annotations

import struct
from typing import Final, Literal, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal["tcp", "stray", "echo"]
"""The first packet of a connection, a reset of a connection that never was, or a ping."""
Answer: TypeAlias = Literal["accepted", "refused", "echoed", "unreachable", "passedOn"]
"""A connection taken, one refused by a reset, a ping answered, a message that the packet may not pass, or one that it
was on its way to another machine."""

ICMP: Final = 1
TCP: Final = 6
_SYN, _RST, _ACK = 0x02, 0x04, 0x10
_ECHO, _ECHOED = 8, 0
_MESSAGES: Final[dict[int, Answer]] = {3: "unreachable", 11: "passedOn"}
_IP: Final = struct.Struct("!BBHHHBBHII")
_TCP: Final = struct.Struct("!HHIIBBHHH")
_ECHO_HEADER: Final = struct.Struct("!BBHHH")
_PORTS: Final = struct.Struct("!HH")
_HOPS: Final = 1
"""What the machine would pass on, to a container say, ends here and is told of."""
_WINDOW: Final = 1024


class Packet(Struct, frozen=True, kw_only=True):
    """One packet of IPv4 that arrives. Addresses are numbers; of a ping, ``source_port`` tells it from others."""

    kind: Kind
    source: int
    destination: int
    source_port: int
    destination_port: int = 0

    @property
    def protocol(self) -> int:
        """Number of its protocol."""
        return ICMP if self.kind == "echo" else TCP


def packet_bytes(packet: Packet) -> bytes:
    """Write a packet from its IP header on."""
    if packet.kind == "echo":
        body = _with_sum(_ECHO_HEADER.pack(_ECHO, 0, 0, packet.source_port, 1), at=2)
    else:
        body = _tcp(packet, flags=_SYN if packet.kind == "tcp" else _RST, sequence=packet.source_port << 8)
    return _ip(packet.source, packet.destination, packet.protocol, body)


def answer_to(packet: Packet, data: bytes) -> Answer | None:
    """Say what a packet that came back says of ``packet``; ``None`` when it is about something else."""
    if (parsed := _parsed(data)) is None:
        return None
    protocol, source, destination, body = parsed
    if destination != packet.source or len(body) < _ECHO_HEADER.size:
        return None
    if protocol == ICMP and (message := _MESSAGES.get(body[0])) is not None:
        return message if _quotes(packet, body[_ECHO_HEADER.size :]) else None
    if source != packet.destination or protocol != packet.protocol:
        return None
    return _echo_answer(packet, body) if protocol == ICMP else _tcp_answer(packet, body)


def closing(data: bytes) -> bytes | None:
    """Write the reset that ends a connection which somebody took, so that no program ever hears of it."""
    if (parsed := _parsed(data)) is None:
        return None
    protocol, source, destination, body = parsed
    if protocol != TCP or len(body) < _TCP.size or body[13] & (_SYN | _ACK | _RST) != _SYN | _ACK:
        return None
    port, own_port, _, expected, *_ = _TCP.unpack_from(body)
    own = Packet(kind="stray", source=destination, destination=source, source_port=own_port, destination_port=port)
    return _ip(destination, source, TCP, _tcp(own, flags=_RST, sequence=expected))


def _echo_answer(packet: Packet, body: bytes) -> Answer | None:
    kind, _, _, identifier, _ = _ECHO_HEADER.unpack_from(body)
    return "echoed" if kind == _ECHOED and identifier == packet.source_port else None


def _tcp_answer(packet: Packet, body: bytes) -> Answer | None:
    if len(body) < _TCP.size or _PORTS.unpack_from(body) != (packet.destination_port, packet.source_port):
        return None
    if body[13] & _RST:
        return "refused"
    return "accepted" if body[13] & (_SYN | _ACK) == _SYN | _ACK else None


def _parsed(data: bytes) -> tuple[int, int, int, bytes] | None:
    """Part a packet of IPv4 into protocol, source, destination and what it carries."""
    if len(data) < _IP.size or data[0] >> 4 != 4:
        return None
    length = (data[0] & 15) * 4
    return data[9], *struct.unpack_from("!II", data, 12), data[length:]


def _quotes(packet: Packet, quoted: bytes) -> bool:
    """Say whether a message of ICMP is about a packet: it quotes the header and the first eight bytes."""
    if (parsed := _parsed(quoted)) is None or parsed[:3] != (packet.protocol, packet.source, packet.destination):
        return False
    body = parsed[3]
    if packet.kind == "echo":
        return body[4:6] == packet.source_port.to_bytes(2, "big")
    return body[:4] == _PORTS.pack(packet.source_port, packet.destination_port)


def _tcp(packet: Packet, *, flags: int, sequence: int) -> bytes:
    header = _TCP.pack(
        packet.source_port, packet.destination_port, sequence, 0, 5 << 4, flags, _WINDOW if flags == _SYN else 0, 0, 0
    )
    pseudo = struct.pack("!IIBBH", packet.source, packet.destination, 0, TCP, len(header))
    checksum = _checksum(pseudo + header)
    return header[:16] + checksum.to_bytes(2, "big") + header[18:]


def _ip(source: int, destination: int, protocol: int, body: bytes) -> bytes:
    header = _IP.pack(0x45, 0, _IP.size + len(body), 0, 0, _HOPS, protocol, 0, source, destination)
    return _with_sum(header, at=10) + body


def _with_sum(header: bytes, *, at: int) -> bytes:
    return header[:at] + _checksum(header).to_bytes(2, "big") + header[at + 2 :]


def _checksum(data: bytes) -> int:
    """Compute the checksum of RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
