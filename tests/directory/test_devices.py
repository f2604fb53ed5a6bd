from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.support.office import Office
from tests.support.samples import NOON, TENANT_ID, a_device, a_tenant, counted_id, device_id

from shieldwall.contract.ids import TenantId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.directory import devices, groups
from shieldwall.server.directory.devices import InvalidDeviceError
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.directory.registration import DuplicateKeyError, find_registration, register, same_hardware
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices as device_store
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tenants import tenants

OTHER = TenantId(counted_id("1", 1))
WEB = GroupDraft(display_name="Web", mail_nickname="web", membership_rule='(device.deviceTag -eq "web")')


def test_a_tag_moves_a_device_between_dynamic_groups(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1, tags=("old",)))
    web = groups.create_group(connection, office.acting, WEB)

    tagged = devices.change_tags(connection, office.acting, device_id(1), add=["web", "a"], remove=["old", "never"])
    assert tagged.tags == ("a", "web")
    assert group_members.member_ids(connection, web.id) == {device_id(1)}
    devices.change_tags(connection, office.acting, device_id(1), remove=["web"])

    assert group_members.member_ids(connection, web.id) == frozenset()
    assert office.told == [{device_id(1)}, {device_id(1)}]


def test_a_tag_that_no_rule_asks_for_tells_nobody(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1))
    devices.change_tags(connection, office.acting, device_id(1), add=["x"])
    devices.change_tags(connection, office.acting, device_id(1), add=["x"])
    assert office.told == []
    assert [event.activity for event in office.trail(connection)] == ["device.tagged"]


@pytest.mark.parametrize("tags", [[" "], [""], ["a\0b"], ["x" * 129], [f"tag-{number}" for number in range(65)]])
def test_tags_that_cannot_be_are_refused(connection: Connection, office: Office, tags: list[str]) -> None:
    device_store.add(connection, a_device(1))
    with pytest.raises(InvalidDeviceError):
        devices.change_tags(connection, office.acting, device_id(1), add=tags)


def test_a_device_gets_another_name(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1))
    devices.rename(connection, office.acting, device_id(1), "printer")
    assert devices.get_device(connection, TENANT_ID, device_id(1)).display_name == "printer"
    for name in ("", "   ", "x" * 257):
        with pytest.raises(InvalidDeviceError):
            devices.rename(connection, office.acting, device_id(1), name)


def test_a_device_is_disabled_and_enabled(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1))
    assert devices.set_enabled(connection, office.acting, device_id(1), enabled=False).state is DeviceState.DISABLED
    assert devices.set_enabled(connection, office.acting, device_id(1), enabled=True).state is DeviceState.ACTIVE
    assert [event.activity for event in office.trail(connection)] == ["device.disabled", "device.enabled"]
    assert office.told == [{device_id(1)}] * 2


def test_a_retired_device_leaves_every_group_and_never_comes_back(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1, tags=("web",)))
    web = groups.create_group(connection, office.acting, WEB)
    office.told.clear()

    retired = devices.retire(connection, office.acting, device_id(1), reason="sold")
    office.clock.advance(days=1)
    assert devices.retire(connection, office.acting, device_id(1)) == retired

    assert (retired.state, retired.retired_at) == (DeviceState.RETIRED, NOON)
    assert group_members.member_ids(connection, web.id) == frozenset()
    assert office.told == [{device_id(1)}]
    assert '"reason":"sold"' in office.trail(connection)[-1].details
    devices.change_tags(connection, office.acting, device_id(1), add=["web", "db"])
    assert group_members.member_ids(connection, web.id) == frozenset()
    with pytest.raises(NotFoundError):
        devices.set_enabled(connection, office.acting, device_id(1), enabled=True)


def test_a_device_of_another_tenant_is_not_there(connection: Connection, office: Office) -> None:
    tenants.add(connection, a_tenant(id=OTHER, domain="other.example"))
    stranger = a_device(1, tenant_id=OTHER)
    device_store.add(connection, stranger)
    attempts: list[Callable[[], object]] = [
        lambda: devices.get_device(connection, TENANT_ID, device_id(1)),
        lambda: devices.rename(connection, office.acting, device_id(1), "x"),
        lambda: devices.change_tags(connection, office.acting, device_id(1), add=["x"]),
        lambda: devices.set_enabled(connection, office.acting, device_id(1), enabled=False),
        lambda: devices.retire(connection, office.acting, device_id(1)),
    ]
    for attempt in attempts:
        with pytest.raises(NotFoundError):
            attempt()
    assert devices.find_by_object_id(connection, TENANT_ID, stranger.object_id) is None
    assert devices.find_by_object_id(connection, OTHER, stranger.object_id) == stranger
    assert devices.list_devices(connection, TENANT_ID, Page()) == ()
    assert device_store.get(connection, device_id(1)) == stranger


def test_a_registered_device_enters_its_groups_and_starts_to_count(connection: Connection, office: Office) -> None:
    web = groups.create_group(connection, office.acting, WEB)
    register(connection, office.acting, a_device(1, tags=("web",)))
    assert group_members.member_ids(connection, web.id) == {device_id(1)}
    state = check_ins.get(connection, device_id(1))
    assert (state.epoch, state.seq) == (1, 0)
    assert office.told == [{device_id(1)}]


def test_the_same_hardware_is_found_by_any_hash_those_let_in_first_and_the_retired_never(
    connection: Connection, office: Office
) -> None:
    machine, chip = digest_of_bytes(b"machine"), digest_of_bytes(b"chip")
    others: tuple[dict[str, Any], ...] = (
        {"machine_id_hash": machine},
        {"machine_id_hash": machine, "state": DeviceState.PENDING},
        {"tpm_ek_hash": chip},
        {"machine_id_hash": machine, "state": DeviceState.RETIRED},
        {"machine_id_hash": chip},
    )
    for number, fields in enumerate(others, start=1):
        register(connection, office.acting, a_device(number, registered_at=NOON + timedelta(hours=number), **fields))
    newcomer = a_device(9, machine_id_hash=machine, tpm_ek_hash=chip)
    assert [each.id for each in same_hardware(connection, newcomer)] == [device_id(3), device_id(1), device_id(2)]
    assert same_hardware(connection, a_device(9)) == ()


def test_a_registration_is_found_again_by_key_and_request_while_it_is_active(
    connection: Connection, office: Office
) -> None:
    device = a_device(1)
    assert find_registration(connection, TENANT_ID, device.key_thumbprint, device.request_digest) is None
    register(connection, office.acting, device)
    assert find_registration(connection, TENANT_ID, device.key_thumbprint, device.request_digest) == device
    with pytest.raises(DuplicateKeyError):
        find_registration(connection, TENANT_ID, device.key_thumbprint, digest_of_bytes(b"another request"))
    devices.retire(connection, office.acting, device.id)
    with pytest.raises(DuplicateKeyError):
        find_registration(connection, TENANT_ID, device.key_thumbprint, device.request_digest)
