"""Why a setting is not applicable where only ClamAV's daemon scans, in words for administrators."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "linux_advancedsettings": (
            "ClamAV does not look at the memory of processes on Linux; programs and libraries are looked at as they "
            "are opened, before they are in memory."
        ),
    }
)
_BY_PART: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cloudService": "ClamAV asks no cloud service for verdicts.",
        "networkProtection": "ClamAV does not look at network traffic.",
        "edr": "ClamAV detects files only; tags are for endpoint detection and response.",
    }
)


def why_not(setting: str, landing: str | None) -> str:
    """Say why ClamAV does not carry out a setting, which lands there if that is published."""
    where = landing or setting
    part = where.partition(".")[0]
    return _REASONS.get(where) or _BY_PART.get(part) or "clamd has nothing that this setting could steer."
