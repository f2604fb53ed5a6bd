"""A fleet in memory counts what the database counts, whatever happened to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select
from tests.manager.test_statuses import reports, to_all, told
from tests.reporting.held import Following
from tests.support.manager_world import CLOUD, DIAGNOSTIC, World, a_draft, a_firewall_draft
from tests.support.samples import TENANT_ID, device_id, group_id

from shieldwall.contract.ids import Digest, GroupId, PolicyId
from shieldwall.contract.status import SettingState
from shieldwall.server.access.actions import EVERYTHING as EVERY_ACTION
from shieldwall.server.access.grants import Access, Grant, Scope
from shieldwall.server.admin.sight import Sight
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.manager import figures
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.figures import EVERYTHING, Eyes, Figures
from shieldwall.server.manager.policy_reports import states_of_policy
from shieldwall.server.manager.statuses import policy_counts
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.portal.figures import eyes_of
from shieldwall.server.reporting.held import HeldFleet
from shieldwall.server.reporting.quick_figures import figures_of
from shieldwall.server.reporting.slices import Slice
from shieldwall.server.storage.access import scope_tags
from shieldwall.server.storage.access_records import ScopeTag
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import device_states, devices
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.policies import policies
from shieldwall.server.storage.records import AssignmentKind, Page
from shieldwall.server.storage.tables import schema

MOST = 12
STATES = st.sampled_from(SettingState)
NUMBERS = st.integers(1, MOST)


def comparable(found: Figures) -> dict[str, Any]:
    """What has an order of its own by chance is brought into one."""
    values = {name: getattr(found, name) for name in Figures.__dataclass_fields__}
    return values | {
        "troubled": {state: frozenset(pairs) for state, pairs in found.troubled.items()},
        "contests": sorted(
            (each.setting, each.is_conflict, each.devices, sorted(each.policies)) for each in found.contests
        ),
        "alike": frozenset(found.alike),
        "agent_versions": list(found.agent_versions.items()),
        "setting_drift": dict(found.setting_drift),
    }


def some_eyes(*tags: str) -> Eyes:
    access = Access((Grant(EVERY_ACTION, Scope(tags=frozenset(tags))),))
    return eyes_of(Sight(TENANT_ID, access))


def agree(world: World, fleet: HeldFleet) -> None:
    """Hold what the fleet in memory says against what the database says."""
    now = world.clock.now()
    with world.database.read() as connection:
        for eyes in (EVERYTHING, some_eyes("1"), some_eyes("0"), some_eyes("1", "2")):
            quick = figures_of(connection, fleet, eyes)
            assert quick is not None
            assert comparable(quick) == comparable(figures.count(connection, world.catalog, TENANT_ID, now, eyes))
        for policy in policies.list_policies(connection, TENANT_ID, Page(size=100)):
            counts = policy_counts(connection, world.catalog, TENANT_ID, policy.id)
            assert {state: n for state, n in counts.devices.items() if n} == fleet.counts_of_policy(policy.id).devices
            expected = states_of_policy(connection, world.catalog, TENANT_ID, policy.id)
            assert fleet.states_of_policy(policy.id) == expected
        for asked, only in slices():
            eyes = replace(EVERYTHING, key="slice", devices=only[0], reports=only[1])
            expected_figures = figures.count(connection, world.catalog, TENANT_ID, now, eyes)
            found = fleet.devices(asked)
            assert found is not None
            assert found.counts.health == expected_figures.health
            assert found.counts.platforms == expected_figures.platforms
            assert fleet.standing(asked).fleet.policies == expected_figures.policies
            assert fleet.standing(asked).fleet.devices == expected_figures.protection
            assert fleet.counts_of_policies(asked) == expected_figures.policies
            assert fleet.protection(asked).devices == expected_figures.protection
            assert fleet.protection(asked).without_policy == expected_figures.without_policy


def slices() -> list[tuple[Slice, tuple[Any, Any]]]:
    """Slices, and the same as conditions on the inventory and on check-ins."""

    def among(*conditions: Any) -> tuple[Any, Any]:
        ids = schema.inventory.select().with_only_columns(schema.inventory.c.device_id).where(*conditions)
        return conditions, (schema.check_ins.c.device_id.in_(ids),)

    members = select(schema.group_members.c.device_number).join(schema.groups).where(schema.groups.c.id == group_id(1))
    of_group = schema.inventory.c.number.in_(members)
    linux = schema.inventory.c.os_type == "Linux"
    return [
        (Slice(os_type=frozenset({"Linux"})), among(linux)),
        (Slice(groups=frozenset({group_id(1)})), among(of_group)),
        (
            Slice(groups=frozenset({group_id(1)}), os_type=frozenset({"Linux"}), tags=frozenset({"Rare"})),
            among(of_group, linux, schema.inventory.c.tags.contains("\x1frare\x1f")),
        ),
        (Slice(state=frozenset({"quarantined"})), among(schema.inventory.c.state == "quarantined")),
        (Slice(agent_version=frozenset({"7"})), among(schema.inventory.c.agent_version == "7")),
    ]


class Fate:
    """What may happen to a fleet, each by the functions of the server or by a statement of its tables."""

    def __init__(self, world: World) -> None:
        self.world = world

    def happens(self, connection: Connection, what: str, number: int, state: SettingState) -> None:
        getattr(self, what)(connection, number, state)

    def joins(self, connection: Connection, number: int, _: SettingState) -> None:
        if devices.find(connection, device_id(number)) is None:
            os_type = "Windows" if number % 5 == 0 else "Linux"
            registered = self.world.clock.now() - timedelta(days=number)
            tags = ("Rare",) if number % 2 else ()
            self.world.join(connection, number, os_type=os_type, registered_at=registered, tags=tags)

    def leaves(self, connection: Connection, number: int, _: SettingState) -> None:
        if devices.find(connection, device_id(number)) is not None:
            delete_device(connection, self.world.acting, device_id(number))

    def reports(self, connection: Connection, number: int, state: SettingState) -> None:
        if self._has_target(connection, number):
            other = SettingState.SUCCEEDED if number % 2 else state
            drifted = {"value": "true", "read_back": "false"} if number % 3 == 0 else {}
            code = "repaired" if number % 4 == 0 else ""
            reports(connection, device_id(number), told(CLOUD, state, **drifted), told(DIAGNOSTIC, other, code=code))

    def reports_late(self, connection: Connection, number: int, state: SettingState) -> None:
        if self._has_target(connection, number):
            reports(connection, device_id(number), told(CLOUD, state), target=Digest("ab" * 32))

    def is_in_touch(self, connection: Connection, number: int, _: SettingState) -> None:
        moment = self.world.clock.now() - timedelta(minutes=number)
        mine = schema.check_ins.c.device_id == device_id(number)
        connection.execute(schema.check_ins.update().where(mine).values(last_check_in=moment))

    def is_silent(self, connection: Connection, number: int, _: SettingState) -> None:
        mine = schema.check_ins.c.device_id == device_id(number)
        moment = self.world.clock.now() - timedelta(days=30)
        connection.execute(schema.check_ins.update().where(mine).values(last_check_in=moment))

    def changes(self, connection: Connection, number: int, state: SettingState) -> None:
        found = devices.find(connection, device_id(number))
        if found is not None:
            providers = {"clamav": "notRunning" if state is SettingState.ERROR else "1.4"}
            devices.put(connection, replace(found, agent_version=str(7 * (number % 2)), providers=providers))
            retarget(connection, [found.id], self.world.clock.now())

    def comes_to_another_state(self, connection: Connection, number: int, state: SettingState) -> None:
        self._move(connection, number, [*DeviceState][(number + len(state)) % len(DeviceState)])

    def is_active_again(self, connection: Connection, number: int, _: SettingState) -> None:
        self._move(connection, number, DeviceState.ACTIVE)

    def _move(self, connection: Connection, number: int, state: DeviceState) -> None:
        found = devices.find(connection, device_id(number))
        if found is not None:
            assert device_states.move(connection, found.id, of=(found.state,), to=state, reason=None)
            retarget(connection, [found.id], self.world.clock.now())

    def comes_to_group(self, connection: Connection, number: int, _: SettingState) -> None:
        if devices.find(connection, device_id(number)) is not None:
            group_members.add_members(connection, self._group(connection, number), [device_id(number)])
            retarget(connection, [device_id(number)], self.world.clock.now())

    def goes_from_group(self, connection: Connection, number: int, _: SettingState) -> None:
        if devices.find(connection, device_id(number)) is not None:
            group_members.remove_members(connection, self._group(connection, number), [device_id(number)])
            retarget(connection, [device_id(number)], self.world.clock.now())

    def has_policy(self, connection: Connection, number: int, _: SettingState) -> None:
        draft = a_draft(f"Policy {number}", cloud="true" if number % 2 else "false", diagnostic="1")
        policy = self.world.policies.create(connection, self.world.acting, draft)
        self._assign(connection, policy.id, number)

    def has_firewall(self, connection: Connection, number: int, _: SettingState) -> None:
        policy = self.world.policies.create(connection, self.world.acting, a_firewall_draft(f"Firewall {number}"))
        self._assign(connection, policy.id, number)

    def edits_policy(self, connection: Connection, number: int, _: SettingState) -> None:
        found = policies.list_policies(connection, TENANT_ID, Page(size=100))
        if found:
            policy = found[number % len(found)]
            if policy.name.startswith("Policy"):
                draft = a_draft(policy.name, cloud="true" if number % 3 else "false")
                self.world.policies.update(connection, self.world.acting, policy.id, draft)

    def deletes_policy(self, connection: Connection, number: int, _: SettingState) -> None:
        found = policies.list_policies(connection, TENANT_ID, Page(size=100))
        if found:
            self.world.policies.delete(connection, self.world.acting, found[number % len(found)].id)

    def is_tagged(self, connection: Connection, number: int, _: SettingState) -> None:
        if devices.find(connection, device_id(number)) is not None:
            self._tag(connection, "1")
            tags = ["1"] if number % 2 else []
            scope_tags.set_of_device(connection, TENANT_ID, device_id(number), tags)

    def group_is_tagged(self, connection: Connection, number: int, _: SettingState) -> None:
        self._tag(connection, "2")
        tagged = [self._group(connection, number)] if number % 2 else []
        scope_tags.set_groups(connection, TENANT_ID, "2", tagged)

    def _assign(self, connection: Connection, policy: PolicyId, number: int) -> None:
        wanted = Assigned(kind=AssignmentKind.ALL_DEVICES)
        if number % 2:
            wanted = Assigned(kind=AssignmentKind.INCLUDE, group_id=self._group(connection, number))
        assign(connection, self.world.acting, policy, [wanted])

    def _group(self, connection: Connection, number: int) -> GroupId:
        wanted = group_id(1 + number % 2)
        if groups.find(connection, wanted) is None:
            self.world.group(connection, 1 + number % 2)
        return wanted

    def _tag(self, connection: Connection, tag: str) -> None:
        if scope_tags.find(connection, TENANT_ID, tag) is None:
            now = self.world.clock.now()
            scope_tags.add(
                connection,
                ScopeTag(
                    id=tag,
                    tenant_id=TENANT_ID,
                    display_name=f"Tag {tag}",
                    description="",
                    created_at=now,
                ),
            )

    def _has_target(self, connection: Connection, number: int) -> bool:
        found = devices.find(connection, device_id(number))
        return found is not None and check_ins.get(connection, device_id(number)).target_digest is not None


WHATS = [name for name in vars(Fate) if not name.startswith("_") and name != "happens"]
EVENTS = st.tuples(st.sampled_from(WHATS), NUMBERS, STATES)


def test_a_fleet_in_memory_counts_as_the_database_does_after_whatever_happened(world: World) -> None:
    fate, following = Fate(world), Following(world)
    with world.database.write() as connection:
        to_all(world, connection, "Policy 0", diagnostic="1")
        for number in range(1, MOST):
            fate.joins(connection, number, SettingState.ERROR)
            fate.reports(connection, number, [*SettingState][number % len(SettingState)])
        for number, state in ((3, DeviceState.RETIRED), (4, DeviceState.QUARANTINED)):
            fate.is_silent(connection, number, SettingState.ERROR)
            fate._move(connection, number, state)
    agree(world, following.fleet())

    @settings(
        max_examples=20, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(EVENTS, min_size=1, max_size=12))
    def whatever_happens(events: list[tuple[str, int, SettingState]]) -> None:
        with world.database.write() as connection:
            for event in events:
                fate.happens(connection, *event)
        agree(world, following.fleet())

    whatever_happens()
    begun_anew = Following(world).fleet()
    assert begun_anew is not following.fleet()
    agree(world, begun_anew)
