"""What a Mac says of itself, read from what its own programs print. Pure, but for ``ask``.

Sources: the manual pages sw_vers(1), sysctl(8), ioreg(8). ``IOPlatformUUID`` of ``IOPlatformExpertDevice`` is the id of
the hardware that System Information shows; ``kern.bootsessionuuid`` is drawn at each boot; ``hw.optional.arm64`` is 1
on Apple silicon, also for a program that runs translated and is told ``x86_64`` by uname(3).
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Mapping
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host

SW_VERS: Final = ("sw_vers",)
SYSCTL: Final = ("sysctl", "hw.model", "hw.optional.arm64", "kern.bootsessionuuid", "kern.hostname")
IOREG: Final = ("ioreg", "-rd1", "-c", "IOPlatformExpertDevice", "-a")
ENROLLMENT: Final = ("profiles", "status", "-type", "enrollment")

_LINE: Final = re.compile(r"^([^:=]+?)\s*[:=]\s*(.*?)\s*$", re.MULTILINE)
_TIMEOUT_SECONDS: Final = 15.0


def ask(host: Host, command: tuple[str, ...]) -> bytes:
    """Run one of the system's programs; empty where it is not there or fails without a word.

    What it printed counts even when it ended with an error: sysctl(8) does so for one name of several that it does not
    know.
    """
    program = host.find_program(command[0])
    if program is None:
        return b""
    try:
        return host.run([program, *command[1:]], timeout_seconds=_TIMEOUT_SECONDS).stdout
    except HostError:
        return b""


def pairs(output: bytes) -> Mapping[str, str]:
    """Read lines of a name, a colon or an equals sign, and a value."""
    return dict(_LINE.findall(output.decode("utf-8", errors="replace").replace("\0", "")))


def platform_uuid(output: bytes) -> str:
    """Read the id of the hardware from what ``ioreg -a`` prints; empty where it is not among it."""
    try:
        found = plistlib.loads(output)
    except Exception:  # noqa: BLE001 - the parser raises a dozen kinds; a fact is not worth failing for
        return ""
    nodes = found if isinstance(found, list) else [found]
    ids = (node.get("IOPlatformUUID") for node in nodes if isinstance(node, dict))
    return next((each.strip().lower() for each in ids if isinstance(each, str)), "")


def version(text: str) -> tuple[int, ...]:
    """Read a version of macOS; empty when it is none."""
    parts = text.split(".")
    return tuple(map(int, parts)) if text and all(part.isascii() and part.isdigit() for part in parts) else ()
