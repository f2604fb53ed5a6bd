"""Repairs that nobody was told of yet: the applier looks by itself, and the agent asks later."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from shieldwall.agent.applier.statuses import REPAIRED, RESTORED
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport

_TOLD: Final = frozenset({REPAIRED, RESTORED})
"""What the next report would not say any more."""


class Unheard(Struct):
    """Keeps the statuses of repaired settings until a report is handed to somebody."""

    kept: dict[tuple[SettingId, str | None], SettingStatus] = field(default_factory=dict)

    def noted(self, report: StatusReport) -> StatusReport:
        """Remember what was repaired, and return the report as it is."""
        for status in report.settings:
            if status.code in _TOLD:
                self.kept[status.setting, status.provider] = status
        return report

    def told(self, report: StatusReport) -> StatusReport:
        """Return the report with what was repaired before; from now on that is heard."""
        kept, self.kept = self.kept, {}
        if not kept:
            return report
        return replace(report, settings=tuple(self._with(status, kept) for status in report.settings))

    def clear(self) -> None:
        """Forget everything."""
        self.kept = {}

    @staticmethod
    def _with(status: SettingStatus, kept: dict[tuple[SettingId, str | None], SettingStatus]) -> SettingStatus:
        earlier = kept.get((status.setting, status.provider))
        is_plain = status.state is SettingState.SUCCEEDED and status.code not in _TOLD
        return status if earlier is None or not is_plain else replace(status, code=earlier.code, reason=earlier.reason)
