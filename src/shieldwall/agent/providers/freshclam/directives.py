"""From settings to directives of ``freshclam.conf`` and back. Pure.

The block begins with one comment for each setting, as JSON after ``#=``; the directives that they make together follow.
Reading back computes the file anew from the comments and takes them only when that gives the same bytes.

*An own mirror* is a directory of the vendor's databases, on a web server or in the file system: ``PrivateMirror``. One
single file of signatures is ``DatabaseCustomURL``. Either way what others wrote about where databases come from is
turned off, or an offline device would go on asking the vendor. *Falling back to the cloud* names the vendor's servers
as further mirrors, which freshclam asks in turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field

from shieldwall.agent.providers import marked_block
from shieldwall.contract.status import ItemStatus, SettingState

AUTOMATIC: Final = "cloudService.automaticDefinitionUpdateEnabled"
INTERVAL: Final = "cloudService.definitionUpdatesInterval"
OFFLINE: Final = "antivirusEngine.offlineDefinitionUpdate"
OFFLINE_URL: Final = "antivirusEngine.offlineDefinitionUpdateUrl"
FALLBACK: Final = "antivirusEngine.offlineDefinitionUpdateFallbackToCloud"
SUPPORTED: Final = (AUTOMATIC, INTERVAL, OFFLINE, OFFLINE_URL, FALLBACK)
"""Where the settings land that freshclam can carry out."""

DEFAULT_SECONDS: Final = 28_800
SHORTEST_SECONDS: Final = 60
"""Defender's own reference asks for at least this; shorter intervals count as this."""

FILE: Final = marked_block.MarkedFile(name="freshclam.conf")
_SOURCES: Final = ("DatabaseMirror", "PrivateMirror", "DatabaseCustomURL")
_OFFICIAL: Final = ("main", "daily", "bytecode")
_VENDOR: Final = "database.clamav.net"
_URL: Final = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:]+(?:/[A-Za-z0-9._~%!$&'()*+,;=:@/\-]*)?\Z")
_PATH: Final = re.compile(r"(?:file://)?(/[A-Za-z0-9._~%!$&()+,;=:@/\-]*)\Z")
_SINGLE: Final = re.compile(r"\.(?:cvd|cld|cud|hdb|hsb|ldb|mdb|msb|ndb|fp|sfp|ign2|yara?|cdb|crb|idb|pdb|wdb)\Z")
_MARK: Final = "#="


class Plan(Struct, frozen=True, kw_only=True):
    """The lines of our block, the directives of others that no longer count, and the settings that are refused."""

    lines: tuple[bytes, ...] = ()
    turn_off: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    rejected: Mapping[str, ItemStatus] = field(default_factory=dict)


def plan(values: Mapping[str, Any], foreign: bytes) -> Plan:
    """Compute the block for ``values`` on top of a file that others wrote."""
    rejected = _rejected(values)
    done = {where: values[where] for where in sorted(values) if where not in rejected}
    comments = [f"{_MARK} {where} {json.dumps(value)}".encode() for where, value in done.items()]
    lines: list[str] = []
    turn_off: tuple[str, ...] = ()
    if done.get(OFFLINE) == "enabled":
        lines, turn_off = _sources(done[OFFLINE_URL], foreign, fall_back=done.get(FALLBACK) is True)
    return Plan(
        lines=(*comments, *(line.encode() for line in lines)), turn_off=turn_off, values=done, rejected=rejected
    )


def content(planned: Plan, foreign: bytes) -> bytes:
    """Return the file with the block of a plan. Raises: ProviderError."""
    return FILE.with_block(foreign, planned.lines, turn_off=planned.turn_off)


def read(lines: Sequence[bytes]) -> Mapping[str, Any]:
    """Return the values that the comments of a block name."""
    values: dict[str, Any] = {}
    for line in lines:
        mark, _, rest = line.decode("utf-8", "replace").partition(" ")
        where, _, written = rest.partition(" ")
        if mark == _MARK and where in SUPPORTED:
            try:
                values[where] = json.loads(written)
            except ValueError:
                return {}
    return values


def governs(values: Mapping[str, Any]) -> bool:
    """Say whether definitions are fetched at the times that policies say, rather than by freshclam's own daemon."""
    if AUTOMATIC in values:
        return values[AUTOMATIC] is True
    return INTERVAL in values or values.get(OFFLINE) == "enabled"


def is_off(values: Mapping[str, Any]) -> bool:
    """Say whether nothing may fetch definitions by itself."""
    return values.get(AUTOMATIC) is False


def seconds(values: Mapping[str, Any]) -> int:
    """Return the time between two looks for definitions."""
    return max(SHORTEST_SECONDS, int(values.get(INTERVAL, DEFAULT_SECONDS)))


def local(foreign: bytes) -> Mapping[str, Any]:
    """Return what a file of others says of the same settings."""
    found: dict[str, Any] = {}
    mirrors = marked_block.arguments(foreign, "PrivateMirror")
    if mirrors:
        found[OFFLINE], found[OFFLINE_URL] = "enabled", mirrors[0]
    elif marked_block.arguments(foreign, "DatabaseMirror"):
        found[OFFLINE] = "disabled"
    checks = marked_block.arguments(foreign, "Checks")
    if checks and checks[0].isdigit() and 0 < int(checks[0]) <= 50:
        found[INTERVAL] = 86_400 // int(checks[0])
    return found


def _rejected(values: Mapping[str, Any]) -> dict[str, ItemStatus]:
    rejected: dict[str, ItemStatus] = {}
    url = values.get(OFFLINE_URL)
    if url is not None and _mirror(url) is None:
        reason = "A mirror is http(s)://host/path, or an absolute path of a directory or of one file of signatures."
        rejected[OFFLINE_URL] = _refused(str(url), "invalidMirror", reason)
    if values.get(OFFLINE) == "enabled" and (url is None or OFFLINE_URL in rejected):
        reason = "No usable mirror is named (URL for offline definition updates)."
        rejected[OFFLINE] = _refused("enabled", "noMirror", reason)
    return rejected


def _refused(item: str, code: str, reason: str) -> ItemStatus:
    return ItemStatus(item=item[:1024], state=SettingState.ERROR, code=code, reason=reason)


def _mirror(url: str) -> str | None:
    """Return a mirror's address as curl takes it, ``None`` when it is none."""
    path = _PATH.match(url)
    found = f"file://{path[1]}" if path is not None else url if _URL.match(url) else None
    return found if found is not None and len(found) <= marked_block.MAXIMUM_LINE_BYTES - 100 else None


def _sources(url: str, foreign: bytes, *, fall_back: bool) -> tuple[list[str], tuple[str, ...]]:
    mirror = (_mirror(url) or "").rstrip("/")
    if _SINGLE.search(mirror):
        if fall_back:
            return [f"DatabaseCustomURL {mirror}"], ()
        official = [f"ExcludeDatabase {name}" for name in _OFFICIAL]
        # freshclam does not start without a mirror of the vendor's databases, even where none of them is wanted.
        return [f"DatabaseCustomURL {mirror}", f"PrivateMirror {mirror.rpartition('/')[0]}", *official], _SOURCES
    vendors = _vendors(foreign) if fall_back else ()
    return [f"PrivateMirror {mirror}", *(f"PrivateMirror {each}" for each in vendors)], _SOURCES


def _vendors(foreign: bytes) -> tuple[str, ...]:
    """Return the servers that the file of others asks, as addresses; the vendor's, where it names none."""
    named = marked_block.arguments(foreign, "DatabaseMirror") or (_VENDOR,)
    addresses = (each if "://" in each else f"https://{each}" for each in named)
    return tuple(dict.fromkeys(each for each in addresses if _URL.match(each)))
