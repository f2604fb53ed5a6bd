"""The devices of a policy that are in one state, as a whole or for one of its settings.

A state is worked out once for all devices that are alike, so devices in a state are found by what makes them alike:
target, report, system and catalog.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import PolicyId, SettingId, TenantId
from shieldwall.contract.status import SettingState, StatusReport
from shieldwall.server.manager.reported import with_reports
from shieldwall.server.manager.states import said
from shieldwall.server.manager.statuses import DeviceOfPolicy, PolicyView
from shieldwall.server.storage.check_ins import standings
from shieldwall.server.storage.check_ins.standings import Counted, Standing
from shieldwall.server.storage.records import Page

MOST_KINDS: Final = 2_000
"""Kinds of alike devices that one question may name."""
F = TypeVar("F", Counted, Standing)


class TooManyKindsError(ShieldwallError):
    """The devices in a state report so differently that they cannot be asked for together."""

    code = "tooManyKinds"
    remedy = "Ask for one setting, or export all devices of the policy."


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesWanted:
    """Which devices of a policy somebody looks for: in a state, of the policy or of one of its settings.

    ``alike`` are the kinds of devices there are, where somebody counted them; kinds that came since are not found.
    """

    state: SettingState | None = None
    setting: SettingId | None = None
    alike: tuple[Counted, ...] = ()


def devices_wanted(
    connection: Connection,
    catalog: Catalog,
    tenant_id: TenantId,
    policy_id: PolicyId,
    *,
    wanted: DevicesWanted,
    page: Page,
) -> tuple[DeviceOfPolicy, ...]:
    """Return one page of the devices that are wanted, each in its state, ordered by id.

    Raises:
        NotFoundError: There is no such policy.
        TooManyKindsError: They are of too many kinds.
    """
    view, many = PolicyView(connection, catalog, tenant_id, policy_id), None
    if wanted.state is not None:
        counted = tuple(each for each in wanted.alike if each.target in view.items)
        if not wanted.alike:
            counted = standings.count_by_report(connection, tenant_id, view.items, page.where)
        kinds = [
            kind
            for kind, state in _states(connection, tenant_id, view, counted, wanted.setting)
            if state is wanted.state
        ]
        if not kinds:
            return ()
        if len(kinds) > MOST_KINDS:
            raise TooManyKindsError(f"The devices in this state are of {len(kinds)} kinds.")
        page = replace(page, where=(*page.where, standings.alike(kinds)))
        many = sum(each.devices for each in kinds) > standings.FEW
    found = standings.list_devices(connection, tenant_id, view.items, page, many=many)
    states = {each.device_id: state for each, state in _states(connection, tenant_id, view, found, wanted.setting)}
    return tuple(
        DeviceOfPolicy(
            device_id=each.device_id,
            display_name=each.display_name,
            state=states[each.device_id],
            last_check_in=each.last_check_in,
            status_at=each.status_at,
        )
        for each in found
    )


def _states(
    connection: Connection,
    tenant_id: TenantId,
    view: PolicyView,
    found: tuple[F, ...],
    setting: SettingId | None,
) -> Iterator[tuple[F, SettingState]]:
    for each, report in with_reports(connection, tenant_id, found):
        yield each, _state(view, each, report, setting)


def _state(
    view: PolicyView, alike: Counted | Standing, report: StatusReport | None, setting: SettingId | None
) -> SettingState:
    words = said(report, alike.target)
    applying = view.applying(alike)
    if setting is None:
        return words.policy(view.items[alike.target], applying)
    return words.state(setting) if setting in applying else SettingState.NOT_APPLICABLE
