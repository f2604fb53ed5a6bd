"""Asking a running clamd whether a setting is in effect."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from shieldwall.agent.host.in_time import HungError, in_time
from shieldwall.agent.providers.base import Observation
from shieldwall.agent.providers.clamav import canary, client, landings

_THREADS: Final = re.compile(r"^THREADS:.*\bmax (\d+)", re.MULTILINE)
_LOOK_SECONDS: Final = 2.0
_UNPROVABLE: Final = "clamd does not show this setting."


def engine(address: Path | None, *, has_canary: bool) -> Observation:
    """Say whether the engine runs and finds what it must find."""
    if address is None:
        return Observation(effective=False, code="engineNotRunning", reason="No clamd runs with this configuration.")
    try:
        if client.ask(address, "PING") != "PONG":
            return Observation(effective=False, code="engineNotRunning", reason="clamd does not answer as clamd does.")
        if not has_canary:
            return Observation(effective=None, code="noCanary", reason="Our signatures cannot be among clamd's own.")
        if not _finds(address, canary.marker(), canary.NAME):
            reason = "clamd answers, yet does not find Shieldwall's harmless marker."
            return Observation(effective=False, code="engineBlind", reason=reason)
    except OSError as error:
        return Observation(effective=False, code="engineNotRunning", reason=f"clamd cannot be asked: {error}"[:512])
    return Observation(effective=True)


def setting(address: Path, landing: str, value: Any) -> Observation:
    """Say whether one setting is in effect in an engine that sees."""
    probe = _PROBES.get(landing)
    if probe is None:
        return Observation(effective=None, code="notProvable", reason=_UNPROVABLE)
    try:
        return probe(address, value)
    except OSError as error:
        return Observation(effective=False, code="engineNotRunning", reason=f"clamd cannot be asked: {error}"[:512])


def _archives(address: Path, value: Any) -> Observation:
    found = _finds(address, canary.marker_in_archive(), canary.NAME)
    return _judged(found is value, f"clamd {'finds' if found else 'does not find'} the marker inside an archive.")


def _threads(address: Path, value: Any) -> Observation:
    shown = _THREADS.search(client.ask(address, "STATS"))
    if shown is None:
        return Observation(effective=None, code="notShown", reason="clamd does not say how many threads it uses.")
    return _judged(int(shown[1]) == value, f"clamd uses up to {shown[1]} threads.")


def _exclusions(address: Path, value: Any) -> Observation:
    """Ask clamd to scan each thing that is excluded by its plain path: it then says that it is."""
    shown = 0
    for path in (str(item.get("path", "")) for item in value):
        if not _is_plain(path) or not _is_there(path):
            continue
        try:
            answer = client.ask(address, f"SCAN {path}")
        except TimeoutError:
            break  # it scans a large directory; asking on would keep it, and whoever waits for us, busy for hours
        if answer.endswith((": OK", " FOUND")):
            return _judged(False, f"clamd scans {path[:256]}, which is excluded.")
        shown += answer.endswith(": Excluded")
    if shown == len(value) > 0:
        return Observation(effective=True)
    reason = f"clamd itself says so of {shown} of {len(value)}; the others name no single thing that exists."
    return Observation(effective=None, code="notProvable", reason=reason)


def _is_there(path: str) -> bool:
    """Say whether something is there, and that in time: what users leave out may be mounts of their own."""
    try:
        return in_time(f"The exclusion {path}", lambda: os.path.lexists(path), seconds=_LOOK_SECONDS)
    except HungError:
        return False


def _is_plain(path: str) -> bool:
    return path.startswith("/") and not path.endswith("/") and not set("*?\n\0") & set(path)


def _threat_types(address: Path, value: Any) -> Observation:
    for key, found, what in (
        (landings.PUA, _finds_unwanted, "the marker of a potentially unwanted application"),
        (landings.ARCHIVE_BOMB, _finds_bomb, "an archive with too many in one another"),
    ):
        asked = [item["value"] != "off" for item in value if item["key"] == key]
        if asked and (seen := found(address)) is not any(asked):
            return _judged(False, f"clamd {'finds' if seen else 'does not find'} {what}.")
    return Observation(effective=True)


def _finds_unwanted(address: Path) -> bool:
    return _finds(address, canary.pua_marker(), canary.PUA_NAME)


def _finds_bomb(address: Path) -> bool:
    return _finds(address, canary.deep_archive(), "Heuristics.Limits.Exceeded")


def _judged(right: bool, seen: str) -> Observation:
    return Observation(effective=True) if right else Observation(effective=False, code="notInEffect", reason=seen)


def _finds(address: Path, content: bytes, name: str) -> bool:
    answer = client.ask(address, "INSTREAM", content)
    return answer.endswith("FOUND") and name in answer


_PROBES: Final[Mapping[str, Callable[[Path, Any], Observation]]] = MappingProxyType(
    {
        landings.SCAN_ARCHIVES: _archives,
        landings.THREADS: _threads,
        landings.THREAT_TYPES: _threat_types,
        landings.EXCLUSIONS: _exclusions,
        landings.GLOBAL_EXCLUSIONS: _exclusions,
    }
)
