"""Records of the kernel's audit over netlink, as many as want them: multicast group 1 (linux/audit.h).

The kernel sends every record there, whether or not an audit daemon runs, and waits for nobody: who reads too slowly
loses records, is told so, and slows nothing down.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final

_AUDIT: Final = 9
_READ_LOG: Final = 1
_NO_BUFFERS: Final = 105
"""ENOBUFS: records came faster than they were taken."""
_HEADER: Final = struct.Struct("=IHHII")
_BUFFER_BYTES: Final = 4 * 1024 * 1024
_LONGEST: Final = 32 * 1024
_SO_RCVBUFFORCE: Final = 33


class Listener:
    """Hears what the kernel writes down."""

    def __init__(self) -> None:
        """Begin to listen. Raises: OSError: this needs CAP_AUDIT_READ, and a kernel with audit outside a container."""
        self.lost = 0
        """How often the kernel had to throw records away; whoever tells sets it back."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _AUDIT)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except OSError:  # without CAP_NET_ADMIN the kernel's limit is what there is
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.bind((0, 1 << (_READ_LOG - 1)))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def messages(self, most: int) -> Iterator[tuple[int, bytes]]:
        """Yield kind and text of what waits, at most so many."""
        for _ in range(most):
            try:
                data = self._socket.recv(_LONGEST)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != _NO_BUFFERS:
                    raise
                self.lost += 1
                continue
            if (message := parse_message(data)) is not None:
                yield message

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


def parse_message(data: bytes) -> tuple[int, bytes] | None:
    """Read one message; its length is that of the datagram, for the kernel counts it without the header. Pure."""
    if len(data) < _HEADER.size:
        return None
    _, kind, _, _, _ = _HEADER.unpack_from(data)
    return kind, data[_HEADER.size :].rstrip(b"\0")
