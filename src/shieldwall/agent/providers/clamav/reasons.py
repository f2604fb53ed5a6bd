"""Why a setting is not applicable where only ClamAV's daemon scans, in words for administrators."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_ON_ACCESS: Final = "clamd answers requests to scan; scanning files as they are opened is not managed."

_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "antivirusEngine.enforcementLevel": _ON_ACCESS,
        "antivirusEngine.enableRealTimeProtection": _ON_ACCESS,
        "antivirusEngine.passiveMode": _ON_ACCESS,
        "antivirusEngine.nonExecMountPolicy": _ON_ACCESS,
        "antivirusEngine.unmonitoredFilesystems": _ON_ACCESS,
        "antivirusEngine.behaviorMonitoring": "ClamAV looks at files, not at behavior.",
        "antivirusEngine.allowedThreats": "Threats have other names in ClamAV than in Defender.",
        "antivirusEngine.offlineDefinitionUpdate": "freshclam updates ClamAV's signatures; it is not managed.",
        "antivirusEngine.offlineDefinitionUpdateUrl": "freshclam updates ClamAV's signatures; it is not managed.",
        "cloudService.automaticDefinitionUpdateEnabled": "freshclam updates ClamAV's signatures; it is not managed.",
        "cloudService.definitionUpdatesInterval": "freshclam updates ClamAV's signatures; it is not managed.",
        "antivirusEngine.scanAfterDefinitionUpdate": "Scans at set times or after updates are not managed.",
    }
)
_BY_PART: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scheduledScan": "Scans at set times or after updates are not managed.",
        "cloudService": "ClamAV asks no cloud service for verdicts.",
        "networkProtection": "ClamAV does not look at network traffic.",
        "edr": "ClamAV detects files only; tags are for endpoint detection and response.",
    }
)


def why_not(landing: str | None) -> str:
    """Say why ClamAV does not carry out the setting that lands there."""
    where = landing or ""
    part = where.partition(".")[0]
    return _REASONS.get(where) or _BY_PART.get(part) or "clamd has nothing that this setting could steer."
