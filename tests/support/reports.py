"""Reading what a device reports."""

from __future__ import annotations

from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import SettingStatus, StatusReport


def by_provider(report: StatusReport, setting: SettingId) -> dict[str | None, SettingStatus]:
    return {status.provider: status for status in report.settings if status.setting == setting}


def only(report: StatusReport, setting: SettingId) -> SettingStatus:
    (status,) = by_provider(report, setting).values()
    return status
