"""A device of our own through which packets arrive: without an address, up for a moment, gone with its descriptor."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from shieldwall.agent.firewall_probe.packets import closing

DEVICE: Final = "shieldwall0"
"""What it is called. It is in the zone that claims this name, which mostly is public."""
_TUN: Final = Path("/dev/net/tun")
_SET: Final = 0x400454CA
"""TUNSETIFF of linux/if_tun.h."""
_FLAGS: Final = 0x0001 | 0x1000 | 0x8000
"""IFF_TUN, IFF_NO_PI and IFF_TUN_EXCL: bare packets, and never somebody else's device."""
_IPV6: Final = Path(f"/proc/sys/net/ipv6/conf/{DEVICE}/disable_ipv6")
_LONGEST: Final = 65_536

_HEADER: Final = struct.Struct("=IHHII")
_LINK: Final = struct.Struct("=BxHiII")
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")
_NEW_LINK, _NEW_ROUTE, _GET_ROUTE, _ERROR = 16, 24, 26, 2
_REQUEST, _ACKNOWLEDGE, _EXCLUSIVE, _CREATE = 0x001, 0x004, 0x200, 0x400
_UP: Final = 1
_MAIN, _STATIC, _LINK_SCOPE, _UNICAST = 254, 4, 253, 1
_DESTINATION, _SOURCE, _OUT_DEVICE = 1, 2, 4
_WHOLE: Final = 32
_NETLINK_SECONDS: Final = 0.5


class CannotProbeError(Exception):
    """The device cannot be had: ``code`` for programs, the message for people."""

    def __init__(self, code: str, cause: str) -> None:
        super().__init__(cause)
        self.code = code


def exchange(packets: Sequence[bytes], *, source: int, local: int, seconds: float) -> list[bytes]:
    """Let packets from ``source`` to ``local`` arrive, and return what comes back to it within the time.

    The route to ``source`` leads through the device, so the kernel takes packets from there even where it is strict
    about paths (rp_filter), and answers come back here. It goes with the device. Raises: CannotProbeError.
    """
    with _device() as descriptor, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(_NETLINK_SECONDS)
        netlink.bind((0, 0))
        try:
            index = socket.if_nametoindex(DEVICE)
            with contextlib.suppress(OSError):  # a kernel without IPv6
                _IPV6.write_text("1", encoding="ascii")
            _ask(netlink, _NEW_LINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, _UP, _UP))
            _lead(netlink, source, index)
            if _out_device(netlink, source, local) != index:
                raise CannotProbeError("routedElsewhere", "A routing rule of this machine leads the answers elsewhere.")
            return _sent(descriptor, packets, source, seconds)
        except OSError as error:
            raise CannotProbeError("deviceFailed", f"The device {DEVICE} does not work: {error.strerror}.") from error


@contextlib.contextmanager
def _device() -> Iterator[int]:
    try:
        descriptor = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise CannotProbeError("noTun", f"{_TUN} cannot be opened: {error.strerror}.") from error
    try:
        try:
            fcntl.ioctl(descriptor, _SET, struct.pack("16sH22x", DEVICE.encode(), _FLAGS))
        except OSError as error:
            code = "deviceBusy" if error.errno == errno.EBUSY else "noTun"
            raise CannotProbeError(code, f"The device {DEVICE} cannot be made: {error.strerror}.") from error
        yield descriptor
    finally:
        os.close(descriptor)


def _lead(netlink: socket.socket, source: int, index: int) -> None:
    body = _ROUTE.pack(socket.AF_INET, _WHOLE, 0, 0, _MAIN, _STATIC, _LINK_SCOPE, _UNICAST, 0)
    attributes = _attribute(_DESTINATION, source.to_bytes(4, "big")) + _attribute(_OUT_DEVICE, struct.pack("=i", index))
    _ask(netlink, _NEW_ROUTE, _CREATE | _EXCLUSIVE, body + attributes)


def _out_device(netlink: socket.socket, source: int, local: int) -> int | None:
    """Ask the kernel where it would send an answer."""
    body = _ROUTE.pack(socket.AF_INET, _WHOLE, _WHOLE, 0, 0, 0, 0, 0, 0)
    attributes = (_DESTINATION, source), (_SOURCE, local)
    asked = body + b"".join(_attribute(kind, address.to_bytes(4, "big")) for kind, address in attributes)
    netlink.send(_HEADER.pack(_HEADER.size + len(asked), _GET_ROUTE, _REQUEST, 0, 0) + asked)
    answer = netlink.recv(_LONGEST)
    if _HEADER.unpack_from(answer)[1] != _NEW_ROUTE:
        return None
    offset = _HEADER.size + _ROUTE.size
    while offset + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, offset)
        if kind == _OUT_DEVICE:
            return int.from_bytes(answer[offset + 4 : offset + 8], "little" if _IS_LITTLE else "big")
        offset += max((length + 3) & ~3, _ATTRIBUTE.size)
    return None


def _ask(netlink: socket.socket, kind: int, flags: int, body: bytes) -> None:
    """Ask for a change and wait until it is made. Raises: OSError."""
    header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | _ACKNOWLEDGE | flags, 0, 0)
    netlink.send(header + body)
    answer = netlink.recv(_LONGEST)
    if _HEADER.unpack_from(answer)[1] != _ERROR:
        raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
    (code,) = struct.unpack_from("=i", answer, _HEADER.size)
    if code:
        raise OSError(-code, os.strerror(-code))


def _sent(descriptor: int, packets: Sequence[bytes], source: int, seconds: float) -> list[bytes]:
    for packet in packets:
        os.write(descriptor, packet)
    answers: list[bytes] = []
    end = time.monotonic() + seconds
    while len(answers) < len(packets) and (left := end - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            break
        data = os.read(descriptor, _LONGEST)
        if data[16:20] != source.to_bytes(4, "big"):
            continue  # the machine greets every new network
        answers.append(data)
        if (last := closing(data)) is not None:
            os.write(descriptor, last)
    return answers


def _attribute(kind: int, content: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(content), kind) + content


_IS_LITTLE: Final = struct.pack("=H", 1) == b"\1\0"
