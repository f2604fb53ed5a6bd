"""Disks set back and copied, with the agent's real code against the real gateway, on both engines: who ends where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.databases import migrated_database_url
from tests.support.life import BEFORE, Life, LifeDevice, a_life
from tests.support.policies import ANTIVIRUS, LEVEL, choice
from tests.support.signing_inside import SigningInside

from shieldwall.agent.service.errors import ProblemAnswerError, RegistrationPendingError
from shieldwall.contract.ids import DeviceId, PolicyId
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.policies import Policies, PolicyDraft
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices, sightings
from shieldwall.server.storage.events import alerts, audit
from shieldwall.server.storage.records import AssignmentKind, Page

__all__ = ["migrated_database_url"]

ALL = Assigned(kind=AssignmentKind.ALL_DEVICES)


@pytest.fixture
def life(tmp_path: Path, migrated_database_url: str) -> Iterator[Life]:
    with a_life(tmp_path, migrated_database_url) as made:
        yield made


@pytest.fixture
def baseline(life: Life) -> PolicyId:
    return publish(life, "Antivirus", "_1")


@pytest.fixture
def laptop(life: Life, baseline: PolicyId) -> LifeDevice:  # noqa: ARG001 - there before the device is
    device = life.device("laptop")
    device.surroundings.onboard()(life.package())
    device.check_in()
    assert protected(device)
    return device


def publish(life: Life, name: str, level: str) -> PolicyId:
    services = life.server.services
    draft = PolicyDraft(
        name=name,
        platforms="linux",
        technologies="microsoftSense",
        template_id=ANTIVIRUS,
        settings=(choice(LEVEL, level),),
    )
    with services.database.write() as connection:
        policies = Policies(catalog=services.catalog, signatures=SigningInside(services.signer))
        policy = policies.create(connection, life.server.acting, draft)
        assign(connection, life.server.acting, policy.id, [ALL])
    return policy.id


def replace(life: Life, former: PolicyId, following: PolicyId) -> None:
    with life.server.services.database.write() as connection:
        assign(connection, life.server.acting, former, [])
        assign(connection, life.server.acting, following, [ALL])


def protected(device: LifeDevice) -> bool:
    return LEVEL in device.products.now


def days(device: LifeDevice, count: int) -> None:
    """Live for some days, with two check-ins a day."""
    for _ in range(2 * count):
        device.life.server.clock.forward(hours=12)
        device.check_in()


def record(device: LifeDevice) -> Any:
    with device.life.server.services.database.read() as connection:
        return devices.get(connection, DeviceId(device.id))


def state(device: LifeDevice) -> tuple[str, str | None]:
    found = record(device)
    return found.state.value, found.state_reason


def trail(life: Life) -> list[str]:
    services = life.server.services
    with services.database.read() as connection:
        return [event.activity for event in audit.list_events(connection, services.tenant.id, Page(size=1_000))]


def open_alerts(life: Life) -> list[str]:
    services = life.server.services
    with services.database.read() as connection:
        found = alerts.list_alerts(connection, services.tenant.id, Page(size=100), is_open=True)
    return [alert.kind for alert in found]


def moves_on(device: LifeDevice) -> None:
    """The device counts on, and takes what is published from now on."""
    device.life.server.clock.forward(minutes=90)
    device.check_in()
    assert device.state.standing().trouble is None
    assert state(device) == ("active", None)


@pytest.mark.parametrize("since", [1, 30])
def test_a_snapshot_restored_counts_anew_and_nobody_is_alarmed(life: Life, laptop: LifeDevice, since: int) -> None:
    with laptop.set_back():
        days(laptop, since)
    laptop.machine.boot = "boot after the restore"

    laptop.check_in()

    assert state(laptop) == ("active", None)
    assert open_alerts(life) == []
    assert trail(life).count("device.resynced") == 1
    assert protected(laptop)
    for _ in range(3):
        moves_on(laptop)
    assert trail(life).count("device.resynced") == 1, "once, and no loop"


def test_snapshots_restored_day_after_day_alarm_nobody(life: Life, laptop: LifeDevice) -> None:
    for number in range(5):
        with laptop.set_back():
            days(laptop, 1)
        laptop.machine.boot = f"boot {number}"
        laptop.check_in()
    assert state(laptop) == ("active", None)
    assert open_alerts(life) == []


def test_a_snapshot_from_before_a_key_change_has_a_spent_key_and_is_onboarded_again(
    life: Life, laptop: LifeDevice
) -> None:
    with laptop.set_back():
        laptop.state.wishes.put_rotation()
        laptop.check_in()
    former = laptop.id

    with pytest.raises(ProblemAnswerError) as refused:
        laptop.check_in()
    assert refused.value.problem.code == "badSignature"
    assert protected(laptop), "what holds stays"

    laptop.enrolled().offboard(without_server=True)
    assert laptop.products.now == BEFORE
    waits(laptop, life)
    life.post(f"/beta/deviceManagement/managedDevices/{pending_id(laptop)}/approve")
    laptop.surroundings.onboard().again()
    laptop.check_in()
    assert laptop.id != former
    assert protected(laptop)


def waits(device: LifeDevice, life: Life) -> None:
    with pytest.raises(RegistrationPendingError):
        device.surroundings.onboard()(life.package())


def pending_id(device: LifeDevice) -> str:
    with pytest.raises(RegistrationPendingError) as waiting:
        device.surroundings.onboard().again()
    return waiting.value.answer.device_id


def test_a_disk_copied_before_registration_makes_a_second_device_that_waits(life: Life) -> None:
    package = life.package()
    first = life.device("first", hardware_name="image")
    second = life.device("second", hardware_name="image")
    first.surroundings.onboard()(package)
    first.check_in()

    with pytest.raises(RegistrationPendingError) as waiting:
        second.surroundings.onboard()(package)

    assert waiting.value.answer.reason == "duplicateHardware"
    assert waiting.value.answer.device_id != first.id
    assert state(first) == ("active", None)
    moves_on(first)
    assert not protected(second)


def test_a_disk_copied_onto_other_hardware_ends_in_quarantine_for_both(
    life: Life, laptop: LifeDevice, baseline: PolicyId
) -> None:
    days(laptop, 2)
    copy = laptop.copied("copy", hardware_name="other hardware")

    life.server.clock.forward(hours=1)
    copy.check_in()
    assert state(laptop) == ("active", None), "nobody knows yet"
    life.server.clock.forward(hours=1)
    laptop.check_in()
    life.server.clock.forward(hours=1)
    copy.check_in()

    assert state(laptop) == ("quarantined", "clonedIdentity")
    assert open_alerts(life) == ["clonedIdentity"]
    assert trail(life).count("device.quarantined") == 1
    for _ in range(3):  # both may report, and keep what they enforce
        for device in (laptop, copy):
            life.server.clock.forward(minutes=90)
            device.check_in()
            assert protected(laptop)
            assert device.state.standing().trouble is None
    stronger = publish(life, "Stronger", "_0")
    replace(life, baseline, stronger)
    laptop.check_in()
    assert laptop.products.now[LEVEL].endswith('_0"}}'), "what strengthens comes all the same"
    replace(life, stronger, baseline)
    life.server.clock.forward(minutes=90)
    laptop.check_in()
    assert laptop.products.now[LEVEL].endswith('_0"}}'), "what weakens waits"
    shown = life.managed(laptop)["shieldwall"]
    assert (shown["deviceState"], shown["deviceStateReason"]) == ("quarantined", "clonedIdentity")

    # The way out: the copy gets an identity of its own, and the right one is released.
    copy.enrolled().offboard(without_server=True)
    copy.surroundings.onboard()(life.package())
    copy.check_in()
    life.post(f"/beta/deviceManagement/managedDevices/{laptop.id}/releaseFromQuarantine")
    assert copy.id != laptop.id
    for device in (copy, laptop, copy, laptop):
        moves_on(device)
    assert laptop.products.now[LEVEL].endswith('_1"}}'), "what waited has come"
    assert open_alerts(life) == []


def test_a_released_device_whose_copy_is_still_there_is_back_at_once(life: Life, laptop: LifeDevice) -> None:
    copy = laptop.copied("copy", hardware_name="other hardware")
    for _ in range(2):
        for device in (copy, laptop):
            life.server.clock.forward(hours=1)
            device.check_in()
    assert state(laptop)[0] == "quarantined"

    life.post(f"/beta/deviceManagement/managedDevices/{laptop.id}/releaseFromQuarantine")
    for device in (laptop, copy):
        life.server.clock.forward(hours=1)
        device.check_in()

    assert state(laptop) == ("quarantined", "clonedIdentity")


def test_a_copy_on_like_hardware_is_found_by_its_boots(life: Life, laptop: LifeDevice) -> None:
    copy = laptop.copied("copy")
    for _ in range(2):
        for device in (copy, laptop):
            life.server.clock.forward(hours=6)
            device.check_in()
    assert state(laptop) == ("quarantined", "clonedIdentity")


def test_one_disk_that_two_machines_share_is_found(life: Life, laptop: LifeDevice) -> None:
    for _ in range(3):
        for name in ("one", "two"):
            laptop.machine.hardware_name, laptop.machine.boot = name, f"boot of {name}"
            life.server.clock.forward(hours=12)
            laptop.check_in()
    assert "device.resynced" not in trail(life), "the numbers alone would never have told"
    assert state(laptop) == ("quarantined", "clonedIdentity")


def test_a_machine_id_made_anew_alarms_nobody(life: Life, laptop: LifeDevice) -> None:
    days(laptop, 1)
    for number in range(4):
        laptop.machine.hardware_name = f"machine id {number}"
        laptop.machine.boot = f"boot {number}"
        moves_on(laptop)
    assert open_alerts(life) == []
    with life.server.services.database.read() as connection:
        seen = sightings.of_device(connection, DeviceId(laptop.id))
    assert len({each.instance_id for each in seen}) == 5, "each is known all the same"


def test_a_disabled_device_keeps_what_it_enforces_and_comes_back(life: Life, laptop: LifeDevice) -> None:
    path = f"/beta/deviceManagement/managedDevices/{laptop.id}"
    life.post(f"{path}/disable")
    with pytest.raises(ProblemAnswerError) as refused:
        laptop.check_in()
    assert refused.value.problem.code == "badSignature"
    assert protected(laptop)
    laptop.enrolled().enforcement.start()
    assert protected(laptop), "also after a restart"

    life.post(f"{path}/enable")
    moves_on(laptop)


def test_two_years_and_more_with_one_identity(life: Life, laptop: LifeDevice) -> None:
    first_key = laptop.state.get_key().thumbprint
    for _ in range(25):
        life.server.clock.forward(days=30)
        laptop.check_in()
        assert laptop.state.standing().trouble is None

    found = record(laptop)
    assert found.key_thumbprint == laptop.state.get_key().thumbprint != first_key
    assert found.certificate == laptop.state.get_identity().certificate
    assert trail(life).count("device.certificateRenewed") >= 10
    assert trail(life).count("device.keyChanged") == 1
    assert protected(laptop)
    life.server.clock.forward(days=200)
    moves_on(laptop)
    with life.server.services.database.read() as connection:
        assert check_ins.get(connection, found.id).epoch == 1
