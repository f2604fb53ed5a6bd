"""The managed devices of a tenant as sets: by traits, by group, by rule, and by whom assignments name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from sqlalchemy import Connection

from shieldwall.catalog.firewall.templates import is_firewall
from shieldwall.contract.ids import AssignmentFilterId, DeviceId, GroupId, TemplateId, TenantId
from shieldwall.policy.applicability import Traits, traits_of
from shieldwall.policy.device_sets import NOBODY, DeviceSet, everybody, of_places, places
from shieldwall.policy.fleet import Fleet
from shieldwall.policy.membership import MembershipRule
from shieldwall.server.directory.attributes import described_fleet
from shieldwall.server.directory.filter_rules import Narrowing, narrowing
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.fleets.fleets import Whose
from shieldwall.server.storage.policies import filters
from shieldwall.server.storage.records import Assignment, AssignmentKind, FilterKind


@dataclass(slots=True)
class FleetView:
    """Reads what is asked for, once. A device is its place in the order of ids."""

    connection: Connection
    tenant_id: TenantId
    ids: tuple[DeviceId, ...] = ()
    fleet: Fleet = field(default_factory=lambda: Fleet(traits={}))
    domain_controllers: DeviceSet = NOBODY
    _places: Mapping[DeviceId, int] = field(default_factory=dict)
    _groups: dict[GroupId, DeviceSet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read who is there."""
        found = fleets.managed(self.connection, self.tenant_id)
        self.ids = tuple(device.id for device in found)
        self._places = {device: place for place, device in enumerate(self.ids)}
        alike: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for place, device in enumerate(found):
            alike[device.os_type, device.catalog_version].append(place)
        traits: dict[Traits, DeviceSet] = {}
        for (os_type, version), theirs in alike.items():
            own = traits_of(os_type, version)
            traits[own] = traits.get(own, NOBODY) | of_places(theirs, len(self.ids))
        self.fleet = Fleet(traits=traits)
        controllers = (place for place, device in enumerate(found) if device.is_domain_controller)
        self.domain_controllers = of_places(controllers, len(found))

    @property
    def everybody(self) -> DeviceSet:
        """All managed devices."""
        return everybody(len(self.ids))

    def of_ids(self, device_ids: Iterable[DeviceId]) -> DeviceSet:
        """Return the set of the managed ones of these devices."""
        found = (self._places.get(device) for device in device_ids)
        return of_places((place for place in found if place is not None), len(self.ids))

    def of_group(self, group_id: GroupId) -> DeviceSet:
        """Return the members of a group."""
        if group_id not in self._groups:
            self._groups[group_id] = self.of_ids(fleets.members(self.connection, group_id))
        return self._groups[group_id]

    def matching(
        self, rule: MembershipRule | Narrowing, groups: Mapping[GroupId, DeviceSet] = MappingProxyType({})
    ) -> DeviceSet:
        """Return the devices that a membership rule or an assignment filter names, were some groups as given."""
        asked = rule.whole_rule if isinstance(rule, Narrowing) else rule
        proposed = {
            group: [self.ids[place] for place in places(groups[group])] for group in asked.groups() & groups.keys()
        }
        fleet = described_fleet(self.connection, self.tenant_id, [asked], Whose.MANAGED, proposed=proposed)
        return fleet.columns.matching(asked)


@dataclass(slots=True)
class Reaching:
    """Finds whom assignments reach, where groups or filters may be proposed to be other than they are."""

    view: FleetView
    groups: Mapping[GroupId, DeviceSet] = field(default_factory=dict)
    filter_rules: Mapping[AssignmentFilterId, str] = field(default_factory=dict)
    _filters: dict[AssignmentFilterId, DeviceSet] = field(default_factory=dict)

    def devices(self, template_id: TemplateId, assignments: Iterable[Assignment]) -> DeviceSet:
        """Return the devices that get a policy of this template with these assignments."""
        included, excluded = NOBODY, self.view.domain_controllers if is_firewall(template_id) else NOBODY
        for assignment in assignments:
            match assignment:
                case Assignment(kind=AssignmentKind.ALL_DEVICES):
                    included |= self._narrowed(assignment, self.view.everybody)
                case Assignment(kind=AssignmentKind.INCLUDE, group_id=str(group)):
                    included |= self._narrowed(assignment, self._group(group))
                case Assignment(kind=AssignmentKind.EXCLUDE, group_id=str(group)):
                    excluded |= self._group(group)
                case _:
                    pass
        return included & ~excluded

    def _narrowed(self, assignment: Assignment, devices: DeviceSet) -> DeviceSet:
        if assignment.filter_id is None or assignment.filter_kind is FilterKind.NONE:
            return devices
        matching = self._filter(assignment.filter_id)
        return devices & matching if assignment.filter_kind is FilterKind.INCLUDE else devices & ~matching

    def _group(self, group: GroupId) -> DeviceSet:
        return self.groups[group] if group in self.groups else self.view.of_group(group)

    def _filter(self, filter_id: AssignmentFilterId) -> DeviceSet:
        if filter_id not in self._filters:
            found = filters.find(self.view.connection, filter_id)
            matching = NOBODY
            if found is not None:
                proposed = replace(found, rule=self.filter_rules.get(filter_id, found.rule))
                matching = self.view.matching(narrowing(proposed))
            self._filters[filter_id] = matching
        return self._filters[filter_id]
