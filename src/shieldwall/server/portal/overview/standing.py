"""How all devices of a tenant stand, and which of them need somebody's attention.

Devices with one target and one report are in one state, so states are computed once per pair and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection

from shieldwall.contract.ids import Digest, TenantId
from shieldwall.contract.status import SettingState
from shieldwall.server.manager.summaries import state_of
from shieldwall.server.storage import standings, statuses
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.standings import Standing

TROUBLES: Final = (SettingState.ERROR, SettingState.CONFLICT)
_PAGE: Final = 200
_MOST_PAGES: Final = 5
"""A page view looks at no more devices than that; the policies lead to the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The devices of a tenant by state; of those in trouble the first ones found."""

    counts: Mapping[SettingState, int]
    troubled: tuple[tuple[Standing, SettingState], ...]

    @property
    def trouble_count(self) -> int:
        """How many devices need attention."""
        return sum(self.counts.get(state, 0) for state in TROUBLES)


def fleet(
    connection: Connection, tenant_id: TenantId, most: int = 10, only: tuple[ColumnElement[bool], ...] = ()
) -> Fleet:
    """Count the devices by state and find at most so many of those in trouble, the gravest first.

    ``only`` are conditions on their check-ins.
    """
    targets = standings.targets_in_use(connection, tenant_id)
    counted = standings.count_by_report(connection, tenant_id, targets, only)
    reports = statuses.find_many(connection, tenant_id, {each.status for each in counted if each.status is not None})
    states = {
        (each.target, each.status): state_of(each.target, reports.get(each.status) if each.status else None)
        for each in counted
    }
    counts: Counter[SettingState] = Counter()
    for each in counted:
        counts[states[each.target, each.status]] += each.devices
    found = [
        (standing, state)
        for standing in _with_trouble(connection, tenant_id, states, only)
        if (state := states.get((standing.target, standing.status))) in TROUBLES and state is not None
    ]
    found.sort(key=lambda each: (TROUBLES.index(each[1]), each[0].display_name))
    return Fleet(counts=counts, troubled=tuple(found[:most]))


def _with_trouble(
    connection: Connection,
    tenant_id: TenantId,
    states: Mapping[tuple[Digest, Digest | None], SettingState],
    only: tuple[ColumnElement[bool], ...],
) -> Iterator[Standing]:
    """Go through devices whose target gives somebody trouble."""
    troubled = {target for (target, _), state in states.items() if state in TROUBLES}
    after = None
    for _ in range(_MOST_PAGES if troubled else 0):
        page = standings.list_devices(connection, tenant_id, troubled, Page(size=_PAGE, after=after, where=only))
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].device_id
