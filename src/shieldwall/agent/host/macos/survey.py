"""Who else manages a Mac, and whether it can be managed at all.

The signs of all systems (``host.survey``) count here as well: the preferences of Defender that an MDM brought, the
places of Jamf and others, the file of Microsoft's channel. Two things are of macOS alone. That last file is also ours,
so it counts where it lacks our mark. And a Mac knows by itself whether an MDM manages it: ``profiles status -type
enrollment`` prints ``MDM enrollment: Yes`` and the server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from msgspec.structs import replace

from shieldwall.agent.host import survey as everywhere
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.macos import system
from shieldwall.agent.host.macos.preferences import ATTACHED, is_ours
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.suitability import Sign
from shieldwall.agent.host.survey import SOME_MDM, Finding, Seen, Survey

OLDEST: Final = (11,)
"""The oldest macOS on which Defender has tamper protection and settings (Microsoft, *Protect macOS … settings*)."""
PROFILES: Final = PurePosixPath("/usr/bin/profiles")

_SERVERS: Final = (
    ("manage.microsoft.com", "Intune"),
    ("jamfcloud.com", "Jamf"),
    ("kandji.io", "Kandji"),
    ("awmdm.com", "Workspace ONE"),
    ("mosyle.com", "Mosyle"),
    ("simplemdm.com", "SimpleMDM"),
    ("addigy.com", "Addigy"),
)
"""MDMs by the ends of their servers' names."""
_YES: Final = "yes"
_HOST: Final = re.compile(r"[a-z]+://(?:[^/@]*@)?([^/:?#]+)", re.IGNORECASE)
"""The name of the server in an address; nothing here may know more of networks than that."""


def look(host: Host, *, architecture: str) -> Seen:
    """Look at the machine as everywhere, but for a file of our own in the place of Microsoft's channel."""
    seen = everywhere.look(host, architecture=architecture)
    return replace(seen, present=seen.present - {ATTACHED}) if _is_our_file(host) else seen


def survey(seen: Seen, *, enrollment: bytes, os_version: str) -> Survey:
    """Judge by what was seen, by what ``profiles`` printed, and by the version of macOS. Pure."""
    found = everywhere.survey(seen)
    managed_by = mdm(system.pairs(enrollment))
    managers = found.managers
    if managed_by is not None:
        named = (replace(each, product=managed_by) if each.product == SOME_MDM else each for each in managers)
        managers = tuple(named)
        if managed_by not in {each.product for each in managers}:
            managers = (*managers, Finding(product=managed_by, evidence=PROFILES, kind="mdm"))
    return replace(found, managers=managers, unsuitable_sign=found.unsuitable_sign or too_old(os_version))


def mdm(enrollment: Mapping[str, str]) -> str | None:
    """Name the MDM in which a Mac is enrolled; ``None`` where it is in none."""
    if not enrollment.get("MDM enrollment", "").lower().startswith(_YES):
        return None
    server = _HOST.match(enrollment.get("MDM server", ""))
    name = "" if server is None else server[1].lower()
    known = next((product for end, product in _SERVERS if name == end or name.endswith(f".{end}")), None)
    return known or (f"An MDM ({name})"[:256] if name else "An MDM")


def too_old(os_version: str) -> Sign | None:
    """Say that a macOS is older than the oldest that is supported; one that tells no version is not refused."""
    found = system.version(os_version)
    if not found or found >= OLDEST:
        return None
    return Sign(
        kind="unsupportedOs",
        finding="The operating system is older than the oldest that is supported.",
        evidence=f"macOS {os_version}, the oldest is {'.'.join(map(str, OLDEST))}",
    )


def _is_our_file(host: Host) -> bool:
    try:
        content = host.read_file(ATTACHED)
    except HostError:
        return False
    return content is not None and is_ours(content)
