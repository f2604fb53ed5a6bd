"""The way to a TPM: the kernel's resource-managed device, or a Unix socket in its place (an emulator).

One command goes in, one answer comes out. The resource manager keeps what one opening loaded apart from everybody else
and forgets it when it is closed.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from shieldwall.agent.host.errors import HostError

TPM_DEVICE: Final = PurePosixPath("/dev/tpmrm0")
LARGEST_ANSWER: Final = 4096
_HEADER_BYTES: Final = 10
_TIMEOUT_SECONDS: Final = 120.0
"""An RSA key takes a slow TPM most of a minute."""


class TpmError(HostError):
    """The TPM is not there, or refuses."""

    code = "tpmFailed"
    remedy = "See whether the TPM is switched on in the firmware, and what the kernel's log says of it."


class TpmChannel(Protocol):
    """A TPM that takes commands."""

    def exchange(self, command: bytes) -> bytes:
        """Send a command and return its whole answer. Raises: TpmError."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class DeviceChannel:
    """The character device of the kernel."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise TpmError(f"{path} cannot be opened: {error.strerror}.") from error

    def exchange(self, command: bytes) -> bytes:
        """See ``TpmChannel.exchange``; the kernel bounds how long a command may take."""
        try:
            os.write(self._descriptor, command)
            return os.read(self._descriptor, LARGEST_ANSWER)
        except OSError as error:
            raise TpmError(f"The TPM does not answer: {error.strerror}.") from error

    def close(self) -> None:
        """See ``TpmChannel.close``."""
        os.close(self._descriptor)


class SocketChannel:
    """A Unix socket that takes commands and gives answers back to back."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_TIMEOUT_SECONDS)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise TpmError(f"{path} cannot be opened: {error.strerror or error}.") from error

    def exchange(self, command: bytes) -> bytes:
        """See ``TpmChannel.exchange``."""
        try:
            self._socket.sendall(command)
            header = self._read(_HEADER_BYTES)
            size = int.from_bytes(header[2:6], "big")
            if not _HEADER_BYTES <= size <= LARGEST_ANSWER:
                raise TpmError("The TPM's answer has a senseless length.")
            return header + self._read(size - _HEADER_BYTES)
        except OSError as error:
            raise TpmError(f"The TPM does not answer: {error.strerror or error}.") from error

    def close(self) -> None:
        """See ``TpmChannel.close``."""
        self._socket.close()

    def _read(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            part = self._socket.recv(count - len(received))
            if not part:
                raise TpmError("The TPM closed the connection within an answer.")
            received += part
        return received


def has_tpm(path: Path) -> bool:
    """Tell whether something that may be a TPM is in this place."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def open_channel(path: Path) -> TpmChannel:
    """Open the TPM in this place. Raises: TpmError."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise TpmError(f"There is no TPM at {path}: {error.strerror}.") from error
    if stat.S_ISSOCK(mode):
        return SocketChannel(path)
    if stat.S_ISCHR(mode):
        return DeviceChannel(path)
    raise TpmError(f"{path} is no TPM.")
