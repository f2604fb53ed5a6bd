"""Which values of Defender's policies stand for which of its properties, as Windows has them.

Written from the published templates of Group Policy (*WindowsDefender.admx*, *Policy CSP -
ADMX_MicrosoftDefenderAntivirus*) and *Set-MpPreference*, and apart from the provider on purpose: where one of the two
is wrong, tests see it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shieldwall.agent.host.cim import CimValue
from shieldwall.agent.host.registry import RegistryValue

EXPLOIT_GUARD: Final = "Windows Defender Exploit Guard"
ASR: Final = EXPLOIT_GUARD + r"\ASR"
FOLDER_ACCESS: Final = EXPLOIT_GUARD + r"\Controlled Folder Access"
THREATS: Final = "Threats"


@dataclass(frozen=True, slots=True)
class FromPolicy:
    """A value of a policy, and how Defender reads it."""

    key: str
    name: str
    read: Callable[[RegistryValue], CimValue]


@dataclass(frozen=True, slots=True)
class ListPolicy:
    """A list: names of values below a key count while its switch is 1."""

    key: str
    switch_key: str
    switch: str


def _yes(value: RegistryValue) -> CimValue:
    return value.data not in {0, "0"}


def _number(value: RegistryValue) -> CimValue:
    return int(value.data) if isinstance(value.data, int | str) else 0


def _time(value: RegistryValue) -> CimValue:
    minutes = value.data if isinstance(value.data, int) else 0
    return f"{minutes // 60:02}:{minutes % 60:02}:00"


def _text(value: RegistryValue) -> CimValue:
    return str(value.data)


_RT: Final = "Real-Time Protection"
_SCAN: Final = "Scan"
_SIG: Final = "Signature Updates"
PROPERTIES: Final[dict[str, FromPolicy]] = {
    "DisableRealtimeMonitoring": FromPolicy(_RT, "DisableRealtimeMonitoring", _yes),
    "DisableBehaviorMonitoring": FromPolicy(_RT, "DisableBehaviorMonitoring", _yes),
    "DisableIOAVProtection": FromPolicy(_RT, "DisableIOAVProtection", _yes),
    "DisableScriptScanning": FromPolicy(_RT, "DisableScriptScanning", _yes),
    "RealTimeScanDirection": FromPolicy(_RT, "RealtimeScanDirection", _number),
    "DisableArchiveScanning": FromPolicy(_SCAN, "DisableArchiveScanning", _yes),
    "DisableEmailScanning": FromPolicy(_SCAN, "DisableEmailScanning", _yes),
    "DisableRemovableDriveScanning": FromPolicy(_SCAN, "DisableRemovableDriveScanning", _yes),
    "DisableScanningMappedNetworkDrivesForFullScan": FromPolicy(
        _SCAN, "DisableScanningMappedNetworkDrivesForFullScan", _yes
    ),
    "DisableScanningNetworkFiles": FromPolicy(_SCAN, "DisableScanningNetworkFiles", _yes),
    "DisableCatchupFullScan": FromPolicy(_SCAN, "DisableCatchupFullScan", _yes),
    "DisableCatchupQuickScan": FromPolicy(_SCAN, "DisableCatchupQuickScan", _yes),
    "CheckForSignaturesBeforeRunningScan": FromPolicy(_SCAN, "CheckForSignaturesBeforeRunningScan", _yes),
    "EnableLowCpuPriority": FromPolicy(_SCAN, "LowCpuPriority", _yes),
    "ScanAvgCPULoadFactor": FromPolicy(_SCAN, "AvgCPULoadFactor", _number),
    "ScanParameters": FromPolicy(_SCAN, "ScanParameters", _number),
    "ScanScheduleDay": FromPolicy(_SCAN, "ScheduleDay", _number),
    "ScanScheduleTime": FromPolicy(_SCAN, "ScheduleTime", _time),
    "ScanScheduleQuickScanTime": FromPolicy(_SCAN, "ScheduleQuickScanTime", _time),
    "MAPSReporting": FromPolicy("Spynet", "SpynetReporting", _number),
    "SubmitSamplesConsent": FromPolicy("Spynet", "SubmitSamplesConsent", _number),
    "CloudBlockLevel": FromPolicy("MpEngine", "MpCloudBlockLevel", _number),
    "CloudExtendedTimeout": FromPolicy("MpEngine", "MpBafsExtendedTimeout", _number),
    "QuarantinePurgeItemsAfterDelay": FromPolicy("Quarantine", "PurgeItemsAfterDelay", _number),
    "EnableNetworkProtection": FromPolicy(EXPLOIT_GUARD + r"\Network Protection", "EnableNetworkProtection", _number),
    "EnableControlledFolderAccess": FromPolicy(FOLDER_ACCESS, "EnableControlledFolderAccess", _number),
    "PUAProtection": FromPolicy("", "PUAProtection", _number),
    "RandomizeScheduleTaskTimes": FromPolicy("", "RandomizeScheduleTaskTimes", _yes),
    "UILockdown": FromPolicy("UX Configuration", "UILockdown", _yes),
    "SignatureUpdateInterval": FromPolicy(_SIG, "SignatureUpdateInterval", _number),
    "SignatureFallbackOrder": FromPolicy(_SIG, "FallbackOrder", _text),
    "SignatureDefinitionUpdateFileSharesSources": FromPolicy(_SIG, "DefinitionUpdateFileSharesSources", _text),
}
SEVERITIES: Final = {
    "LowThreatDefaultAction": "1",
    "ModerateThreatDefaultAction": "2",
    "HighThreatDefaultAction": "4",
    "SevereThreatDefaultAction": "5",
}
LISTS: Final[dict[str, ListPolicy]] = {
    "ExclusionPath": ListPolicy(r"Exclusions\Paths", "Exclusions", "Exclusions_Paths"),
    "ExclusionExtension": ListPolicy(r"Exclusions\Extensions", "Exclusions", "Exclusions_Extensions"),
    "ExclusionProcess": ListPolicy(r"Exclusions\Processes", "Exclusions", "Exclusions_Processes"),
    "AttackSurfaceReductionOnlyExclusions": ListPolicy(
        ASR + r"\ASROnlyExclusions", ASR, "ExploitGuard_ASR_ASROnlyExclusions"
    ),
    "ControlledFolderAccessAllowedApplications": ListPolicy(
        FOLDER_ACCESS + r"\AllowedApplications",
        FOLDER_ACCESS,
        "ExploitGuard_ControlledFolderAccess_AllowedApplications",
    ),
    "ControlledFolderAccessProtectedFolders": ListPolicy(
        FOLDER_ACCESS + r"\ProtectedFolders", FOLDER_ACCESS, "ExploitGuard_ControlledFolderAccess_ProtectedFolders"
    ),
}
DEFAULTS: Final[dict[str, CimValue]] = {
    **dict.fromkeys(
        (
            "DisableRealtimeMonitoring",
            "DisableBehaviorMonitoring",
            "DisableIOAVProtection",
            "DisableScriptScanning",
            "DisableArchiveScanning",
            "DisableScanningNetworkFiles",
            "CheckForSignaturesBeforeRunningScan",
            "UILockdown",
            "AllowDatagramProcessingOnWinServer",
            "AllowNetworkProtectionDownLevel",
            "AllowNetworkProtectionOnWinServer",
            "DisableDnsOverTcpParsing",
            "DisableHttpParsing",
            "DisableSshParsing",
            "DisableTlsParsing",
            "MeteredConnectionUpdates",
            "DisableCoreServiceECSIntegration",
            "DisableCoreServiceTelemetry",
            "EnableLowCpuPriority",
        ),
        False,
    ),
    **dict.fromkeys(
        (
            "DisableCatchupFullScan",
            "DisableCatchupQuickScan",
            "DisableEmailScanning",
            "DisableRemovableDriveScanning",
            "DisableScanningMappedNetworkDrivesForFullScan",
            "EnableDnsSinkhole",
            "RandomizeScheduleTaskTimes",
        ),
        True,
    ),
    **dict.fromkeys(
        (
            *SEVERITIES,
            "RealTimeScanDirection",
            "CloudBlockLevel",
            "CloudExtendedTimeout",
            "EnableNetworkProtection",
            "EnableControlledFolderAccess",
            "PUAProtection",
            "ScanScheduleDay",
            "SignatureUpdateInterval",
            "EngineUpdatesChannel",
            "PlatformUpdatesChannel",
            "DefinitionUpdatesChannel",
        ),
        0,
    ),
    "MAPSReporting": 2,
    "SubmitSamplesConsent": 1,
    "ScanAvgCPULoadFactor": 50,
    "ScanParameters": 1,
    "QuarantinePurgeItemsAfterDelay": 90,
    "SchedulerRandomizationTime": 4,
    "ScanScheduleTime": "02:00:00",
    "ScanScheduleQuickScanTime": "00:00:00",
    "SignatureFallbackOrder": "MicrosoftUpdateServer|MMPC",
    "SignatureDefinitionUpdateFileSharesSources": "",
    **dict.fromkeys(LISTS, ()),
}
PROTECTED: Final[dict[str, CimValue]] = {
    "DisableRealtimeMonitoring": False,
    "DisableBehaviorMonitoring": False,
    "DisableIOAVProtection": False,
    "DisableScriptScanning": False,
    "DisableArchiveScanning": False,
    "MAPSReporting": 2,
    **dict.fromkeys(SEVERITIES, 0),
}
"""What tamper protection keeps so. Source: Microsoft, *Protect security settings with tamper protection*."""
