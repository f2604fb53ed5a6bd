"""Reports over any slice of a fleet (ours): by group, tag, system, state and more, of the devices that the caller sees.

Of a large fleet they are counted in memory. Where it is not there, the database counts the same, which takes longer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from litestar import Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.ids import PolicyId, parse_policy_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.access.grants import Scope
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, sight_of
from shieldwall.server.graph.describing import answers
from shieldwall.server.graph.reports import slicing
from shieldwall.server.graph.reports.asking import Asked, ReportRequest, asked_in, check
from shieldwall.server.graph.reports.columns import Column, count, text
from shieldwall.server.graph.reports.handlers import PATH, READ, table_answer
from shieldwall.server.graph.reports.policy_sources import POLICY_COUNTS, counted, settings_of
from shieldwall.server.graph.reports.slicing import Sliced, sliced
from shieldwall.server.graph.reports.sources import InMemory, Reading, policy_row
from shieldwall.server.graph.reports.tables import Row, table
from shieldwall.server.graph.requests import GraphRequest, Services, body_of
from shieldwall.server.graph.schemas.reports import TABLE_ANSWER
from shieldwall.server.inventory.machines import INACTIVE_AFTER
from shieldwall.server.manager.standing import FleetStanding, standing_of_fleet
from shieldwall.server.manager.statuses import PolicyCounts
from shieldwall.server.reporting.counting import Protection
from shieldwall.server.reporting.held import DeviceFigures
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.fleets import fleet_counts
from shieldwall.server.storage.inventory import inventory_slices
from shieldwall.server.storage.policies import policies
from shieldwall.server.storage.records import PolicyHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The part of a fleet that a report is about."""

    services: AdminServices
    reading: Reading
    sight: Sight
    sliced: Sliced
    policy: PolicyId | None = None
    """The only policy that is asked about, where the filter names one."""

    def protection(self) -> Protection:
        """Return its devices by how they are protected."""
        if self.reading.fleet is not None:
            return self.reading.fleet.protection(self.sliced.asked, self._scopes)
        standing = self._standing()
        return Protection(devices=standing.devices, without_policy=standing.without_policy)

    def _standing(self) -> FleetStanding:
        """Have the database count how its devices stand."""
        theirs = inventory_slices.of_check_ins(self.reading.tenant_id, self._conditions())
        only = (*theirs, *self.sight.reported_devices())
        fleet_counts.be_patient(self.reading.connection)
        return standing_of_fleet(self.reading.connection, self.reading.catalog, self.reading.tenant_id, only)

    def devices(self) -> DeviceFigures:
        """Return its devices by what they are."""
        connection, tenant_id = self.reading.connection, self.reading.tenant_id
        if self.reading.fleet is not None:
            found = self.reading.fleet.devices(self.sliced.asked, self._scopes)
            if found is not None:
                return found
        only = (*self._conditions(), *self.sight.onboarded_devices())
        fleet_counts.be_patient(connection)
        before = self.services.clock.now() - INACTIVE_AFTER
        return DeviceFigures(
            counts=fleet_counts.count_devices(connection, tenant_id, inactive_before=before, only=only),
            agent_versions=fleet_counts.count_agent_versions(connection, tenant_id, only),
        )

    def counts(self) -> Mapping[PolicyId, PolicyCounts]:
        """Return how its devices stand with policies: with all, or the one that the filter names."""
        if self.reading.fleet is None:
            return self._standing().policies
        if self.policy is None:
            return self.reading.fleet.counts_of_policies(self.sliced.asked, self._scopes)
        found = self.reading.fleet.counts_of_policy(self.policy, self.sliced.asked, self._scopes)
        return {self.policy: found} if found.devices else {}

    def policies(self) -> Sequence[PolicyHead]:
        """Return the policies that the caller sees: all, or the one that the filter names."""
        reading = self.reading
        return policies.heads(reading.connection, reading.tenant_id, self.policy, self.sight.policies())

    @property
    def _scopes(self) -> tuple[Scope, ...]:
        return self.sight.access.scopes(ResourceAction.VIEW_REPORTS)

    def _conditions(self) -> inventory_slices.Conditions:
        asked = self.sliced.asked
        return inventory_slices.of_inventory(groups=asked.groups, tags=asked.tags, **asked.values())


_DEVICE_COUNTS: Final = (*text("Property", "Value"), *count("NumberOfDevices"))

Making: TypeAlias = Callable[[Part], InMemory]


def devices_of_fleet(part: Part) -> InMemory:
    """The devices of a slice of the fleet, counted by what they are: a row for each value of each property (ours)."""
    found, protection = part.devices(), part.protection()
    counts = found.counts
    by: Mapping[str, Mapping[str, int]] = {
        "OS": counts.platforms,
        "DeviceState": {str(state): number for state, number in counts.states.items()},
        "Health": {str(health): number for health, number in counts.health.items()},
        "ManagedBy": counts.managed_by,
        "EnrollmentCode": {str(code): number for code, number in counts.enrollment_codes.items()},
        "AgentVersion": found.agent_versions,
        "PolicyState": {
            **{str(state): number for state, number in protection.devices.items()},
            "noPolicy": protection.without_policy,
        },
    }
    rows: list[Row] = [
        {"Property": name, "Value": value, "NumberOfDevices": number}
        for name, values in by.items()
        for value, number in values.items()
        if number
    ]
    return InMemory(columns=_DEVICE_COUNTS, rows=rows)


def policies_of_fleet(part: Part) -> InMemory:
    """The policies of a slice of the fleet, with how many of its devices each is in which state on (ours)."""
    counts = part.counts()
    rows = [
        policy_row(part.reading, policy) | counted(counts[policy.id].devices)
        for policy in part.policies()
        if policy.id in counts
    ]
    return InMemory(columns=POLICY_COUNTS, rows=rows)


def settings_of_fleet(part: Part) -> InMemory:
    """The settings of all policies in a slice of the fleet, with how many devices each is in which state on (ours)."""
    return settings_of(part.reading, part.policies(), part.counts())


ACTIONS: Final[Mapping[str, Making]] = {
    "getFleetDevicesReport": devices_of_fleet,
    "getFleetPoliciesReport": policies_of_fleet,
    "getFleetSettingsReport": settings_of_fleet,
}


def _answered(services: AdminServices, sight: Sight, making: Making, asked: Asked) -> Response[bytes]:
    found, now = sliced(asked), services.clock.now()
    named_policy = asked.fixed("PolicyId")
    policy = None if named_policy is None else parse_policy_id(named_policy)
    with services.fleet_view() as (connection, fleet):
        _hold_seen(connection, sight, found)
        reading = Reading(connection=connection, catalog=services.catalog, tenant_id=services.tenant.id, fleet=fleet)
        rows = making(Part(services=services, reading=reading, sight=sight, sliced=found, policy=policy))
    columns: tuple[Column, ...] = (*rows.columns, *slicing.COLUMNS)
    checked = check(asked, columns)
    slicing.hold_fixed(checked, found)
    sliced_rows = InMemory(columns=columns, rows=rows.rows, shared=found.row | rows.shared)
    total, shown = sliced_rows.read(asked, checked)
    return table_answer(table(shown, total, asked, checked), now if fleet is None else fleet.as_of or now)


def _hold_seen(connection: Connection, sight: Sight, found: Sliced) -> None:
    """Hold that the caller sees the groups that are named. Raises: NotFoundError."""
    if not found.asked.groups:
        return
    unseen = found.asked.groups - sight.groups_among(connection, found.asked.groups)
    if unseen:
        raise NotFoundError(f"There is no group {min(unseen)}.")


def _asking(action: str, making: Making) -> HTTPRouteHandler:
    @post(
        f"{PATH}/{action}",
        opt=READ
        | needs(ResourceAction.VIEW_REPORTS, Reach.LISTED)
        | answers(TABLE_ANSWER, takes=ReportRequest, fails=[404]),
        sync_to_thread=True,
        status_code=200,
    )
    def get_report(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
        return _answered(services, sight_of(request), making, asked_in(body_of(request, body, ReportRequest)))

    get_report.fn.__doc__ = making.__doc__
    return get_report


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = tuple(_asking(*each) for each in ACTIONS.items())
