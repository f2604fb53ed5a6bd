"""What else Windows is asked: to seal by DPAPI, to write into its event log, to wait for a word, to note a boot.

Sources: Microsoft, *CryptProtectData* (the key belongs to the account, and to this machine), *ReportEvent*,
*RegCreateKeyEx* (``REG_OPTION_VOLATILE``: a restart forgets the key), *CreateEvent*.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32", "this is Windows alone"

import os
import threading
from collections.abc import Callable
from typing import Any, Final

import pywintypes
import win32api
import win32con
import win32crypt
import win32event
import win32evtlog
import win32evtlogutil
import win32security

from shieldwall.agent.host.telling import event_name
from shieldwall.agent.windows.identities import directory_sddl
from shieldwall.agent.windows.vault import CngError

SOURCE: Final = "Shieldwall"
_ENTROPY: Final = b"shieldwall device key"
_UI_FORBIDDEN: Final = 0x1
_MACHINE: Final[Any] = win32con.HKEY_LOCAL_MACHINE
_VOLATILE: Final = 1
_BOOT_KEY: Final = r"SOFTWARE\Shieldwall\Boot"


class Dpapi:
    """Implements ``Seal`` for the account of this process."""

    def seal(self, content: bytes) -> bytes:
        """See ``Seal.seal``. Raises: CngError."""
        try:
            return bytes(win32crypt.CryptProtectData(content, None, _ENTROPY, None, None, _UI_FORBIDDEN))
        except pywintypes.error as error:
            raise CngError("DPAPI does not seal", status=error.winerror & 0xFFFFFFFF) from error

    def open(self, sealed: bytes) -> bytes:
        """See ``Seal.open``. Raises: CngError."""
        try:
            _, content = win32crypt.CryptUnprotectData(sealed, _ENTROPY, None, None, _UI_FORBIDDEN)
        except pywintypes.error as error:
            raise CngError("DPAPI does not open the key", status=error.winerror & 0xFFFFFFFF) from error
        return bytes(content)


class EventLog:
    """The application log, as a text file to write lines to; implements what ``Journal`` needs of one."""

    def write(self, line: str) -> int:
        """Write one event; a log that is full or shut is no reason to stop."""
        is_trouble = '"code":' in line
        kind = win32evtlog.EVENTLOG_WARNING_TYPE if is_trouble else win32evtlog.EVENTLOG_INFORMATION_TYPE
        try:
            win32evtlogutil.ReportEvent(SOURCE, 1, eventType=kind, strings=[line.rstrip()])
        except pywintypes.error:
            return 0
        return len(line)

    def flush(self) -> None:
        """Nothing waits here."""


def note_boot(randomness: Callable[[int], bytes]) -> None:
    """Give this boot an id where it has none; a restart forgets it. Raises: OSError."""
    try:
        key, _ = win32api.RegCreateKeyEx(
            _MACHINE,
            _BOOT_KEY,
            win32con.KEY_READ | win32con.KEY_WRITE | win32con.KEY_WOW64_64KEY,
            None,
            _VOLATILE,
        )
        with_id = any(win32api.RegEnumValue(key, 0)) if win32api.RegQueryInfoKey(key)[1] else False
        if not with_id:
            win32api.RegSetValueEx(key, "Id", 0, win32con.REG_SZ, randomness(16).hex())
    except pywintypes.error as error:
        raise OSError(0, error.strerror, _BOOT_KEY, error.winerror) from error


def listen(word: int, hear: Callable[[], None]) -> None:
    """Call ``hear`` whenever somebody says this word to this process (``host/telling.py``). Raises: OSError."""
    attributes = win32security.SECURITY_ATTRIBUTES()
    # Administrators and SYSTEM may say it, and whoever this is.
    attributes.SECURITY_DESCRIPTOR = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
        "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;OW)", win32security.SDDL_REVISION_1
    )
    try:
        event = win32event.CreateEvent(attributes, False, False, event_name(os.getpid(), word))
    except pywintypes.error as error:
        raise OSError(0, error.strerror, None, error.winerror) from error

    def wait() -> None:
        while win32event.WaitForSingleObject(event, win32event.INFINITE) == win32event.WAIT_OBJECT_0:
            hear()

    threading.Thread(target=wait, name="words", daemon=True).start()


def shut(directory: str, *, agent_may: str = "") -> None:
    """Let nobody but SYSTEM, administrators and, as far as is said, the agent use a directory. Raises: OSError."""
    descriptor = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
        directory_sddl(agent_may=agent_may), win32security.SDDL_REVISION_1
    )
    what = (
        win32security.OWNER_SECURITY_INFORMATION
        | win32security.DACL_SECURITY_INFORMATION
        | win32security.PROTECTED_DACL_SECURITY_INFORMATION
    )
    try:
        win32security.SetNamedSecurityInfo(
            directory,
            win32security.SE_FILE_OBJECT,
            what,
            descriptor.GetSecurityDescriptorOwner(),
            None,
            descriptor.GetSecurityDescriptorDacl(),
            None,
        )
    except pywintypes.error as error:
        raise OSError(0, error.strerror, directory, error.winerror) from error
