"""What every program may ask the system that it runs on: its processor, how long it has run, who we are."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

ADMINISTRATOR: Final = 0
"""The number of whoever may do everything: root, and on Windows SYSTEM and elevated administrators."""

if sys.platform == "win32":
    import ctypes
    import winreg

    _BOOT_KEY: Final = r"SOFTWARE\Shieldwall\Boot"
    _BOOT_VALUE: Final = "Id"
    SOMEBODY: Final = 1
    """Whoever is no administrator; users of Windows have no numbers, and none is needed."""

    def processor() -> str:
        """Name the processor's architecture as the system does: ``AMD64``, ``ARM64``."""
        # The first is there for a program of 32 bits on a system of 64 (Microsoft, *WOW64 Implementation Details*).
        return os.environ.get("PROCESSOR_ARCHITEW6432") or os.environ.get("PROCESSOR_ARCHITECTURE") or ""

    def seconds_since_boot() -> float:
        """Return the seconds since the boot, sleep included (Microsoft, *GetTickCount64*)."""
        count = ctypes.windll.kernel32.GetTickCount64
        count.restype = ctypes.c_ulonglong
        return float(count()) / 1000

    def boot_id() -> str:
        """Name this boot, by what the applier notes where a restart forgets it; empty before it has."""
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _BOOT_KEY) as key:
                value, _ = winreg.QueryValueEx(key, _BOOT_VALUE)
        except OSError:
            return ""
        return value if isinstance(value, str) else ""

    def own_user() -> int:
        """Return ``ADMINISTRATOR``, or another number for whoever is none."""
        return ADMINISTRATOR if ctypes.windll.shell32.IsUserAnAdmin() else SOMEBODY

else:
    _BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
    if sys.platform == "darwin":
        import ctypes

        _CLOCK: Final = time.CLOCK_MONOTONIC  # counts sleep there, and there is no other (clock_gettime(3) of macOS)
        _BOOT_SESSION: Final = b"kern.bootsessionuuid"
        _LONGEST: Final = 64

        def boot_id() -> str:
            """Name this boot by the id that the kernel draws for it (sysctlbyname(3)), empty where it tells none."""
            length, said = ctypes.c_size_t(_LONGEST), ctypes.create_string_buffer(_LONGEST)
            failed = ctypes.CDLL(None).sysctlbyname(_BOOT_SESSION, said, ctypes.byref(length), None, 0)
            return "" if failed else said.value.decode("ascii", errors="replace")
    else:
        _CLOCK: Final = time.CLOCK_BOOTTIME

        def boot_id() -> str:
            """Name this boot, empty where nothing tells."""
            try:
                return _BOOT_ID.read_text(encoding="ascii").strip()
            except (OSError, ValueError):
                return ""

    def processor() -> str:
        """Name the processor's architecture as the system does: ``x86_64``, ``aarch64``, ``arm64``."""
        return os.uname().machine

    def seconds_since_boot() -> float:
        """Return the seconds since the boot, sleep included."""
        return time.clock_gettime(_CLOCK)

    def own_user() -> int:
        """Return the number of the user as whom this process acts."""
        return os.geteuid()
