"""Reports over the devices of one policy, which may be many: SQL filters, orders and cuts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Integer, Text, literal

from shieldwall.server.graph.odata import memory, sql
from shieldwall.server.graph.reports.asking import Asked, Checked, names_read
from shieldwall.server.graph.reports.columns import STATUS_NUMBERS, Column, Type, status
from shieldwall.server.graph.reports.sources import (
    NOBODY,
    POLICY_KINDS,
    POLICY_TEXTS,
    Reading,
    Source,
    policy_of,
    policy_row,
)
from shieldwall.server.graph.reports.tables import Row, grouped
from shieldwall.server.graph.resources import moment
from shieldwall.server.manager.policy_reports import StateOfAlike, states_of_policy
from shieldwall.server.storage.order_terms import OrderTerm
from shieldwall.server.storage.reports import report_rows
from shieldwall.server.storage.reports.report_rows import Alike, DeviceRow, RowsWanted

_MOST_GROUPED: Final = 1_000_000
_STATES: Final = frozenset({"PolicyStatus", "ReportStatus"})
_NO_TEXT: Final = literal("", Text())


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesOfPolicy:
    """The devices of one policy. ``constants`` are the values that all rows share.

    ``counts`` says how many devices are alike, so that nobody counts them again.
    """

    reading: Reading
    states: Mapping[Alike, int]
    counts: Mapping[Alike, int]
    constants: Row

    @property
    def columns(self) -> Sequence[Column]:
        """The columns there are."""
        return (
            Column(name="IntuneDeviceId", stored=report_rows.DEVICE_ID),
            Column(name="AADDeviceId", stored=report_rows.DEVICE_ID),
            Column(name="DeviceName", stored=report_rows.FOLDED_NAME, folded=True),
            Column(name="OS", stored=report_rows.OS_TYPE),
            status("PolicyStatus", report_rows.STATE),
            status("ReportStatus", report_rows.STATE),
            Column(name="PspdpuLastModifiedTimeUtc", type=Type.MOMENT, stored=report_rows.STATUS_AT),
            *(Column(name=name, stored=literal(self.constants[name], Text())) for name in POLICY_TEXTS),
            *(replace(each, stored=literal(self.constants[each.name], Integer())) for each in POLICY_KINDS),
            *(Column(name=name, stored=_NO_TEXT) for name in (*NOBODY, "AssignmentFilterIds")),
        )

    def read(self, asked: Asked, checked: Checked) -> tuple[int, Sequence[Row]]:
        """Return how many devices fit, and those of the part asked for. Raises: InvalidQueryError."""
        connection, tenant_id = self.reading.connection, self.reading.tenant_id
        wanted = RowsWanted(
            where=tuple(map(sql.condition, checked.conditions)),
            order=tuple(OrderTerm(sql.ordering(each.field, each.path), each.descending) for each in checked.order),
            skip=asked.skip,
            top=asked.top,
        )
        if checked.is_grouped:
            every = replace(wanted, skip=0, top=_MOST_GROUPED)
            rows = map(self._row, report_rows.read(connection, tenant_id, self.states, every))
            found = grouped(rows, checked.columns)
            return len(found), found[asked.skip : asked.skip + asked.top]
        total = self._counted(checked)
        if total is None:
            total = report_rows.count(connection, tenant_id, self.states, wanted)
        return total, [self._row(row) for row in report_rows.read(connection, tenant_id, self.states, wanted)]

    def _counted(self, checked: Checked) -> int | None:
        """Add up the devices that fit, where that does not depend on each of them."""
        if names_read(checked.conditions) - self.constants.keys() - _STATES:
            return None
        total = 0
        for alike, state in self.states.items():
            row = self.constants | dict.fromkeys(_STATES, state)
            if all(memory.holds(condition, row) for condition in checked.conditions):
                total += self.counts[alike]
        return total

    def _row(self, row: DeviceRow) -> Row:
        return {
            "IntuneDeviceId": row.device_id,
            "AADDeviceId": row.device_id,
            "DeviceName": row.display_name,
            "OS": row.os_type,
            "PolicyStatus": row.state,
            "ReportStatus": row.state,
            "PspdpuLastModifiedTimeUtc": moment(row.status_at),
            "AssignmentFilterIds": "",
            **self.constants,
        }


def devices_of_policy(reading: Reading, asked: Asked) -> Source:
    """Make the source: the devices of the policy that the filter names, with the state of each."""
    policy = policy_of(reading, asked)
    states: Mapping[Alike, StateOfAlike]
    if reading.fleet is not None and reading.fleet.has_only(policy.id, policy.digest):
        states = reading.fleet.states_of_policy(policy.id)
    else:
        states = states_of_policy(reading.connection, reading.catalog, reading.tenant_id, policy.id)
    return DevicesOfPolicy(
        reading=reading,
        states={alike: STATUS_NUMBERS[each.state] for alike, each in states.items()},
        counts={alike: each.devices for alike, each in states.items()},
        constants=policy_row(reading, policy) | dict.fromkeys(NOBODY, ""),
    )
