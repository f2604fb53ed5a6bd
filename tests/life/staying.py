"""What happens to identities over the years: renewed, changed, set back, copied, wiped and brought again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.life.ledger import Ledger, is_managed, is_untouched
from tests.life.office import Office
from tests.support.life import Life, LifeDevice

from shieldwall.agent.service.errors import ProblemAnswerError, RegistrationPendingError
from shieldwall.trust.device_certificate import read_certificate


def stay(life: Life, office: Office, ledger: Ledger) -> None:
    """Everything that time, disks and people do to an identity."""
    renewed(life, office, ledger)
    after_a_long_sleep(life, office, ledger)
    keys_changed(life, office, ledger)
    disabled_for_a_while(life, office, ledger)
    snapshots_restored(life, office, ledger)
    disks_copied_after_registration(life, office, ledger)
    disks_copied_before_registration(life, office, ledger)
    wiped_and_brought_again(life, office, ledger)


def newcomers(life: Life, name: str, count: int, **facts: Any) -> list[LifeDevice]:
    """Devices that are managed already."""
    package = life.package()
    devices = [life.device(f"{name}-{number}", **facts).onboard(package) for number in range(count)]
    for device in devices:
        device.check_in()
    return devices


def renewed(life: Life, office: Office, ledger: Ledger) -> None:
    """Certificates are renewed before half of the devices' certificates have ended; the key stays."""
    devices = newcomers(life, "renewed", 5)
    before = {device.name: device.state.get_identity().certificate for device in devices}
    keys = {device.name: device.state.get_key().thumbprint for device in devices}
    life.server.clock.forward(days=56)
    for device in devices:
        device.check_in()
        now = device.state.get_identity().certificate
        assert read_certificate(now).not_after > read_certificate(before[device.name]).not_after
        assert device.state.get_key().thumbprint == keys[device.name]
        assert is_managed(life, device, office.setting)
    ledger.ended("its certificate grows old", "renewed, managed", *devices)


def after_a_long_sleep(life: Life, office: Office, ledger: Ledger) -> None:
    """An expired certificate opens one door, that to a new one; after a year not even that."""
    devices = newcomers(life, "asleep", 4)
    gone = devices.pop()
    life.server.clock.forward(days=200)
    for device in devices:
        device.check_in()
        assert is_managed(life, device, office.setting)
    ledger.ended("sleeps until its certificate has expired", "renewed, managed", *devices)
    life.server.clock.forward(days=300)
    with pytest.raises(ProblemAnswerError):
        gone.check_in()
    assert office.setting in gone.products.now, "what it enforced it goes on enforcing"
    ledger.ended("sleeps for more than a year after that", "refused, enforces what it had", gone)


def keys_changed(life: Life, office: Office, ledger: Ledger) -> None:
    """A new key takes the place of the old one, which is nobody's ever after."""
    devices = newcomers(life, "rekeyed", 5)
    for device in devices:
        before = device.state.get_key()
        device.state.wishes.put_rotation()
        device.check_in()
        device.check_in()
        assert device.state.get_key().thumbprint != before.thumbprint
        assert is_managed(life, device, office.setting)
        device.state.put_key(before)  # somebody kept the old one
        with pytest.raises(ProblemAnswerError) as refused:
            device.check_in()
        assert refused.value.problem.code == "badSignature"
    ledger.ended("changes its key", "managed by the new one, the old one refused", *devices)


def disabled_for_a_while(life: Life, office: Office, ledger: Ledger) -> None:
    """A disabled device is not heard, and goes on enforcing; enabled again it is as before."""
    devices = newcomers(life, "disabled", 4)
    for device in devices:
        life.post(f"/beta/deviceManagement/managedDevices/{device.id}/disable")
        with pytest.raises(ProblemAnswerError) as refused:
            device.check_in()
        assert refused.value.problem.code == "badSignature"
        assert office.setting in device.products.now
        life.post(f"/beta/deviceManagement/managedDevices/{device.id}/enable")
        device.check_in()
        assert is_managed(life, device, office.setting)
    ledger.ended("is disabled and enabled again", "managed", *devices)


def snapshots_restored(life: Life, office: Office, ledger: Ledger) -> None:
    """A machine that was set back counts anew, silently; once is an accident."""
    devices = newcomers(life, "restored", 6)
    for number, device in enumerate(devices):
        with device.set_back():
            for _ in range(3):
                life.server.clock.forward(minutes=90)
                device.check_in()
            life.server.clock.forward(days=1 if number % 2 else 30)
        device.machine.boot = "boot-after-the-snapshot"
        device.check_in()
        assert life.managed(device)["shieldwall"]["deviceState"] == "active"
        assert is_managed(life, device, office.setting)
    ledger.ended("is set back to a snapshot of a day or a month ago", "counts anew, managed", *devices)


def disks_copied_after_registration(life: Life, office: Office, ledger: Ledger) -> None:
    """Two machines under one identity: both are quarantined, keep what they enforce, and somebody hears of it."""
    originals = newcomers(life, "original", 5)
    copies = [each.copied(f"copy of {each.name}", hardware_name=f"copy of {each.name}") for each in originals]
    for original, copy in zip(originals, copies, strict=True):
        for _ in range(3):
            for machine in (copy, original):
                life.server.clock.forward(minutes=30)
                _check_in_if_heard(machine)
        seen = life.managed(original)["shieldwall"]
        assert (seen["deviceState"], seen["stateReason"]) == ("quarantined", "clonedIdentity")
        assert office.setting in original.products.now
        assert original.id in {each for alert in life.alerts("clonedIdentity") for each in alert["devices"]}
        # One of them gets a key of its own; the other one is let out.
        copy.enrolled().offboard(without_server=True)
        with pytest.raises(RegistrationPendingError) as waits:  # it carries the same machine id still
            replace(copy, machine=replace(copy.machine, hardware_name=original.machine.hardware_name)).onboard(
                life.package()
            )
        assert waits.value.answer.reason == "duplicateHardware"
        life.post(f"/beta/deviceManagement/managedDevices/{waits.value.answer.device_id}/approve")
        copy.surroundings.onboard().again()
        copy.check_in()
        life.post(f"/beta/deviceManagement/managedDevices/{original.id}/releaseFromQuarantine")
        _check_in_if_heard(original)
        original.check_in()
        assert is_managed(life, original, office.setting)
        assert is_managed(life, copy, office.setting)
    ledger.ended("has its disk copied to another machine", "quarantined, then released, managed", *originals)
    ledger.ended("is a copy of another machine's disk", "quarantined, then with a key of its own, managed", *copies)


def disks_copied_before_registration(life: Life, office: Office, ledger: Ledger) -> None:
    """Two machines of one image, each with a key of its own: the second waits until somebody has looked at both."""
    package = life.package()
    firsts = [life.device(f"image-{number}a", hardware_name=f"image {number}") for number in range(4)]
    seconds = [life.device(f"image-{number}b", hardware_name=f"image {number}") for number in range(4)]
    for first, second in zip(firsts, seconds, strict=True):
        first.onboard(package).check_in()
        with pytest.raises(RegistrationPendingError) as waits:
            second.onboard(package)
        assert waits.value.answer.reason == "duplicateHardware"
        beside = life.get(f"/beta/deviceManagement/managedDevices/{waits.value.answer.device_id}/duplicates")["value"]
        assert {each["id"] for each in beside} == {first.id, waits.value.answer.device_id}
        life.post(f"/beta/deviceManagement/managedDevices/{waits.value.answer.device_id}/approve")
        second.surroundings.onboard().again()
        for device in (first, second):
            device.check_in()
            assert is_managed(life, device, office.setting)
    ledger.ended("comes from the same image as another, which is here", "waits, approved, both managed", *seconds)
    ledger.ended("is here when another of the same image comes", "not touched by that, managed", *firsts)


def wiped_and_brought_again(life: Life, office: Office, ledger: Ledger) -> None:
    """The same machine with nothing on its disk: it is suggested to take the place of what it was."""
    package = life.package(tags=["kept"])
    formers = [life.device(f"wiped-{number}").onboard(package) for number in range(5)]
    for former in formers:
        former.check_in()
        life.add_to_group(office.named, former)
        again = life.device(f"{former.name} again", hardware_name=former.machine.hardware_name)
        with pytest.raises(RegistrationPendingError) as waits:
            again.onboard(life.package())
        new_id = waits.value.answer.device_id
        assert life.managed(new_id)["shieldwall"]["replaces"] == former.id
        life.post(f"/beta/deviceManagement/managedDevices/{new_id}/approve", {"replace": True})
        again.surroundings.onboard().again()
        again.check_in()
        assert is_managed(life, again, office.setting)
        assert again.id in life.members(office.named)
        assert "kept" in life.managed(again)["shieldwall"]["tags"]
        assert life.managed(former)["shieldwall"]["deviceState"] == "retired"
        with pytest.raises(ProblemAnswerError):
            former.check_in()
        ledger.ended("is wiped and onboards again", "takes the place of its former self, managed", again)
    ledger.ended("is replaced by its machine's new self", "retired", *formers)


def _check_in_if_heard(machine: LifeDevice) -> None:
    try:
        machine.check_in()
    except ProblemAnswerError:
        assert not is_untouched(machine), "whatever is refused, protection stays"
