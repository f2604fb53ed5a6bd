"""How the tenant stood over time, as charts: read from the samples, cut to what somebody asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.contract.status import SettingState
from shieldwall.server.manager import samples
from shieldwall.server.manager.samples import Sample
from shieldwall.server.portal.charts import Chart, Series, chart, spark
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.words import STATES

PERIODS: Final[Mapping[str, tuple[str, timedelta]]] = {
    "day": (marked("24 hours"), timedelta(days=1)),
    "week": (marked("7 days"), timedelta(days=7)),
    "month": (marked("30 days"), timedelta(days=30)),
    "year": (marked("1 year"), timedelta(days=365)),
}
"""What may be asked for, in words, and how long it is."""
_FROM_BELOW: Final = (
    SettingState.SUCCEEDED,
    SettingState.NOT_APPLICABLE,
    SettingState.PENDING,
    SettingState.CONFLICT,
    SettingState.ERROR,
)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trends:
    """The charts of the first page, and small lines of the last day beside its figures."""

    period: str
    protection: Chart
    check_ins: Chart
    drift: Chart
    sparks: Mapping[str, str]


def trends(connection: Connection, tenant_id: TenantId, now: datetime, period: str) -> Trends:
    """Draw the charts of a period; one that nobody knows is the day."""
    period = period if period in PERIODS else "day"
    span = PERIODS[period][1]
    found = samples.history(connection, tenant_id, now - max(span, _DAY))
    moments = [at for at, _ in found]
    counted = [sample for _, sample in found]
    lately = [sample for at, sample in found if at >= now - _DAY][::3]
    return Trends(
        period=period,
        protection=chart(moments, _protection(counted), until=now, span=span, is_stacked=True),
        check_ins=chart(
            moments,
            [_series(marked("Check-ins a minute"), "accent", counted, lambda each: each.check_ins_per_minute)],
            until=now,
            span=span,
        ),
        drift=chart(
            moments,
            [
                _series(marked("Devices that repaired"), "succeeded", counted, lambda each: each.repaired_devices),
                _series(marked("Devices that have drifted"), "error", counted, lambda each: each.drifted_devices),
            ],
            until=now,
            span=span,
        ),
        sparks={
            "devices": spark([each.devices for each in lately]),
            "trouble": spark([_trouble(each) for each in lately]),
            "check_ins": spark([each.check_ins_per_minute for each in lately]),
            "inactive": spark([each.health.get("inactive", 0) for each in lately]),
            "alerts": spark([sum(each.alerts.values()) for each in lately]),
        },
    )


def _protection(counted: Sequence[Sample]) -> list[Series]:
    found = [
        _series(STATES[state], state.value, counted, lambda each, state=state: each.protection.get(state.value, 0))  # type: ignore[misc]  # mypy does not infer lambdas with defaults
        for state in _FROM_BELOW
    ]
    return [*found, _series(marked("No policy"), "none", counted, lambda each: each.without_policy)]


def _series(name: str, style: str, counted: Sequence[Sample], of: Callable[[Sample], float]) -> Series:
    return Series(name=name, style=style, values=tuple(of(each) for each in counted))


def _trouble(sample: Sample) -> int:
    return sample.protection.get("error", 0) + sample.protection.get("conflict", 0)
