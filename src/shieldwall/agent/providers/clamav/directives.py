"""From settings to directives of ``clamd.conf`` and back. Pure.

Before each directive stands a comment with the setting it comes from, as JSON: a value after ``#=``, an item of a list
after ``#+``. Reading back takes the comments, computes the lines they stand for and accepts the block only when it
holds exactly those: a line changed by hand is not taken for what the comment says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from shieldwall.agent.providers.clamav import configuration, exclusions
from shieldwall.agent.providers.landing import exclusion_name
from shieldwall.contract.status import ItemStatus, SettingState

Values: TypeAlias = Mapping[str, Any]
"""Typed JSON of settings by where they land, such as ``antivirusEngine.scanArchives``."""

SCAN_ARCHIVES: Final = "antivirusEngine.scanArchives"
THREADS: Final = "antivirusEngine.maximumOnDemandScanThreads"
EXCLUSIONS: Final = "antivirusEngine.exclusions"
GLOBAL_EXCLUSIONS: Final = "exclusionSettings.exclusions"
EXCLUSIONS_MERGE: Final = "antivirusEngine.exclusionsMergePolicy"
THREAT_TYPES: Final = "antivirusEngine.threatTypeSettings"

ADMIN_ONLY: Final = "admin_only"
PUA: Final = "potentially_unwanted_application"

_SCALARS: Final[Mapping[str, Callable[[Any], list[str]]]] = MappingProxyType(
    {
        SCAN_ARCHIVES: lambda value: [f"ScanArchive {_switch(value)}"],
        THREADS: lambda value: [f"MaxThreads {value}"],
        EXCLUSIONS_MERGE: lambda _: [],  # has no line of its own: it is about the lines of others
    }
)
_SWITCHES: Final = MappingProxyType({PUA: "DetectPUA", "archive_bomb": "AlertExceedsMax"})
_STRONGEST: Final = ("block", "audit", "off")

SUPPORTED: Final = frozenset({*_SCALARS, EXCLUSIONS, GLOBAL_EXCLUSIONS, THREAT_TYPES})
"""Where the settings land that clamd can carry out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The lines of our block, the values they carry out, and the items that they do not."""

    lines: tuple[bytes, ...] = ()
    values: Values = field(default_factory=dict)
    rejected: Mapping[str, tuple[ItemStatus, ...]] = field(default_factory=dict)


def plan(values: Values) -> Plan:
    """Compute the block for ``values``."""
    lines: list[bytes] = []
    done: dict[str, Any] = {}
    rejected: dict[str, tuple[ItemStatus, ...]] = {}
    for landing in sorted(values):
        value = values[landing]
        if landing in _SCALARS:
            done[landing] = value
            lines += _encoded("#=", landing, value, _SCALARS[landing](value))
        else:
            chosen = _threat_types(value) if landing == THREAT_TYPES else _exclusions(landing, value)
            lines += _encoded("#=", landing, [], [])
            for item, directive in chosen.written:
                lines += _encoded("#+", landing, item, [directive])
            done[landing] = chosen.effective
            if chosen.rejected:
                rejected[landing] = tuple(chosen.rejected)
    return Plan(lines=tuple(lines), values=done, rejected=rejected)


def read(lines: Sequence[bytes]) -> Values:
    """Return the values that a block carries out; none when it is not exactly as ``plan`` writes it."""
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
        return {}  # not as we write it
    return found.values if list(found.lines) == list(lines) else {}


@dataclass(slots=True, kw_only=True)
class _Chosen:
    """Items of one list: with their directives, those in full effect, and a status for each of the others."""

    written: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    effective: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[ItemStatus] = field(default_factory=list)


def _exclusions(landing: str, items: Sequence[dict[str, Any]]) -> _Chosen:
    chosen = _Chosen()
    for item in items:
        found = exclusions.expression(item, literal=landing == GLOBAL_EXCLUSIONS)
        if isinstance(found, ItemStatus):
            chosen.rejected.append(found)
        elif not _fits(landing, item, directive := f"ExcludePath {found}"):
            chosen.rejected.append(_too_long(item))
        else:
            chosen.written.append((item, directive))
            chosen.effective.append(item)
    return chosen


def _threat_types(items: Sequence[dict[str, Any]]) -> _Chosen:
    """Turn detection on for what is to be audited or blocked; clamd itself only detects, so blocking is not claimed."""
    chosen = _Chosen()
    for item in items:
        key, value = str(item.get("key")), item.get("value")
        if key not in _SWITCHES or value not in _STRONGEST:
            chosen.rejected.append(_rejected(item, SettingState.ERROR, "invalidThreatType", "It names no action."))
        elif any(_is_stronger(other, item) for other in items):
            chosen.rejected.append(_rejected(item, SettingState.CONFLICT, "conflict", "A stronger action is set."))
        else:
            chosen.written.append((item, f"{_SWITCHES[key]} {_switch(value != 'off')}"))
            if value == "block":
                reason = "It is detected and reported; clamd by itself does not block."
                chosen.rejected.append(_rejected(item, SettingState.NOT_APPLICABLE, "detectOnly", reason))
            else:
                chosen.effective.append(item)
    return chosen


def _is_stronger(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one.get("key") != other.get("key") or one.get("value") not in _STRONGEST:
        return False
    return _STRONGEST.index(one["value"]) < _STRONGEST.index(other["value"])


def _rejected(item: dict[str, Any], state: SettingState, code: str, reason: str) -> ItemStatus:
    return ItemStatus(item=f"{item.get('key')}: {item.get('value')}", state=state, code=code, reason=reason)


def _too_long(item: dict[str, Any]) -> ItemStatus:
    reason = f"clamd.conf cannot hold lines of more than {configuration.MAXIMUM_LINE_BYTES} bytes."
    return ItemStatus(
        item=exclusion_name(item), state=SettingState.NOT_APPLICABLE, code="exclusionTooLong", reason=reason
    )


def _fits(landing: str, item: dict[str, Any], directive: str) -> bool:
    return all(len(line) <= configuration.MAXIMUM_LINE_BYTES for line in _encoded("#+", landing, item, [directive]))


def _encoded(mark: str, landing: str, value: Any, directives: list[str]) -> list[bytes]:
    comment = f"{mark} {landing} {json.dumps(value, ensure_ascii=False)}"
    return [line.encode() for line in (comment, *directives)]


def _switch(value: object) -> str:
    return "yes" if value else "no"
