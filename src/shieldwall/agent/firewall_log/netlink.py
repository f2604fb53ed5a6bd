"""Messages of the kernel's firewall about packets, over netlink (NFLOG). Layout: linux/netfilter/nfnetlink_log.h."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

_NETFILTER: Final = 12
_SUBSYSTEM: Final = 4
_PACKET: Final = _SUBSYSTEM << 8
_CONFIG: Final = (_SUBSYSTEM << 8) | 1
_REQUEST_AND_ACKNOWLEDGE: Final = 0x0001 | 0x0004
_ERROR: Final = 2
_NO_BUFFERS: Final = 105
"""ENOBUFS: messages came faster than they were taken."""

_CONFIG_COMMAND, _CONFIG_MODE, _CONFIG_TIMEOUT = 1, 2, 4
_BIND: Final = 1
_COPY_PACKET: Final = 2
_COPIED_BYTES: Final = 96
"""Enough for the headers of a packet; what people said to one another is nobody's business."""
_HUNDREDTHS: Final = 20
"""How long the kernel may gather messages before it hands them on, in hundredths of a second."""

_IN_DEVICE, _OUT_DEVICE, _PAYLOAD, _PREFIX, _USER = 4, 5, 9, 10, 11
_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_GENERAL: Final = struct.Struct("!BBH")
_KIND: Final = 0x3FFF
"""An attribute's kind without its flags."""
_BUFFER_BYTES: Final = 4 * 1024 * 1024
_LONGEST: Final = 256 * 1024


class Note(Struct, frozen=True, kw_only=True):
    """One packet that a rule noted."""

    group: int
    prefix: str
    in_interface: str
    out_interface: str
    user: int | None
    """Whose program sent it, where the device itself did."""
    packet: bytes
    """Its first bytes, from the IP header on."""


class Listener:
    """Hears what the rules of this network namespace note to some groups."""

    def __init__(self, groups: tuple[int, ...]) -> None:
        """Begin to listen. Raises: OSError when the kernel does not let us."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.bind((0, 0))
        for group in groups:
            self._configure(group, _attribute(_CONFIG_COMMAND, bytes([_BIND])))
            mode = struct.pack("!IBx", _COPIED_BYTES, _COPY_PACKET)
            self._configure(group, _attribute(_CONFIG_MODE, mode))
            self._configure(group, _attribute(_CONFIG_TIMEOUT, struct.pack("!I", _HUNDREDTHS)))

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def notes(self) -> Iterator[Note]:
        """Wait for messages and yield what they say; none where the kernel had to throw some away."""
        try:
            data = self._socket.recv(_LONGEST)
        except OSError as error:
            if error.errno != _NO_BUFFERS:
                raise
            return
        yield from parse_notes(data)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _configure(self, group: int, attribute: bytes) -> None:
        body = _GENERAL.pack(socket.AF_UNSPEC, 0, group) + attribute
        header = _HEADER.pack(_HEADER.size + len(body), _CONFIG, _REQUEST_AND_ACKNOWLEDGE, 0, 0)
        self._socket.send(header + body)
        while True:
            for kind, content in _messages(self._socket.recv(_LONGEST)):
                if kind == _ERROR:
                    (code,) = struct.unpack_from("=i", content)
                    if code:
                        raise OSError(-code, f"The kernel refuses to log to group {group}.")
                    return


def parse_notes(data: bytes) -> Iterator[Note]:
    """Read the messages in what the kernel sent; what is no note, or is cut off, is left out."""
    for kind, content in _messages(data):
        if kind != _PACKET or len(content) < _GENERAL.size:
            continue
        _, _, group = _GENERAL.unpack_from(content)
        attributes = dict(_attributes(content[_GENERAL.size :]))
        yield Note(
            group=group,
            prefix=attributes.get(_PREFIX, b"").rstrip(b"\0").decode(errors="replace"),
            in_interface=_interface(attributes.get(_IN_DEVICE)),
            out_interface=_interface(attributes.get(_OUT_DEVICE)),
            user=_number(attributes.get(_USER)),
            packet=attributes.get(_PAYLOAD, b""),
        )


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, position)
        if length < _HEADER.size:
            return
        yield kind, data[position + _HEADER.size : position + length]
        position += _aligned(length)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _KIND, data[position + _ATTRIBUTE.size : position + length]
        position += _aligned(length)


def _attribute(kind: int, content: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(content)
    return _ATTRIBUTE.pack(length, kind) + content + bytes(_aligned(length) - length)


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _number(content: bytes | None) -> int | None:
    return int.from_bytes(content, "big") if content is not None and len(content) == 4 else None


def _interface(content: bytes | None) -> str:
    index = _number(content)
    if not index:
        return ""
    try:
        return socket.if_indextoname(index)
    except OSError:  # it went away meanwhile
        return f"#{index}"
