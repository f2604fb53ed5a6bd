"""Where the settings land that are carried out here, and those that others carry out."""

from __future__ import annotations

from typing import Final

SCAN_ARCHIVES: Final = "antivirusEngine.scanArchives"
THREADS: Final = "antivirusEngine.maximumOnDemandScanThreads"
EXCLUSIONS: Final = "antivirusEngine.exclusions"
GLOBAL_EXCLUSIONS: Final = "exclusionSettings.exclusions"
EXCLUSIONS_MERGE: Final = "antivirusEngine.exclusionsMergePolicy"
THREAT_TYPES: Final = "antivirusEngine.threatTypeSettings"
THREAT_TYPES_MERGE: Final = "antivirusEngine.threatTypeSettingsMergePolicy"
NONEXEC: Final = "antivirusEngine.nonExecMountPolicy"
UNMONITORED: Final = "antivirusEngine.unmonitoredFilesystems"
HASHES: Final = "antivirusEngine.enableFileHashComputation"

PUA: Final = "potentially_unwanted_application"
ARCHIVE_BOMB: Final = "archive_bomb"
ADMIN_ONLY: Final = "admin_only"

ELSEWHERE: Final = frozenset(
    {
        "antivirusEngine.allowedThreats",
        "antivirusEngine.behaviorMonitoring",
        "antivirusEngine.disallowedThreatActions",
        "antivirusEngine.offlineDefinitionUpdate",
        "antivirusEngine.offlineDefinitionUpdateFallbackToCloud",
        "antivirusEngine.offlineDefinitionUpdateUrl",
        "antivirusEngine.scanAfterDefinitionUpdate",
        "antivirusEngine.scanHistoryMaximumItems",
        "antivirusEngine.scanResultsRetentionDays",
        "cloudService.automaticDefinitionUpdateEnabled",
        "cloudService.definitionUpdatesInterval",
    }
)
"""Settings that providers of definitions, of scans and of the kernel's audit carry out."""
ELSEWHERE_PARTS: Final = frozenset({"scheduledScan"})


ELSEWHERE_SETTINGS: Final = ("linux_platformupdatecontrols_", "linux_features_platformupdatecontrols")
"""How settings about updates of packages begin, which land nowhere."""


def is_elsewhere(setting: str, landing: str | None) -> bool:
    """Say whether another provider of ClamAV answers for a setting, and where it lands."""
    where = landing or ""
    return setting.startswith(ELSEWHERE_SETTINGS) or where in ELSEWHERE or where.partition(".")[0] in ELSEWHERE_PARTS
