"""Quarantine in the database: how a device gets there, what it gets there, and how it comes out. Both engines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.support.manager_world import World, a_draft, caller
from tests.support.samples import TENANT_ID, device_id

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, KeyThumbprint, PolicyId
from shieldwall.contract.messages import PROTOCOL, CheckInRequest, Have, Protection
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.contract.target import Target
from shieldwall.server.directory import devices as directory
from shieldwall.server.directory import groups
from shieldwall.server.directory.devices import CLONED_IDENTITY, WrongDeviceStateError
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.manager import clone_watch
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.check_in import ToAnswer, Unchanged
from shieldwall.server.manager.policies import PolicyDraft
from shieldwall.server.manager.strengthening import strengthens
from shieldwall.server.manager.turns import DeviceNotActiveError
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices, sightings
from shieldwall.server.storage.devices.sightings import MOST_KEPT
from shieldwall.server.storage.events import alerts, audit
from shieldwall.server.storage.events.alerts import Severity
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.records import AssignmentKind, Page

ALL = Assigned(kind=AssignmentKind.ALL_DEVICES)
INSTANCES = {"a": "a" * 32, "b": "b" * 32}


@dataclass
class Twins:
    """Machines with one identity; each keeps what it was given, and they keep out of each other's numbers."""

    world: World
    id: DeviceId
    seq: int = 0
    epoch: int = 1

    def check_in(self, connection: Connection, name: str = "a", boot: str = "", **members: Any) -> Any:
        self.seq += 1
        self.world.clock.advance(minutes=90)
        fields: dict[str, Any] = {
            "seq": self.seq,
            "epoch": self.epoch,
            "instance_id": INSTANCES[name],
            "boot_id": boot or f"boot of {name}",
            "agent_version": "0.1.0",
            "protocol": PROTOCOL,
            "have": Have(target=check_ins.get(connection, self.id).target_digest),
        }
        request = CheckInRequest(**(fields | members))
        return self.world.check_in.record(connection, caller(self.id), request, strict_json.digest_of(request))

    def quarantine(self, connection: Connection) -> None:
        for name in "abab":
            self.check_in(connection, name)
        assert devices.get(connection, self.id).state is DeviceState.QUARANTINED


@pytest.fixture
def twins(world: World) -> Twins:
    with world.database.write() as connection:
        return Twins(world, world.join(connection, 1))


def activities(connection: Connection) -> list[str]:
    return [event.activity for event in audit.list_events(connection, TENANT_ID, Page())]


def test_a_sighting_is_kept_when_the_place_is_a_new_one_and_only_then(world: World, twins: Twins) -> None:
    with world.database.write() as connection:
        for name, boot in (("a", "1"), ("a", "1"), ("a", "2"), ("a", "2"), ("b", "3")):
            twins.check_in(connection, name, boot)
        seen = sightings.of_device(connection, twins.id)
    assert [(each.instance_id[0], each.boot_id) for each in seen] == [("a", "1"), ("a", "2"), ("b", "3")]
    assert {each.tenant_id for each in seen} == {TENANT_ID}


def test_sightings_of_one_moment_keep_their_order_and_no_more_are_kept_than_needed(world: World, twins: Twins) -> None:
    with world.database.write() as connection:
        for number in range(MOST_KEPT + 5):
            world.clock.advance(minutes=-90)  # the clock of the next check-in stands still
            twins.check_in(connection, "a", str(number))
        seen = sightings.of_device(connection, twins.id)
    assert [each.boot_id for each in seen] == [str(number) for number in range(5, MOST_KEPT + 5)]


def test_two_machines_in_turn_end_in_quarantine_with_an_alert_and_a_trace(world: World, twins: Twins) -> None:
    with world.database.write() as connection:
        for name in "aba":
            twins.check_in(connection, name)
        assert devices.get(connection, twins.id).state is DeviceState.ACTIVE
        twins.check_in(connection, "b")

        device = devices.get(connection, twins.id)
        assert (device.state, device.state_reason) == (DeviceState.QUARANTINED, CLONED_IDENTITY)
        (alert,) = alerts.list_alerts(connection, TENANT_ID, Page(), is_open=True)
        assert (alert.kind, alert.severity, alert.device_id) == (CLONED_IDENTITY, Severity.HIGH, twins.id)
        told = strict_json.decode_any(alert.details.encode())
        assert told["sign"] == "alternating"
        assert {each["instanceId"] for each in told["sightings"]} == set(INSTANCES.values())
        assert activities(connection).count("device.quarantined") == 1

        for name in "aabb":
            twins.check_in(connection, name)  # it may go on speaking, and is not put there twice
        assert activities(connection).count("device.quarantined") == 1


def publish(world: World, connection: Connection, draft: PolicyDraft) -> PolicyId:
    policy = world.policies.create(connection, world.acting, draft)
    assign(connection, world.acting, policy.id, [ALL])
    return policy.id


def test_in_quarantine_a_device_gets_what_strengthens_it_and_nothing_else(world: World, twins: Twins) -> None:
    with world.database.write() as connection:
        without_cloud = publish(world, connection, a_draft(cloud="false"))
        weak = check_ins.get(connection, twins.id).target_digest
        twins.quarantine(connection)
        assign(connection, world.acting, without_cloud, [])
        publish(world, connection, a_draft("With cloud", cloud="true"))
        strong = check_ins.get(connection, twins.id).target_digest

        outcome = twins.check_in(connection, have=Have(target=weak))
        assert isinstance(outcome, ToAnswer)
        assert outcome.target is not None
        twins.seq -= 1
        again = twins.check_in(connection, have=Have(target=weak))
        assert again == outcome, "a lost answer is decided likewise"

        publish(world, connection, a_draft("Neither", cloud="true"))
        assert twins.check_in(connection, have=Have(target=strong)) == Unchanged(), "another policy says the same"
        publish(world, connection, a_draft("Weaker", cloud="false"))
        assert twins.check_in(connection, have=Have(target=strong)) == Unchanged()
        twins.seq -= 1
        assert twins.check_in(connection, have=Have(target=strong)) == Unchanged()
        assert twins.check_in(connection, have=Have(target=digest_of_bytes(b"?"))) == Unchanged(), "unknown stays"


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [
        (Protection(), Protection(tamper=True), True),
        (Protection(tamper=True), Protection(), False),
        (Protection(tamper=True), Protection(tamper=True, troubleshooting_until="2027-01-01T00:00:00Z"), False),
        (Protection(tamper=True, troubleshooting_until="2027-01-01T00:00:00Z"), Protection(tamper=True), True),
    ],
)
def test_tamper_protection_is_part_of_what_a_device_has(
    world: World, twins: Twins, before: Protection, after: Protection, better: bool
) -> None:
    with world.database.write() as connection:
        has = targets.keep(connection, TENANT_ID, [], protection=before)
        device = devices.get(connection, twins.id)
        wanted = Target(items=(), protection=after)
        assert strengthens(connection, world.catalog, device, has=has, wanted=wanted) == better


def test_weakening_waits_until_the_release(world: World, twins: Twins) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft(cloud="true"))
        assign(connection, world.acting, policy.id, [ALL])
        strong = check_ins.get(connection, twins.id).target_digest
        twins.quarantine(connection)
        assign(connection, world.acting, policy.id, [])

        assert twins.check_in(connection, have=Have(target=strong)) == Unchanged()
        world.clock.advance(hours=1)
        clone_watch.release(connection, world.acting, twins.id)
        twins.seq, twins.epoch = 0, check_ins.get(connection, twins.id).epoch
        outcome = twins.check_in(connection, have=Have(target=strong))
        assert isinstance(outcome, ToAnswer)
        assert outcome.target is not None
        assert outcome.target.items == ()


def test_a_release_starts_a_new_epoch_and_forgets_what_was_seen(world: World, twins: Twins) -> None:
    with world.database.write() as connection:
        twins.quarantine(connection)
        device = clone_watch.release(connection, world.acting, twins.id)

        assert (device.state, device.state_reason) == (DeviceState.ACTIVE, None)
        state = check_ins.get(connection, twins.id)
        assert (state.epoch, state.seq, state.request_digest) == (2, 0, None)
        assert alerts.list_alerts(connection, TENANT_ID, Page(), is_open=True) == ()
        assert "device.released" in activities(connection)
        twins.seq, twins.epoch = 0, 2
        twins.check_in(connection, "b")
        twins.check_in(connection, "a")
        assert devices.get(connection, twins.id).state is DeviceState.ACTIVE
        with pytest.raises(WrongDeviceStateError):
            clone_watch.release(connection, world.acting, twins.id)


def test_groups_that_ask_whether_it_is_enabled_follow_a_quarantine_and_its_end(world: World, twins: Twins) -> None:
    enabled = GroupDraft(
        display_name="Enabled", mail_nickname="enabled", membership_rule="(device.accountEnabled -eq true)"
    )
    with world.database.write() as connection:
        group = groups.create_group(connection, world.acting, enabled)
        policy = world.policies.create(connection, world.acting, a_draft(cloud="true"))
        assign(connection, world.acting, policy.id, [Assigned(kind=AssignmentKind.INCLUDE, group_id=group.id)])
        with_policy = check_ins.get(connection, twins.id).target_digest
        twins.quarantine(connection)

        assert twins.id not in group_members.member_ids(connection, group.id)
        assert twins.check_in(connection, have=Have(target=with_policy)) == Unchanged(), "what it had it keeps"
        clone_watch.release(connection, world.acting, twins.id)
        assert twins.id in group_members.member_ids(connection, group.id)
        assert check_ins.get(connection, twins.id).target_digest == with_policy


def test_disabled_out_of_quarantine_and_enabled_is_back_in_it(world: World, twins: Twins) -> None:
    with world.database.write() as connection:
        twins.quarantine(connection)
        directory.set_enabled(connection, world.acting, twins.id, enabled=True)
        assert devices.get(connection, twins.id).state is DeviceState.QUARANTINED, "enabling is no way out"
        directory.set_enabled(connection, world.acting, twins.id, enabled=False)
        with pytest.raises(DeviceNotActiveError):
            twins.check_in(connection)
        twins.seq -= 1
        directory.set_enabled(connection, world.acting, twins.id, enabled=True)
        assert devices.get(connection, twins.id).state is DeviceState.QUARANTINED


@pytest.mark.parametrize("state", [DeviceState.PENDING, DeviceState.LEAVING])
def test_who_waits_or_leaves_is_neither_disabled_nor_enabled(world: World, state: DeviceState) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 2, state=state)
        for enabled in (True, False):
            with pytest.raises(WrongDeviceStateError):
                directory.set_enabled(connection, world.acting, device, enabled=enabled)


def test_a_key_that_was_put_back_by_an_old_copy_of_the_device_stays_away(world: World, twins: Twins) -> None:
    with world.database.write() as connection:
        before = devices.get(connection, twins.id)
        stale = replace(before, key_thumbprint=KeyThumbprint("x" * 43), certificate="old", display_name="renamed")
        devices.put(connection, stale)
        after = devices.get(connection, twins.id)
    assert after == replace(before, display_name="renamed")


def test_nothing_of_a_check_in_happens_with_a_key_of_before(world: World, twins: Twins) -> None:
    spent = replace(caller(twins.id), key=caller(device_id(9)).key)
    request = CheckInRequest(
        seq=1, epoch=1, instance_id="0" * 32, boot_id="", agent_version="1", protocol=PROTOCOL, have=Have()
    )
    with world.database.write() as connection:
        before = check_ins.get(connection, twins.id)
        with pytest.raises(DeviceNotActiveError):
            world.check_in.record(connection, spent, request, strict_json.digest_of(request))
        assert check_ins.get(connection, twins.id) == before
        assert sightings.of_device(connection, twins.id) == ()
