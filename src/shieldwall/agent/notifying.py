"""What a service says to systemd (sd_notify(3)) and gets from it (sd_listen_fds(3)); without it, nothing happens."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

_FIRST_PASSED: Final = 3


class Manager(Struct, frozen=True, kw_only=True):
    """The service manager that started this process, if one did."""

    address: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Manager:
        """Find it by what it left in the environment."""
        return cls(address=environment.get("NOTIFY_SOCKET", ""))

    def tell(self, state: str) -> None:
        """Tell it a state such as ``READY=1``. That nobody listens is no error."""
        if not self.address.startswith(("/", "@")):
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notice:
                notice.connect(address)
                notice.send(state.encode())
        except OSError:
            return


def passed_listener(environment: Mapping[str, str], process: int) -> socket.socket | None:
    """Return the socket that the manager listens on for us, ``None`` where it does not."""
    if environment.get("LISTEN_PID") != str(process) or environment.get("LISTEN_FDS") != "1":
        return None
    os.set_inheritable(_FIRST_PASSED, False)
    return socket.socket(fileno=_FIRST_PASSED)
