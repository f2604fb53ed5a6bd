"""From settings to directives of ``clamd.conf`` and back. Pure.

Before each directive stands a comment with the setting it comes from, as JSON: a value after ``#=``, an item of a list
after ``#+``. Reading back takes the comments, computes the lines they stand for and accepts the block only when it
holds exactly those: a line changed by hand is not taken for what the comment says. Settings of the look at opens have
a comment and no line; what they mean stands in files of their own (``onaccess``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from msgspec import Struct, field

from shieldwall.agent.providers.clamav import configuration, exclusions, levels
from shieldwall.agent.providers.clamav.landings import (
    ADMIN_ONLY,
    ARCHIVE_BOMB,
    EXCLUSIONS,
    EXCLUSIONS_MERGE,
    GLOBAL_EXCLUSIONS,
    HASHES,
    NONEXEC,
    PUA,
    SCAN_ARCHIVES,
    THREADS,
    THREAT_TYPES,
    THREAT_TYPES_MERGE,
    UNMONITORED,
)
from shieldwall.agent.providers.landing import exclusion_name
from shieldwall.contract.status import ItemStatus, SettingState

Values: TypeAlias = Mapping[str, Any]
"""Typed JSON of settings by where they land, such as ``antivirusEngine.scanArchives``."""

_SCALARS: Final[Mapping[str, Callable[[Any], list[str]]]] = MappingProxyType(
    {
        SCAN_ARCHIVES: lambda value: [f"ScanArchive {_switch(value)}"],
        THREADS: lambda value: [f"MaxThreads {value}"],
        EXCLUSIONS_MERGE: lambda _: [],  # has no line of its own: it is about the lines of others
        **dict.fromkeys((*levels.LANDINGS, NONEXEC, HASHES), lambda _: []),
    }
)
_BOMB_LIMITS: Final = ("MaxRecursion 17", "MaxFiles 10000", "MaxFileSize 100M", "MaxScanSize 400M")
"""What makes an archive a bomb. Written out because somebody may have lifted a limit, and nothing exceeds none."""
_OFF_AND_ON: Final = MappingProxyType(
    {
        PUA: (("DetectPUA no",), ("DetectPUA yes",)),
        ARCHIVE_BOMB: (("AlertExceedsMax no",), ("AlertExceedsMax yes", *_BOMB_LIMITS)),
    }
)
_STRONGEST: Final = ("block", "audit", "off")
_FILESYSTEM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")

ON_ACCESS: Final = frozenset({*levels.LANDINGS, NONEXEC, UNMONITORED, HASHES})
"""Settings that mean nothing where files cannot be looked at as they are opened."""
SUPPORTED: Final = frozenset({*_SCALARS, EXCLUSIONS, GLOBAL_EXCLUSIONS, THREAT_TYPES, THREAT_TYPES_MERGE, UNMONITORED})
"""Where the settings land that clamd, and the look at opens, can carry out."""


class Plan(Struct, frozen=True, kw_only=True):
    """The lines of our block, the values they carry out, and the items that they do not."""

    lines: tuple[bytes, ...] = ()
    values: Values = field(default_factory=dict)
    recorded: Values = field(default_factory=dict)
    """All values that stand in the block, those carried out in part included."""
    rejected: Mapping[str, tuple[ItemStatus, ...]] = field(default_factory=dict)


def plan(values: Values) -> Plan:
    """Compute the block for ``values``."""
    lines: list[bytes] = []
    done: dict[str, Any] = {}
    recorded: dict[str, Any] = {}
    overruled = levels.superseded(values)
    rejected: dict[str, tuple[ItemStatus, ...]] = {
        landing: (_overruled(landing, values[landing]),) for landing in overruled
    }
    level = levels.level_of(values)
    for landing in sorted(values.keys() - overruled):
        value = values[landing]
        if landing in _SCALARS:
            done[landing] = recorded[landing] = value
            lines += _encoded("#=", landing, value, _SCALARS[landing](value))
        elif landing == THREAT_TYPES_MERGE:
            done[landing] = recorded[landing] = value
            lines += _encoded("#=", landing, value, _others_off(value, recorded.get(THREAT_TYPES, ())))
        else:
            chosen = _chosen(landing, value, level)
            lines += _encoded("#=", landing, [], [])
            for item, directives in chosen.written:
                lines += _encoded("#+", landing, item, list(directives))
            done[landing] = chosen.effective
            recorded[landing] = [item for item, _ in chosen.written]
            if chosen.rejected:
                rejected[landing] = tuple(chosen.rejected)
    return Plan(lines=tuple(lines), values=done, recorded=recorded, rejected=rejected)


def read(lines: Sequence[bytes]) -> Plan:
    """Return what a block says; nothing when it is not exactly as ``plan`` writes it."""
    values: dict[str, Any] = {}
    try:
        for line in lines:
            mark, _, rest = line.decode().partition(" ")
            landing, _, written = rest.partition(" ")
            if mark == "#=":
                values[landing] = json.loads(written)
            elif mark == "#+":
                values[landing].append(json.loads(written))
        found = plan(values) if set(values) <= SUPPORTED else Plan()
    except (ValueError, KeyError, TypeError, AttributeError):
        return Plan()  # not as we write it
    return found if list(found.lines) == list(lines) else Plan()


def local(foreign: bytes) -> Values:
    """Return what lines of others say, in values of settings; what they do not speak about is not there."""
    found: dict[str, Any] = {}
    if configuration.first(foreign, "ScanArchive") is not None:
        found[SCAN_ARCHIVES] = configuration.is_on(foreign, "ScanArchive")
    threads = configuration.first(foreign, "MaxThreads") or ""
    if threads.isascii() and threads.isdigit() and len(threads) < 6:
        found[THREADS] = int(threads)
    return found


class _Chosen(Struct, kw_only=True):
    """Items of one list: with their directives, those in full effect, and a status for each of the others."""

    written: list[tuple[Any, Sequence[str]]] = field(default_factory=list)
    effective: list[Any] = field(default_factory=list)
    rejected: list[ItemStatus] = field(default_factory=list)


def _chosen(landing: str, items: Sequence[Any], level: levels.Level | None) -> _Chosen:
    if landing == THREAT_TYPES:
        return _threat_types(items, level)
    if landing == UNMONITORED:
        return _filesystems(items)
    return _exclusions(landing, items, watches=level is not None and level.watches)


def _exclusions(landing: str, items: Sequence[dict[str, Any]], *, watches: bool) -> _Chosen:
    chosen = _Chosen()
    for item in items:
        found = exclusions.directives(item, literal=landing == GLOBAL_EXCLUSIONS, watches=watches)
        if isinstance(found, ItemStatus):
            chosen.rejected.append(found)
        elif not _fits(landing, item, found):
            chosen.rejected.append(_too_long(item))
        else:
            chosen.written.append((item, found))
            chosen.effective.append(item)
    return chosen


def _filesystems(names: Sequence[str]) -> _Chosen:
    chosen = _Chosen()
    for name in names:
        if _FILESYSTEM.match(name):
            chosen.written.append((name, ()))
            chosen.effective.append(name)
        else:
            reason = "This is no type of file system."
            status = ItemStatus(item=name[:1024], state=SettingState.ERROR, code="invalidFilesystem", reason=reason)
            chosen.rejected.append(status)
    return chosen


def _threat_types(items: Sequence[dict[str, Any]], level: levels.Level | None) -> _Chosen:
    """Turn detection on for what is to be audited or blocked; blocking is claimed only where opens are denied."""
    chosen = _Chosen()
    for item in items:
        key, value = str(item.get("key")), item.get("value")
        if key not in _OFF_AND_ON or value not in _STRONGEST:
            chosen.rejected.append(_rejected(item, SettingState.ERROR, "invalidThreatType", "It names no action."))
        elif any(_is_stronger(other, item) for other in items):
            chosen.rejected.append(_rejected(item, SettingState.CONFLICT, "conflict", "A stronger action is set."))
        else:
            chosen.written.append((item, _OFF_AND_ON[key][value != "off"]))
            if value == "block" and level is not levels.Level.REAL_TIME:
                reason = "It is detected and reported; nothing is blocked below the enforcement level real_time."
                chosen.rejected.append(_rejected(item, SettingState.NOT_APPLICABLE, "detectOnly", reason))
            else:
                chosen.effective.append(item)
    return chosen


def _others_off(policy: str, items: Sequence[dict[str, Any]]) -> list[str]:
    """Turn off, by lines that win, what others turned on and no policy speaks about."""
    if policy != ADMIN_ONLY:
        return []
    spoken = {str(item.get("key")) for item in items}
    return [line for key, (off, _) in _OFF_AND_ON.items() if key not in spoken for line in off]


def _is_stronger(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one.get("key") != other.get("key") or one.get("value") not in _STRONGEST:
        return False
    return _STRONGEST.index(one["value"]) < _STRONGEST.index(other["value"])


def _rejected(item: dict[str, Any], state: SettingState, code: str, reason: str) -> ItemStatus:
    return ItemStatus(item=f"{item.get('key')}: {item.get('value')}", state=state, code=code, reason=reason)


def _overruled(landing: str, value: Any) -> ItemStatus:
    reason = "The enforcement level, or passive mode, says otherwise and decides."
    name = landing.rpartition(".")[2]
    return ItemStatus(
        item=f"{name}: {_switch(value)}", state=SettingState.NOT_APPLICABLE, code="superseded", reason=reason
    )


def _too_long(item: dict[str, Any]) -> ItemStatus:
    reason = f"clamd.conf cannot hold lines of more than {configuration.MAXIMUM_LINE_BYTES} bytes."
    return ItemStatus(
        item=exclusion_name(item), state=SettingState.NOT_APPLICABLE, code="exclusionTooLong", reason=reason
    )


def _fits(landing: str, item: dict[str, Any], directives: Sequence[str]) -> bool:
    return all(len(line) <= configuration.MAXIMUM_LINE_BYTES for line in _encoded("#+", landing, item, directives))


def _encoded(mark: str, landing: str, value: Any, directives: Sequence[str]) -> list[bytes]:
    comment = f"{mark} {landing} {json.dumps(value, ensure_ascii=False)}"
    return [line.encode() for line in (comment, *directives)]


def _switch(value: object) -> str:
    return "yes" if value else "no"
