"""Named pipes of Windows: the applier's side, and the way to it. Thin: what can be decided elsewhere is.

Sources: Microsoft, *CreateNamedPipe*, *Named Pipe Security and Access Rights*, *ImpersonateNamedPipeClient* (who asks
is known once something was read), *Impersonation Levels*.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32", "there are named pipes of this kind on Windows alone"

import threading
import time
from typing import Any, Final

import pywintypes
import win32api
import win32con
import win32event
import win32file
import win32pipe
import win32security
import winerror

from shieldwall.agent.windows.identities import (
    ADMINISTRATORS_SID,
    AGENT_SERVICE,
    PIPE_RIGHTS,
    SYSTEM_SID,
    number_of,
    pipe_sddl,
    service_sid,
)

_BUFFER: Final = 1 << 16
_SQOS_IDENTIFICATION: Final = 0x00110000
"""``SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION``: the other side may learn who we are, and not act as us."""
_REJECT_REMOTE_CLIENTS: Final = 0x00000008
_FIRST_INSTANCE: Final = 0x00080000


class PipeWire:
    """One end of a pipe; implements ``PipeEnd``. Reading and writing may go on at once, from two threads."""

    def __init__(self, handle: Any, *, agent_service: str) -> None:
        self._handle = handle
        self._agent_sid = win32security.ConvertStringSidToSid(service_sid(agent_service))
        self._timeout_milliseconds = win32event.INFINITE
        self._closing = threading.Lock()
        self._is_closed = False

    def settimeout(self, seconds: float, /) -> None:
        """See ``Wire.settimeout``."""
        self._timeout_milliseconds = int(seconds * 1000)

    def sendall(self, data: bytes, /) -> None:
        """See ``Wire.sendall``. Raises: OSError."""
        view = memoryview(data)
        while view:
            overlapped = _overlapped()
            try:
                win32file.WriteFile(self._handle, bytes(view[:_BUFFER]), overlapped)
            except pywintypes.error as error:
                raise _translated(error) from error
            view = view[self._ended(overlapped) :]

    def recv(self, most: int, /) -> bytes:
        """See ``Wire.recv``; a pipe that was closed at the other end has nothing more. Raises: OSError."""
        overlapped, buffer = _overlapped(), win32file.AllocateReadBuffer(min(most, _BUFFER))
        try:
            win32file.ReadFile(self._handle, buffer, overlapped)
            count = self._ended(overlapped)
        except pywintypes.error as error:
            if error.winerror in {winerror.ERROR_BROKEN_PIPE, winerror.ERROR_PIPE_NOT_CONNECTED}:
                return b""
            raise _translated(error) from error
        except BrokenPipeError:
            return b""
        return bytes(buffer[:count])

    def close(self) -> None:
        """See ``Wire.close``."""
        with self._closing:
            if not self._is_closed:
                self._is_closed = True
                win32file.CancelIo(self._handle)
                self._handle.Close()

    def who(self) -> int:
        """See ``PipeEnd.who``. Raises: OSError."""
        try:
            win32security.ImpersonateNamedPipeClient(self._handle)
            try:
                token = win32security.OpenThreadToken(win32api.GetCurrentThread(), win32con.TOKEN_QUERY, True)
                system = win32security.ConvertStringSidToSid(SYSTEM_SID)
                administrators = win32security.ConvertStringSidToSid(ADMINISTRATORS_SID)
                user, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
                return number_of(
                    # Of an administrator who has not elevated, the group is there to deny alone, and is no membership.
                    is_administrator=user == system or bool(win32security.CheckTokenMembership(token, administrators)),
                    is_agent=user == self._agent_sid,
                )
            finally:
                win32security.RevertToSelf()
        except pywintypes.error as error:
            raise _translated(error) from error

    def owner(self) -> str:
        """Return the SID of who made the pipe. Raises: OSError."""
        try:
            descriptor = win32security.GetSecurityInfo(
                self._handle, win32security.SE_KERNEL_OBJECT, win32security.OWNER_SECURITY_INFORMATION
            )
            return win32security.ConvertSidToStringSid(descriptor.GetSecurityDescriptorOwner())
        except pywintypes.error as error:
            raise _translated(error) from error

    def _ended(self, overlapped: Any) -> int:
        """Wait for the end of a transfer and return how much was moved. Raises: OSError, TimeoutError."""
        try:
            if (
                win32event.WaitForSingleObject(overlapped.hEvent, self._timeout_milliseconds)
                != win32event.WAIT_OBJECT_0
            ):
                win32file.CancelIo(self._handle)
                raise TimeoutError("The other side of the pipe does not go on.")
            return int(win32file.GetOverlappedResult(self._handle, overlapped, True))
        except pywintypes.error as error:
            if error.winerror in {winerror.ERROR_BROKEN_PIPE, winerror.ERROR_OPERATION_ABORTED}:
                raise BrokenPipeError(0, error.strerror) from error
            raise _translated(error) from error


class NamedPipes:
    """The applier's side, for ``most`` clients at once; implements ``Pipes``.

    The first instance is refused where somebody has one of that name.
    """

    def __init__(self, name: str, *, agent_service: str, most: int) -> None:
        self._name = name
        self._agent_service = agent_service
        self._most = most
        self._is_first = True
        self._stop = win32event.CreateEvent(None, True, False, None)

    def next(self) -> PipeWire:
        """See ``Pipes.next``. Raises: OSError."""
        try:
            handle = self._instance()
            overlapped = _overlapped()
            if win32pipe.ConnectNamedPipe(handle, overlapped) != winerror.ERROR_PIPE_CONNECTED:
                events: Any = [overlapped.hEvent, self._stop]
                if win32event.WaitForMultipleObjects(events, False, win32event.INFINITE) != win32event.WAIT_OBJECT_0:
                    handle.Close()
                    raise OSError("The pipe is closed.")
        except pywintypes.error as error:
            raise _translated(error) from error
        return PipeWire(handle, agent_service=self._agent_service)

    def close(self) -> None:
        """See ``Pipes.close``."""
        win32event.SetEvent(self._stop)

    def _instance(self) -> Any:
        attributes = win32security.SECURITY_ATTRIBUTES()
        attributes.SECURITY_DESCRIPTOR = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
            pipe_sddl(self._agent_service), win32security.SDDL_REVISION_1
        )
        mode = win32pipe.PIPE_ACCESS_DUPLEX | win32con.FILE_FLAG_OVERLAPPED | (_FIRST_INSTANCE if self._is_first else 0)
        kind = win32pipe.PIPE_TYPE_BYTE | win32pipe.PIPE_READMODE_BYTE | win32pipe.PIPE_WAIT | _REJECT_REMOTE_CLIENTS
        handle = win32pipe.CreateNamedPipe(self._name, mode, kind, self._most, _BUFFER, _BUFFER, 0, attributes)
        self._is_first = False
        return handle


def dial_pipe(name: str, seconds: float) -> PipeWire:
    """Connect to a pipe, and see that SYSTEM made it: whoever else has that name answers nobody. Raises: OSError."""
    deadline = time.monotonic() + seconds
    handle: Any = None
    while handle is None:
        try:
            handle = win32file.CreateFile(
                name,
                PIPE_RIGHTS,  # generic writing asks for the right to make instances, which nobody has
                0,
                None,
                win32con.OPEN_EXISTING,
                win32con.FILE_FLAG_OVERLAPPED | _SQOS_IDENTIFICATION,
                None,
            )
        except pywintypes.error as error:
            if error.winerror != winerror.ERROR_PIPE_BUSY or time.monotonic() > deadline:
                raise _translated(error) from error
            time.sleep(0.05)
    wire = PipeWire(handle, agent_service=AGENT_SERVICE)
    if wire.owner() != SYSTEM_SID:
        wire.close()
        raise PermissionError(f"{name} was not made by the applier.")
    return wire


def _overlapped() -> Any:
    overlapped = pywintypes.OVERLAPPED()
    overlapped.hEvent = win32event.CreateEvent(None, True, False, None)
    return overlapped


def _translated(error: pywintypes.error) -> OSError:
    return OSError(0, error.strerror, None, error.winerror)
