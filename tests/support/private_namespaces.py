"""Run a function of a test in a process with mounts, and if asked a network, of its own: nothing is seen outside."""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from shieldwall.agent.host.local import LocalHost

_NEW_MOUNTS = 0x0002_0000
_NEW_NETWORK = 0x4000_0000
_PROGRAMS = (Path("/usr/bin"), Path("/usr/sbin"))


def privately(function: Callable[[], None], *, network: bool = False) -> None:
    """Run ``function`` in namespaces of its own; what it asserts, this asserts."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        said = _run(function, network=network)
        os.write(writing, said.encode()[:60_000])
        sys.stdout.flush()
        os._exit(1 if said else 0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:  # noqa: PTH123 - an open descriptor
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, said


def private_root(directory: Path) -> LocalHost:
    """Make a root on a file system of its own, with the real kernel's values; only inside ``privately``."""
    mount("-t", "tmpfs", "-o", "mode=755", "root", str(directory))
    for name in ("proc", "tmp", "var/tmp", "dev/shm", "home", "run", "etc", "media"):
        (directory / name).mkdir(parents=True)
    mount("--rbind", "/proc", str(directory / "proc"))
    return LocalHost(directory, program_directories=_PROGRAMS)


def mount(*words: str) -> None:
    completed = subprocess.run(["/usr/bin/mount", *words], capture_output=True, check=False)
    assert completed.returncode == 0, completed.stderr.decode()


def execution(directory: Path) -> int:
    """Put a program into a directory and let a shell run it: 0, or 126 where that is not allowed."""
    program = directory / "canary"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    return subprocess.run(["/bin/sh", "-c", shlex.quote(str(program))], capture_output=True, check=False).returncode


def _run(function: Callable[[], None], *, network: bool) -> str:
    try:
        flags = _NEW_MOUNTS | (_NEW_NETWORK if network else 0)
        if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
            return f"unshare failed: {os.strerror(ctypes.get_errno())}"
        mount("--make-rprivate", "/")
        function()
    except BaseException:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        return traceback.format_exc()
    return ""
