"""Whatever happens to devices, in whatever order: what is derived of them is as if it were worked out anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, ForeignKey, select
from tests.support.manager_world import World, add_tenant
from tests.support.samples import NOON, TENANT_ID, CountingIds, HandClock
from tests.support.whole_life import RULES, Machine, WholeLife, furnish, instance

from shieldwall.catalog.loader import load
from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.contract.messages import DeviceFacts
from shieldwall.policy.enrollment import Coverage, EnforcementScope, TagRule
from shieldwall.policy.membership import MEMBER_OF, parse_rule
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.directory import assigned_members, groups
from shieldwall.server.directory import devices as acts
from shieldwall.server.directory.attributes import attributes_of
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.directory.enrollment import deciding
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.inventory import offboarding, pending, twins
from shieldwall.server.manager import clone_watch, enforcement_scope, protection
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.inventory import inventory_rows
from shieldwall.server.storage.records import Page, ProcessingState
from shieldwall.server.storage.tables.device_schema import alerts, spent_keys
from shieldwall.server.storage.tables.inventory_schema import device_texts, inventory
from shieldwall.server.storage.tables.schema import audit_events, membership_events, metadata
from shieldwall.server.storage.tables.schema import devices as device_table
from shieldwall.server.storage.tenants import protection as protection_store
from shieldwall.server.storage.tenants import tenants

SCOPES = (
    EnforcementScope(),
    EnforcementScope(linux=Coverage.TAGGED),
    EnforcementScope(linux=Coverage.OFF),
    EnforcementScope(linux=Coverage.TAGGED, dynamic_tags=(TagRule(display_name="on", rule=RULES[1]),)),
    EnforcementScope(linux=Coverage.TAGGED, dynamic_tags=(TagRule(display_name="sure", rule=RULES[2]),)),
    EnforcementScope(is_allowed=False),
)
FACTS: tuple[dict[str, Any], ...] = (
    {},
    {"display_name": "desk"},
    {"manager": "mdm", "managed_elsewhere": "Intune"},
    {"is_domain_controller": True, "os_type": "Windows Server"},
    {"os_type": "macOS"},
)
EFFORT = settings(max_examples=20, stateful_step_count=40, deadline=None, phases=set(Phase) - {Phase.explain})
OUTSIDE = frozenset({DeviceState.RETIRED, DeviceState.LEAVING})
_TRAIL = select(audit_events.c.object_id, audit_events.c.details).order_by(audit_events.c.id)
place = st.integers(0, 7)


class Lives(RuleBasedStateMachine):
    """Devices come, change and go."""

    world: World
    groups: list[GroupId]

    def __init__(self) -> None:
        super().__init__()
        self.world.clock.at = NOON
        self.connection: Connection = self.world.database.engine.connect()
        self.life = WholeLife(world=self.world, connection=self.connection, groups=self.groups)
        self.known: dict[DeviceId, tuple[Any, ...]] = {}
        self.told = 0

    def teardown(self) -> None:
        self.connection.rollback()
        self.connection.close()

    @property
    def acting(self) -> Any:
        return self.world.acting

    def pick(self, number: int) -> Machine:
        return self.life.machines[number % len(self.life.machines)]

    def some(self) -> bool:
        return bool(self.life.machines)

    @initialize()
    def begin(self) -> None:
        for number in range(2):
            self.life.registers(package=1, hardware=number, name="laptop", holder=None)

    @rule(package=st.integers(1, 2), hardware=st.sampled_from([None, 0, 1]), holder=st.none() | place)
    def register(self, package: int, hardware: int | None, holder: int | None) -> None:
        held = self.life.holders
        chosen = None if holder is None or not held else held[holder % len(held)]
        if len(self.life.machines) < 6:
            self.life.registers(package=package, hardware=hardware, name="laptop", holder=chosen)

    @rule(number=place)
    def repeat(self, number: int) -> None:
        self.life.repeats(self.pick(number))

    @rule()
    def appear(self) -> None:
        if len(self.life.holders) < 3:
            self.life.holds()

    @rule(number=place, holder=place)
    def promote(self, number: int, holder: int) -> None:
        if self.life.holders:
            self.life.promotes(self.pick(number), self.life.holders[holder % len(self.life.holders)])

    @rule(number=place, replaces=st.booleans())
    def approve(self, number: int, replaces: bool) -> None:
        with self.life.transaction():
            signer = self.world.signer
            pending.approve(self.connection, self.acting, signer, self.pick(number).id, replaces=replaces)

    @rule(number=place)
    def reject(self, number: int) -> None:
        with self.life.transaction():
            pending.reject(self.connection, self.acting, self.pick(number).id)

    @rule(number=place, facts=st.sampled_from(FACTS), at=st.integers(0, 1))
    def check_in(self, number: int, facts: dict[str, Any], at: int) -> None:
        said = DeviceFacts(**{"display_name": "laptop", "os_type": "Linux", "os_version": "Debian 12"} | facts)
        self.life.checks_in(self.pick(number), instance=instance(at), facts=said)

    @rule(number=place, at=st.integers(0, 1))
    def resync(self, number: int, at: int) -> None:
        self.life.resyncs(self.pick(number), instance(at))

    @rule(number=place)
    def attest(self, number: int) -> None:
        self.life.attests(self.pick(number))

    @rule(number=place, other=st.none() | place)
    def change_key(self, number: int, other: int | None) -> None:
        machine = self.pick(number)
        self.life.changes_key(machine, type(machine.key).generate() if other is None else self.pick(other).key)

    @rule(number=place)
    def renew(self, number: int) -> None:
        self.life.renews(self.pick(number))

    @rule(number=place)
    def say_goodbye(self, number: int) -> None:
        self.life.leaves(self.pick(number))

    @rule(number=place, tag=st.sampled_from(["MDE-Management", "web"]), add=st.booleans())
    def tag(self, number: int, tag: str, add: bool) -> None:
        with self.life.transaction():
            change = {"add" if add else "remove": [tag]}
            acts.change_tags(self.connection, self.acting, self.pick(number).id, **change)

    @rule(number=place, name=st.sampled_from(["laptop", "desk"]))
    def rename(self, number: int, name: str) -> None:
        with self.life.transaction():
            acts.rename(self.connection, self.acting, self.pick(number).id, name)

    @rule(number=place, enabled=st.booleans())
    def switch(self, number: int, enabled: bool) -> None:
        with self.life.transaction():
            acts.set_enabled(self.connection, self.acting, self.pick(number).id, enabled=enabled)

    @rule(number=place)
    def release(self, number: int) -> None:
        with self.life.transaction():
            clone_watch.release(self.connection, self.acting, self.pick(number).id)

    @rule(number=place, force=st.booleans())
    def order_to_leave(self, number: int, force: bool) -> None:
        with self.life.transaction():
            offboarding.order_to_leave(self.connection, self.acting, self.pick(number).id, force=force)

    @rule(number=place)
    def delete(self, number: int) -> None:
        with self.life.transaction():
            machine = self.pick(number)
            delete_device(self.connection, self.acting, machine.id)
            self.life.gone.append(machine.id)

    @rule(number=place, into=place)
    def merge(self, number: int, into: int) -> None:
        with self.life.transaction():
            twins.merge(self.connection, self.acting, self.pick(number).id, self.pick(into).id)

    @rule(scope=st.sampled_from(SCOPES))
    def change_scope(self, scope: EnforcementScope) -> None:
        with self.life.transaction():
            enforcement_scope.save_scope(self.connection, self.acting, scope)

    @rule(enabled=st.booleans(), group=place, word=st.booleans(), excluded=place)
    def protect(self, enabled: bool, group: int, word: bool, excluded: int) -> None:
        named = self.life.groups[group % len(self.life.groups)]
        wanted = ProtectionSettings(enabled=enabled, groups={named: word}, excluded=(self.pick(excluded).id,))
        with self.life.transaction():
            protection.replace_settings(self.connection, self.acting, wanted)

    @rule(number=place, on=st.booleans())
    def troubleshoot(self, number: int, on: bool) -> None:
        with self.life.transaction():
            if on:
                protection.start_troubleshooting(self.connection, self.acting, self.pick(number).id)
            else:
                protection.stop_troubleshooting(self.connection, self.acting, self.pick(number).id)

    @rule(number=place, belongs=st.booleans())
    def assign(self, number: int, belongs: bool) -> None:
        change = assigned_members.add_member if belongs else assigned_members.remove_member
        with self.life.transaction():
            change(self.connection, self.acting, self.life.groups[0], self.pick(number).id)

    @rule(number=st.integers(1, len(RULES)), membership_rule=st.sampled_from(RULES), paused=st.booleans())
    def change_group(self, number: int, membership_rule: str, paused: bool) -> None:
        draft = GroupDraft(
            display_name=f"g{number}",
            mail_nickname=f"g{number}",
            membership_rule=membership_rule,
            processing_state=ProcessingState.PAUSED if paused else ProcessingState.ON,
        )
        with self.life.transaction():
            groups.update_group(self.connection, self.acting, self.life.groups[number], draft)

    @rule(hours=st.sampled_from([1, 5, 30]))
    def time_passes(self, hours: int) -> None:
        self.world.clock.advance(hours=hours)
        protection.end_troubleshooting(self.connection, self.acting)

    @invariant()
    def everybody_belongs_where_the_rules_say(self) -> None:
        everybody = devices.list_devices(self.connection, TENANT_ID, Page(size=100))
        belongs = group_members.memberships(self.connection, [each.id for each in everybody])
        for group in groups.list_groups(self.connection, TENANT_ID, Page(size=100)):
            members = group_members.member_ids(self.connection, group.id)
            assert members <= {each.id for each in everybody if each.state not in OUTSIDE}
            if group.membership_rule is None or group.processing_state is ProcessingState.PAUSED:
                continue
            asked = parse_rule(group.membership_rule)
            assert members == {
                each.id
                for each in everybody
                if each.state not in OUTSIDE
                and asked.matches({**attributes_of(each), MEMBER_OF: tuple(belongs[each.id])})
            }

    @invariant()
    def everybody_is_enrolled_as_the_scope_says(self) -> None:
        decide = deciding(tenants.enforcement_scope(self.connection, TENANT_ID))
        for each in self.present():
            assert each.enrollment_code == decide(each).code

    @invariant()
    def everybody_has_the_target_that_would_be_computed(self) -> None:
        savepoint = self.connection.begin_nested()
        ids = [each.id for each in self.present()]
        assert retarget(self.connection, ids, self.world.clock.now()) == frozenset()
        savepoint.rollback()

    @invariant()
    def the_lists_say_what_the_devices_are(self) -> None:
        for each in devices.list_devices(self.connection, TENANT_ID, Page(size=100)):
            row = self.connection.execute(select(inventory).where(inventory.c.device_id == each.id)).one()._mapping
            derived = inventory_rows.row_of(each)
            assert {name: row[name] for name in derived} == derived
            text = self.connection.execute(select(device_texts).where(device_texts.c.number == row["number"])).one()
            derived = inventory_rows.text_of(each)
            assert {name: text._mapping[name] for name in derived} == derived

    @invariant()
    def a_spent_key_is_nobodys(self) -> None:
        present = set(self.connection.scalars(select(device_table.c.key_thumbprint)))
        assert not present & set(self.connection.scalars(select(spent_keys.c.thumbprint)))

    @invariant()
    def nothing_is_left_of_who_is_gone(self) -> None:
        there = set(self.connection.scalars(select(device_table.c.id)))
        gone = set(self.life.gone) - there
        columns = [key.parent for key in _references() if key.column is device_table.c.id]
        for column in (*columns, device_table.c.replaces, alerts.c.device_id, membership_events.c.device_id):
            assert not gone & set(self.connection.scalars(select(column)))
        numbers = set(self.connection.scalars(select(device_table.c.number)))
        for column in (key.parent for key in _references() if key.column is device_table.c.number):
            assert set(self.connection.scalars(select(column))) <= numbers
        assert not gone & set(protection_store.settings(self.connection, TENANT_ID).excluded)

    @invariant()
    def no_step_goes_without_a_trace(self) -> None:
        trail = [f"{name} {details}" for name, details in self.connection.execute(_TRAIL)]
        now = {each.id: _steps(each) for each in devices.list_devices(self.connection, TENANT_ID, Page(size=100))}
        for device_id in self.known.keys() | now.keys():
            if self.known.get(device_id) != now.get(device_id):
                assert any(device_id in event for event in trail[self.told :])
        self.known, self.told = now, len(trail)

    def present(self) -> list[Device]:
        everybody = devices.list_devices(self.connection, TENANT_ID, Page(size=100))
        return [each for each in everybody if each.state is not DeviceState.RETIRED]


def _references() -> list[ForeignKey]:
    return [key for table in metadata.sorted_tables for key in table.foreign_keys]


def _steps(device: Device) -> tuple[Any, ...]:
    return (
        device.state,
        device.registration,
        device.key_thumbprint,
        device.certificate,
        device.attestation_level,
        device.tags,
    )


@pytest.mark.timeout(900)  # what breaks is made small first
def test_every_life_leaves_everything_true(database: Database, tmp_path: Path) -> None:
    add_tenant(database)
    clock = HandClock()
    signer = InProcessSigner.create(tmp_path / "data", TENANT_ID, clock)
    here = World(database=database, catalog=load(), signer=signer, clock=clock, new_id=CountingIds())
    with database.write() as connection:
        made = furnish(here, connection)

    class OfThisWorld(Lives):
        world, groups = here, made

    run_state_machine_as_test(OfThisWorld, settings=EFFORT)
