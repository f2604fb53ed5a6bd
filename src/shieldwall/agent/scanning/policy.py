"""What policies say about scans, as the scan program reads it from its file. Pure.

The file holds typed values of settings by where they land, as a policy for Defender names them. What no policy says has
Defender's published default; for the enforcement level that is *passive*: things are found and reported, and nothing
is moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from msgspec import Struct

from shieldwall.agent.detections.model import Action
from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError

FILE: Final = PurePosixPath("/etc/shieldwall/scans/policy.json")
"""Where the provider writes it; root alone may change it."""

ENFORCEMENT_LEVEL: Final = "antivirusEngine.enforcementLevel"
PASSIVE_MODE: Final = "antivirusEngine.passiveMode"
THREAT_TYPES: Final = "antivirusEngine.threatTypeSettings"
THREADS: Final = "antivirusEngine.maximumOnDemandScanThreads"
RETENTION_DAYS: Final = "antivirusEngine.scanResultsRetentionDays"
HISTORY_ITEMS: Final = "antivirusEngine.scanHistoryMaximumItems"
ALLOWED_THREATS: Final = "antivirusEngine.allowedThreats"
DISALLOWED_ACTIONS: Final = "antivirusEngine.disallowedThreatActions"
SCAN_AFTER_UPDATE: Final = "antivirusEngine.scanAfterDefinitionUpdate"
DEFINITIONS_FIRST: Final = "scheduledScan.checkForDefinitionsUpdate"
IGNORE_EXCLUSIONS: Final = "scheduledScan.ignoreExclusions"
LOW_PRIORITY: Final = "scheduledScan.lowPriorityScheduledScan"
WHEN_IDLE: Final = "scheduledScan.runScanWhenIdle"

_PUA: Final = "potentially_unwanted_application"
_ARCHIVE_BOMB: Final = "archive_bomb"
_ACTING: Final = frozenset({"real_time", "on_demand"})
_UNOFFICIAL: Final = ".UNOFFICIAL"
_WRITTEN_BY: Final = "writtenBy"
_US: Final = "shieldwall"


class ScanPolicy(Struct, frozen=True, kw_only=True):
    """What scans go by."""

    acts: bool = False
    """Whether threats are moved to quarantine; else they are only reported."""
    threat_types: Mapping[str, str]
    """Kinds of threats that are not plainly malware, and whether to block, audit or ignore them."""
    threads: int = 2
    retention_days: int = 90
    history_items: int = 10_000
    allowed_threats: frozenset[str] = frozenset()
    disallowed_actions: frozenset[str] = frozenset()
    definitions_first: bool = False
    ignore_exclusions: bool = False
    low_priority: bool = False
    when_idle: bool = False

    def action(self, threat: str) -> Action:
        """Say what to do about a threat of this name: move it away, or report it and nothing else."""
        kind = _kind(threat)
        if kind is not None and self.threat_types.get(kind, "audit") != "block":
            return Action.REPORTED
        return Action.QUARANTINED if self.acts else Action.REPORTED

    def is_allowed(self, threat: str) -> bool:
        """Say whether the policy allows this threat by its name."""
        return threat in self.allowed_threats or threat.removesuffix(_UNOFFICIAL) in self.allowed_threats

    @property
    def workers(self) -> int:
        """How many files are looked at at the same time."""
        return 1 if self.low_priority else max(1, min(self.threads, 64))


def of_values(values: Mapping[str, Any]) -> ScanPolicy:
    """Read the typed values of settings; what is of another type than it should be counts as not said."""
    return ScanPolicy(
        acts=_acts(values),
        threat_types=_threat_types(values.get(THREAT_TYPES)),
        threads=_number(values, THREADS, 2),
        retention_days=_number(values, RETENTION_DAYS, 90),
        history_items=_number(values, HISTORY_ITEMS, 10_000),
        allowed_threats=_texts(values.get(ALLOWED_THREATS)),
        disallowed_actions=_texts(values.get(DISALLOWED_ACTIONS)),
        definitions_first=values.get(DEFINITIONS_FIRST) is True,
        ignore_exclusions=values.get(IGNORE_EXCLUSIONS) is True,
        low_priority=values.get(LOW_PRIORITY) is True,
        when_idle=values.get(WHEN_IDLE) is True,
    )


def decode(content: bytes | None) -> Mapping[str, Any]:
    """Return the values in a policy file; none where there is no file or it is damaged."""
    values = _document(content).get("settings")
    return values if isinstance(values, dict) else {}


def encode(values: Mapping[str, Any]) -> bytes:
    """Return the policy file that holds ``values``."""
    return strict_json.encode({"settings": dict(sorted(values.items())), _WRITTEN_BY: _US}) + b"\n"


def is_ours(content: bytes | None) -> bool:
    """Say whether a policy file is one that ``encode`` wrote."""
    document = _document(content)
    return document.get(_WRITTEN_BY) == _US


def _document(content: bytes | None) -> Mapping[str, Any]:
    try:
        document = strict_json.decode_any(content) if content is not None else None
    except InvalidJsonError:
        return {}
    return document if isinstance(document, dict) else {}


def _acts(values: Mapping[str, Any]) -> bool:
    level = values.get(ENFORCEMENT_LEVEL)
    if level is not None:  # replaces the older setting wherever both are given
        return level in _ACTING
    return values.get(PASSIVE_MODE) is False


def _kind(threat: str) -> str | None:
    if threat.startswith("PUA."):
        return _PUA
    return _ARCHIVE_BOMB if threat.startswith("Heuristics.Limits.Exceeded") else None


def _threat_types(value: Any) -> Mapping[str, str]:
    """Return the strongest action for each kind."""
    found: dict[str, str] = {}
    for item in value if isinstance(value, list) else ():
        key, action = (item.get("key"), item.get("value")) if isinstance(item, dict) else (None, None)
        if isinstance(key, str) and isinstance(action, str) and found.get(key) != "block":
            found[key] = action
    return found


def _number(values: Mapping[str, Any], where: str, default: int) -> int:
    value = values.get(where)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default


def _texts(value: Any) -> frozenset[str]:
    return frozenset(text for text in value if isinstance(text, str)) if isinstance(value, list) else frozenset()
