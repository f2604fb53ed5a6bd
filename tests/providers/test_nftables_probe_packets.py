"""Packets of a probe as bytes, and what answers to them are read as."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.firewall_probe.packets import Answer, Kind, Packet, answer_to, closing, packet_bytes

ADDRESSES = st.integers(0, 2**32 - 1)
PORTS = st.integers(1, 65_535)
PACKETS = st.builds(
    Packet,
    kind=st.sampled_from(["tcp", "stray", "echo"]),
    source=ADDRESSES,
    destination=ADDRESSES,
    source_port=PORTS,
    destination_port=PORTS,
)
KNOCK = Packet(kind="tcp", source=0xC6336401, destination=0x0A630001, source_port=40_000, destination_port=22)
PING = Packet(kind="echo", source=0xC6336401, destination=0x0A630001, source_port=40_001)
SYN_ACK, RESET, ACK = 0x12, 0x14, 0x10


def sums_to_nothing(data: bytes) -> bool:
    """Whether the checksum in it is right (RFC 1071), computed in another way than by who wrote it."""
    return sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)) % 0xFFFF == 0


def tcp_from(packet: Packet, flags: int, *, acknowledged: int = 0, port: int | None = None) -> bytes:
    body = struct.pack(
        "!HHIIBBHHH",
        packet.destination_port if port is None else port,
        packet.source_port,
        7,
        acknowledged,
        80,
        flags,
        0,
        0,
        0,
    )
    return ip(packet.destination, packet.source, 6, body)


def ip(source: int, destination: int, protocol: int, body: bytes) -> bytes:
    return struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0, source, destination) + body


@given(packet=PACKETS)
def test_a_packet_is_written_as_the_kernel_takes_it(packet: Packet) -> None:
    data = packet_bytes(packet)

    assert sums_to_nothing(data[:20])
    assert int.from_bytes(data[2:4], "big") == len(data)
    assert data[8] == 1, "nobody passes it on"
    assert (data[9], *struct.unpack("!II", data[12:20])) == (packet.protocol, packet.source, packet.destination)
    pseudo = b"" if packet.kind == "echo" else data[12:20] + struct.pack("!BBH", 0, 6, len(data) - 20)
    assert sums_to_nothing(pseudo + data[20:])


@given(packet=PACKETS, noise=st.binary(max_size=80))
def test_noise_is_no_answer(packet: Packet, noise: bytes) -> None:
    assert answer_to(packet, noise) is None or struct.unpack("!I", noise[16:20]) == (packet.source,)
    assert answer_to(packet, packet_bytes(packet)) is None or packet.source == packet.destination
    assert closing(packet_bytes(packet)) is None


@given(packet=PACKETS, cut=st.integers(0, 47))
def test_half_an_answer_says_nothing_and_breaks_nothing(packet: Packet, cut: int) -> None:
    whole = ip(1, packet.source, 1, struct.pack("!BBHI", 3, 13, 0, 0) + packet_bytes(packet)[:28])

    assert answer_to(packet, whole[:cut]) is None or cut >= 28


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (tcp_from(KNOCK, SYN_ACK), "accepted"),
        (tcp_from(KNOCK, RESET), "refused"),
        (tcp_from(KNOCK, ACK), None),
        (tcp_from(KNOCK, SYN_ACK, port=23), None),
        (ip(1, KNOCK.source, 1, struct.pack("!BBHI", 3, 13, 0, 0) + packet_bytes(KNOCK)[:28]), "unreachable"),
        (ip(1, KNOCK.source, 1, struct.pack("!BBHI", 11, 0, 0, 0) + packet_bytes(KNOCK)[:28]), "passedOn"),
        (ip(1, KNOCK.source, 1, struct.pack("!BBHI", 3, 13, 0, 0) + packet_bytes(PING)[:28]), None),
    ],
)
def test_what_comes_back_is_understood(data: bytes, answer: Answer | None) -> None:
    assert answer_to(KNOCK, data) == answer


@pytest.mark.parametrize(("kind", "identifier", "answer"), [(0, 40_001, "echoed"), (0, 7, None), (8, 40_001, None)])
def test_a_ping_has_an_answer_of_its_own(kind: int, identifier: int, answer: Answer | None) -> None:
    assert (
        answer_to(PING, ip(PING.destination, PING.source, 1, struct.pack("!BBHHH", kind, 0, 0, identifier, 1)))
        == answer
    )


def test_a_connection_that_somebody_took_is_ended_by_the_reset_that_he_expects() -> None:
    last = closing(tcp_from(KNOCK, SYN_ACK, acknowledged=0x01020304))

    assert last is not None
    assert struct.unpack("!II", last[12:20]) == (KNOCK.source, KNOCK.destination)
    assert struct.unpack("!HHI", last[20:28]) == (KNOCK.source_port, KNOCK.destination_port, 0x01020304)
    assert last[33] == 0x04
    assert sums_to_nothing(last[12:20] + struct.pack("!BBH", 0, 6, 20) + last[20:])


@pytest.mark.parametrize("kind", ["tcp", "stray"])
def test_of_tcp_only_the_first_packet_of_a_connection_asks_for_one(kind: Kind) -> None:
    flags = packet_bytes(Packet(kind=kind, source=1, destination=2, source_port=3, destination_port=4))[33]

    assert flags == {"tcp": 0x02, "stray": 0x04}[kind]
