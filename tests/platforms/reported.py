"""A report, by setting."""

from __future__ import annotations

from shieldwall.contract.status import SettingStatus, StatusReport


def by_setting(report: StatusReport | None) -> dict[str, SettingStatus]:
    """Nothing where nothing was reported."""
    return {} if report is None else {str(each.setting): each for each in report.settings}
