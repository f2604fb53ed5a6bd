"""The agent as Windows and macOS would import it: without what only Linux, or only POSIX, has."""

from __future__ import annotations

import subprocess
import sys

import pytest

WINDOWS = (
    "shieldwall.cli.shieldwall_agent",
    "shieldwall.agent.main",
    "shieldwall.agent.applier.assembly",
    "shieldwall.agent.windows.applying",
    "shieldwall.agent.windows.working",
    "shieldwall.agent.windows.pipes_edge",
    "shieldwall.agent.windows.cng_edge",
    "shieldwall.agent.windows.system_edge",
    "shieldwall.agent.windows.service_edge",
    "shieldwall.agent.providers.windows_defender.provider",
)
MACOS = (
    "shieldwall.cli.shieldwall_agent",
    "shieldwall.agent.main",
    "shieldwall.agent.applier.assembly",
    "shieldwall.agent.macos.applying",
    "shieldwall.agent.macos.working",
    "shieldwall.agent.providers.macos.provider",
)
LINUX_ONLY = (
    "shieldwall.agent.applier_main",
    "shieldwall.agent.broker",
    "shieldwall.agent.edr.netlink",
    "shieldwall.agent.edr.watching",
    "shieldwall.agent.sentry",
    "shieldwall.agent.firewall_log",
    "shieldwall.agent.providers.nftables",
    "shieldwall.agent.providers.clamav",
    "shieldwall.agent.providers.hardening",
    "shieldwall.agent.providers.audit",
)

_PROGRAM = r"""
import importlib, os, signal, socket, sys, time, types

# What the standard library takes from POSIX by itself is there before; ours comes after, and finds nothing of it.
import asyncio, cryptography, http.client, msgspec, pathlib, rich.console, rich.table, selectors, shutil, ssl
import subprocess, tempfile, threading, typer, typer.testing, urllib.request, zipfile
from cryptography.hazmat.primitives.asymmetric import ec

platform, forbidden, modules = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]


class Absent:
    def find_spec(self, name, path=None, target=None):
        posix = {"fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "posix"}
        if name in posix and platform == "win32":
            raise ModuleNotFoundError(f"Windows has no {name}", name=name)
        if any(name == each or name.startswith(each + ".") for each in forbidden):
            raise ModuleNotFoundError(f"{name} is for Linux alone", name=name)


class Whatever(types.ModuleType):
    '''A module of pywin32: it has every constant as a number, and every function and class as something to inherit.'''

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {}) if name == "error" else 1 if name.isupper() else type(name, (), {})


if platform == "win32":
    for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog"):
        sys.modules.pop(name, None)
    for name in (
        "msvcrt", "winreg", "pywintypes", "win32api", "win32con", "win32crypt", "win32event", "win32evtlog",
        "win32evtlogutil", "win32file", "win32pipe", "win32security", "win32service", "win32serviceutil", "winerror",
        "servicemanager",
    ):
        sys.modules[name] = Whatever(name)
    for name in ("geteuid", "getegid", "getuid", "uname", "fchown", "fchmod", "chown", "pread", "pwrite", "setgroups",
                 "getgrouplist", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "killpg", "pipe2", "statvfs"):
        delattr(os, name)
    for name in ("SIGUSR1", "SIGKILL", "SIGHUP"):
        delattr(signal, name)
    for name in ("CLOCK_BOOTTIME", "clock_gettime"):
        delattr(time, name)
    del socket.AF_UNIX
    os.O_NOINHERIT, os.O_BINARY, signal.SIGBREAK = 128, 32768, 21
    subprocess.CREATE_NO_WINDOW, subprocess.CREATE_NEW_PROCESS_GROUP = 1, 2
    import ctypes
    ctypes.WinDLL = lambda name: types.SimpleNamespace(name=name)
    ctypes.windll = types.SimpleNamespace()
else:
    del time.CLOCK_BOOTTIME
sys.platform = platform
sys.meta_path.insert(0, Absent())
for module in modules:
    importlib.import_module(module)
print("imported", len(modules))
"""


@pytest.mark.parametrize(("platform", "modules"), [("win32", WINDOWS), ("darwin", MACOS)])
def test_nothing_is_imported_that_the_platform_does_not_have(platform: str, modules: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _PROGRAM, platform, ",".join(LINUX_ONLY), *modules],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == f"imported {len(modules)}"


def test_the_test_notices_what_is_for_linux_alone() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            _PROGRAM,
            "win32",
            ",".join(LINUX_ONLY),
            "shieldwall.agent.sandbox",
            LINUX_ONLY[0],
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode != 0
    assert "for Linux alone" in done.stderr
