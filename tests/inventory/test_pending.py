"""Devices that nobody lets in unseen: by approval, or because the machine is here already with another key."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.enrolment import Newcomer
from tests.support.gate import Gate
from tests.support.samples import NOON, TENANT_ID, device_id, package_id

from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import HardwareIds
from shieldwall.contract.registration import RegisterAnswer, RegisterRequest
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.directory import assigned_members, groups
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.directory.devices import change_tags, retire
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.directory.registration import DuplicateKeyError, RegistrationRejectedError
from shieldwall.server.inventory import pending
from shieldwall.server.inventory.package_check import PackageRevokedError
from shieldwall.server.inventory.packages import revoke_package
from shieldwall.server.inventory.pending import NothingToReplaceError, NotPendingError
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import AttestationLevel, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import alerts, audit
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.records import Group, Page

EVERYBODY = '(device.displayName -startsWith "lap")'


def on_machine(
    gate: Gate, newcomer: Newcomer, machine: bytes = b"machine", tpm: bytes | None = None
) -> RegisterRequest:
    hardware = HardwareIds(
        machine_id_hash=digest_of_bytes(machine), tpm_ek_hash=None if tpm is None else digest_of_bytes(tpm)
    )
    return newcomer.asks(gate.nonce(), details_too={"hardware": hardware})


def approve(gate: Gate, device: DeviceId, *, replaces: bool = False) -> None:
    with gate.database.write() as connection:
        pending.approve(connection, gate.office.acting, gate.onboarding.signer, device, replaces=replaces)


def a_dynamic_group(gate: Gate) -> Group:
    with gate.database.write() as connection:
        draft = GroupDraft(display_name="All", mail_nickname="all", membership_rule=EVERYBODY)
        return groups.create_group(connection, gate.office.acting, draft)


def test_who_comes_with_a_manual_package_waits_until_somebody_approves(gate: Gate) -> None:
    gate.set_package(approval="manual")
    everybody = a_dynamic_group(gate)
    newcomer = gate.newcomer()
    request = newcomer.asks(gate.nonce())

    waiting = gate.waits(request)
    assert (waiting.reason, waiting.retry_after_seconds) == ("approval", 60)
    gate.office.clock.advance(hours=1)
    assert gate.waits(request).device_id == waiting.device_id
    device = gate.device(waiting.device_id)
    assert (device.state, device.certificate, device.is_managed) == (DeviceState.PENDING, "", False)
    assert gate.office.told == []

    approve(gate, waiting.device_id)

    answer = gate.receives(request)
    assert answer.device_id == waiting.device_id
    assert "BEGIN CERTIFICATE" in answer.certificate
    device = gate.device(waiting.device_id)
    assert (device.state, device.state_reason, device.certificate) == (DeviceState.ACTIVE, None, answer.certificate)
    assert device.certificate_expires_at is not None
    with gate.database.read() as connection:
        assert group_members.member_ids(connection, everybody.id) == {device.id}
    assert gate.office.told[-1] == {device.id}
    with pytest.raises(NotPendingError):
        approve(gate, waiting.device_id)


def test_who_is_rejected_hears_it_and_does_not_come_back_with_that_key(gate: Gate) -> None:
    gate.set_package(approval="manual")
    newcomer = gate.newcomer()
    request = newcomer.asks(gate.nonce())
    waiting = gate.waits(request)

    with gate.database.write() as connection:
        pending.reject(connection, gate.office.acting, waiting.device_id)

    gate.refuses(RegistrationRejectedError, request)
    gate.refuses(DuplicateKeyError, newcomer.asks(gate.nonce()))
    with pytest.raises(NotPendingError):
        approve(gate, waiting.device_id)


def test_a_revoked_package_takes_those_along_who_wait_and_nobody_else(gate: Gate) -> None:
    let_in = gate.receives(gate.newcomer().asks(gate.nonce()))
    gate.set_package(approval="manual")
    request = gate.newcomer().asks(gate.nonce())
    waiting = gate.waits(request)

    with gate.database.write() as connection:
        revoke_package(connection, gate.office.acting, package_id(1))

    gate.refuses(PackageRevokedError, request)
    assert gate.device(waiting.device_id).state is DeviceState.RETIRED
    assert gate.device(let_in.device_id).state is DeviceState.ACTIVE
    with pytest.raises(NotPendingError):
        approve(gate, waiting.device_id)


def test_the_same_hardware_with_another_key_waits_and_both_are_shown(gate: Gate) -> None:
    first = gate.receives(on_machine(gate, gate.newcomer()))
    second = gate.waits(on_machine(gate, gate.newcomer()))
    third = gate.waits(on_machine(gate, gate.newcomer()))
    gate.receives(on_machine(gate, gate.newcomer(), b"another machine"))

    assert (second.reason, third.reason) == ("duplicateHardware", "duplicateHardware")
    assert gate.device(first.device_id).state is DeviceState.ACTIVE
    assert gate.device(second.device_id).replaces == first.device_id
    assert gate.device(third.device_id).replaces == first.device_id, "who was let in comes before who waits"
    with gate.database.read() as connection:
        shown = pending.duplicates(connection, TENANT_ID, second.device_id)
        raised = alerts.list_alerts(connection, TENANT_ID, Page(), is_open=True)
        trail = [event for event in gate.office.trail(connection) if event.activity == "device.duplicateHardware"]
    assert [each.id for each in shown] == [second.device_id, first.device_id, third.device_id]
    assert {(alert.kind, alert.device_id) for alert in raised} == {
        ("duplicateHardware", second.device_id),
        ("duplicateHardware", third.device_id),
    }
    assert [event.object_id for event in trail] == [second.device_id, third.device_id]


def test_approved_as_a_second_device_nothing_moves(gate: Gate) -> None:
    first = gate.receives(on_machine(gate, gate.newcomer()))
    second = gate.waits(on_machine(gate, gate.newcomer()))
    third = gate.waits(on_machine(gate, gate.newcomer()))
    approve(gate, second.device_id)
    with gate.database.write() as connection:
        assert [alert.device_id for alert in alerts.list_alerts(connection, TENANT_ID, Page(), is_open=True)] == [
            third.device_id
        ]
        pending.reject(connection, gate.office.acting, third.device_id)
        assert alerts.list_alerts(connection, TENANT_ID, Page(), is_open=True) == ()
    assert gate.device(first.device_id).state is DeviceState.ACTIVE
    assert gate.device(second.device_id).state is DeviceState.ACTIVE


def test_approved_in_the_place_of_its_former_self_it_takes_over_what_was_noted(gate: Gate) -> None:
    everybody = a_dynamic_group(gate)
    first = gate.receives(on_machine(gate, gate.newcomer()))
    with gate.database.write() as connection:
        change_tags(connection, gate.office.acting, first.device_id, add=["web"])
        assigned = groups.create_group(
            connection, gate.office.acting, GroupDraft(display_name="Assigned", mail_nickname="assigned")
        )
        assigned_members.add_member(connection, gate.office.acting, assigned.id, first.device_id)
    request = on_machine(gate, gate.newcomer())
    second = gate.waits(request)

    approve(gate, second.device_id, replaces=True)

    former, device = gate.device(first.device_id), gate.device(second.device_id)
    assert former.state is DeviceState.RETIRED
    assert (device.state, device.replaces, device.tags) == (DeviceState.ACTIVE, None, ("MDE-Management", "web"))
    with gate.database.read() as connection:
        for group in (assigned, everybody):
            assert group_members.member_ids(connection, group.id) == {device.id}
    assert isinstance(gate.asks(request), RegisterAnswer)


def test_who_follows_nobody_replaces_nobody(gate: Gate) -> None:
    gate.set_package(approval="manual")
    waiting = gate.waits(gate.newcomer().asks(gate.nonce()))
    with pytest.raises(NothingToReplaceError):
        approve(gate, waiting.device_id, replaces=True)
    assert gate.device(waiting.device_id).state is DeviceState.PENDING
    with pytest.raises(NotFoundError):
        approve(gate, device_id(99))


def test_a_machine_that_left_or_was_deleted_is_no_duplicate(gate: Gate) -> None:
    for end in (retire, delete_device):
        answer = gate.receives(on_machine(gate, gate.newcomer()))
        with gate.database.write() as connection:
            end(connection, gate.office.acting, answer.device_id)
    gate.receives(on_machine(gate, gate.newcomer()))


def test_only_the_same_tpm_and_a_month_of_silence_make_a_sure_successor(gate: Gate) -> None:
    first = gate.device(gate.receives(on_machine(gate, gate.newcomer(), tpm=b"tpm")).device_id)
    other = gate.device(gate.waits(on_machine(gate, gate.newcomer(), tpm=b"another")).device_id)
    says_so = gate.device(gate.waits(on_machine(gate, gate.newcomer(), tpm=b"tpm")).device_id)
    second = replace(says_so, attestation_level=AttestationLevel.TPM)
    month = timedelta(days=30)

    assert pending.may_replace_itself(second, first, None, NOON + month)
    assert not pending.may_replace_itself(second, first, None, NOON + month - timedelta(seconds=1))
    assert not pending.may_replace_itself(second, first, NOON + timedelta(days=1), NOON + month)
    assert not pending.may_replace_itself(says_so, first, None, NOON + month)
    assert not pending.may_replace_itself(other, first, None, NOON + month)
    assert not pending.may_replace_itself(first, second, None, NOON + month)


def test_a_deleted_device_is_gone_but_for_the_trail_and_its_key_stays_spent(gate: Gate) -> None:
    everybody = a_dynamic_group(gate)
    newcomer = gate.newcomer()
    request = on_machine(gate, newcomer)
    answer = gate.receives(request)
    gate.waits(on_machine(gate, gate.newcomer()))

    with gate.database.write() as connection:
        delete_device(connection, gate.office.acting, answer.device_id)

    with gate.database.read() as connection:
        assert devices.find(connection, answer.device_id) is None
        assert answer.device_id not in group_members.member_ids(connection, everybody.id)
        with pytest.raises(NotFoundError):
            check_ins.get(connection, answer.device_id)
        assert [each.replaces for each in devices.list_devices(connection, TENANT_ID, Page())] == [None]
        activities = [
            event.activity
            for event in audit.list_events(connection, TENANT_ID, Page())
            if event.object_id == answer.device_id
        ]
    assert {"device.registered", "device.deleted"} <= set(activities)
    gate.refuses(DuplicateKeyError, request)
    gate.refuses(DuplicateKeyError, newcomer.asks(gate.nonce()))
