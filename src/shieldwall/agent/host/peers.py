"""Who is at the other end of a Unix socket, as the kernel noted it when they connected.

Source: unix(7), ``SO_PEERCRED``; unix(4) of macOS, ``LOCAL_PEERCRED`` and ``struct xucred``.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final

if sys.platform == "linux":
    _UCRED: Final = struct.Struct("3i")

    def peer_of(connection: socket.socket) -> int:
        """Return the number of the user who connected. Raises: OSError."""
        _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return int(uid)

elif sys.platform == "darwin":
    _SOL_LOCAL: Final = 0
    _LOCAL_PEERCRED: Final = 1
    _XUCRED: Final = struct.Struct("IIh16I")

    def peer_of(connection: socket.socket) -> int:
        """Return the number of the user who connected. Raises: OSError."""
        _, uid, *_ = _XUCRED.unpack(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size))
        return int(uid)

else:

    def peer_of(connection: socket.socket) -> int:
        """Return the number of the user who connected. Raises: OSError: always; who uses pipes is told by the pipe."""
        raise OSError(f"Nothing is known of who is behind {connection!r}.")
