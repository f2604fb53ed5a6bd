"""Tampering, and every way out of management: allowed or not, ordered, by package, by silence, by deletion."""

from __future__ import annotations

from typing import Any

import pytest
from tests.life.ledger import Ledger, is_managed, is_untouched
from tests.life.office import Office
from tests.life.staying import newcomers
from tests.support.life import Life, LifeDevice

from shieldwall.agent.service.errors import ProblemAnswerError, TamperProtectedError
from shieldwall.agent.service.package_file import Leave
from shieldwall.contract import strict_json
from shieldwall.contract.messages import Envelope
from shieldwall.server.periodic.housekeeping import Housekeeping
from shieldwall.trust.offboarding import open_offboarding
from shieldwall.trust.onboarding import PackageExpiredError

PROTECTION = "/beta/deviceManagement/tamperProtection"
RULES = "/beta/deviceManagement/managedDeviceCleanupRules"
MANAGED = "/beta/deviceManagement/managedDevices"


def leave(life: Life, office: Office, ledger: Ledger) -> None:
    """Tampering first, then all the ways out."""
    tampered_with(life, office, ledger)
    troubleshooting(life, office, ledger)
    by_their_own_word(life, office, ledger)
    by_package(life, office, ledger)
    by_order(life, ledger)
    by_force(life, office, ledger)
    deleted(life, office, ledger)
    silent(life, office, ledger)


def tampered_with(life: Life, office: Office, ledger: Ledger) -> None:
    """Protected devices undo what somebody did to them, refuse to leave, and tell of both."""
    devices = newcomers(life, "protected", 5)
    exempt = devices[-1]
    protect(life, enabled=True, excluded=[exempt.id])
    for device in devices:
        device.check_in()
        device.products.now[office.setting] = "changed by somebody"
        assert device.enrolled().enforcement.refresh()
        assert device.products.now[office.setting] != "changed by somebody"
        if device is not exempt:
            with pytest.raises(TamperProtectedError):
                device.enrolled().offboard(reason="I was told to")
            assert office.setting in device.products.now
        device.check_in()
        assert is_managed(life, device, office.setting)
    changed = {each for alert in life.alerts("tamper.settingChanged") for each in alert["devices"]}
    refused = {each for alert in life.alerts("tamper.offboardRefused") for each in alert["devices"]}
    assert {device.id for device in devices[:-1]} == changed == refused
    ledger.ended("is tampered with while protected", "undone, refused, told of; managed", *devices[:-1])
    ledger.ended("is tampered with while excluded from protection", "undone, managed", exempt)
    protect(life, enabled=False)


def troubleshooting(life: Life, office: Office, ledger: Ledger) -> None:
    """For a while whoever is at the device may change things; then all goes back by itself, whatever its clock says."""
    devices = newcomers(life, "troubled", 4)
    protect(life, enabled=True)
    for device in devices:
        device.check_in()
        life.post(f"{MANAGED}/{device.id}/startTroubleshooting", {"durationMinutes": 60})
        device.check_in()
        device.products.now[office.setting] = "tried by somebody"
        device.enrolled().enforcement.refresh()
        assert device.products.now[office.setting] == "tried by somebody"
    life.server.clock.forward(minutes=61)
    for device in devices:
        device.machine.up += 61 * 60
        device.enrolled().enforcement.refresh()
        assert device.products.now[office.setting] != "tried by somebody"
        device.check_in()
        assert is_managed(life, device, office.setting)
    ledger.ended("is worked at in troubleshooting mode", "as managed again when the time is over", *devices)
    protect(life, enabled=False)


def by_their_own_word(life: Life, office: Office, ledger: Ledger) -> None:
    """Where nothing protects it a device may leave, and come again as a new one."""
    devices = newcomers(life, "leaver", 6)
    for device in devices:
        former = device.id
        device.enrolled().offboard(reason="sold")
        assert has_left(life, device, former)
    for device in devices[:3]:
        device.onboard(life.package()).check_in()
        assert is_managed(life, device, office.setting)
    ledger.ended("leaves by itself", "retired, as before management", *devices[3:])
    ledger.ended("leaves by itself and onboards again", "a new device, managed", *devices[:3])


def by_package(life: Life, office: Office, ledger: Ledger) -> None:
    """An offboarding package opens the door of protected devices until it expires."""
    devices = newcomers(life, "with-package", 5)
    late = devices.pop()
    protect(life, enabled=True)
    made = life.post("/beta/deviceManagement/offboardingPackages", {"validDays": 7})
    for device in (*devices, late):
        device.check_in()
    for device in devices:
        former = device.id
        device.enrolled().offboard(reason="script", package=_opened(life, device, made))
        assert has_left(life, device, former)
    life.server.clock.forward(days=8)
    with pytest.raises(PackageExpiredError):
        _opened(life, late, made)
    late.check_in()
    assert is_managed(life, late, office.setting)
    ledger.ended("is protected, and has an offboarding package", "retired, as before management", *devices)
    ledger.ended("is protected, and its offboarding package has expired", "managed", late)
    protect(life, enabled=False)


def by_order(life: Life, ledger: Ledger) -> None:
    """An administrator sends it away: it goes at its next check-in, protected or not."""
    devices = newcomers(life, "ordered", 6)
    protect(life, enabled=True)
    for number, device in enumerate(devices):
        device.check_in()
        former = device.id
        if number % 2:
            life.delete(f"{MANAGED}/{former}")
        else:
            life.post(f"{MANAGED}/{former}/retire")
        assert life.managed(former)["shieldwall"]["deviceState"] == "leaving"
        assert device.check_in().left
        assert has_left(life, device, former)
    ledger.ended("is told to leave", "retired, as before management", *devices)
    protect(life, enabled=False)


def by_force(life: Life, office: Office, ledger: Ledger) -> None:
    """A device that never comes is let go of at once; should it come after all, nobody knows it."""
    devices = newcomers(life, "forced", 3)
    for device in devices:
        life.delete(f"{MANAGED}/{device.id}?force=true")
        assert life.managed(device)["shieldwall"]["deviceState"] == "retired"
        with pytest.raises(ProblemAnswerError) as refused:
            device.check_in()
        assert refused.value.problem.code == "badSignature"
        assert office.setting in device.products.now, "silence never removes protection"
    ledger.ended("is retired by force", "refused, enforces what it had", *devices)


def deleted(life: Life, office: Office, ledger: Ledger) -> None:
    """Gone from every view, and not back with its old key."""
    devices = newcomers(life, "deleted", 4)
    for device in devices:
        life.add_to_group(office.named, device)
        life.delete(f"/v1.0/devices(deviceId='{device.id}')")
        for path in (f"{MANAGED}/{device.id}", f"/v1.0/devices(deviceId='{device.id}')"):
            assert life.ask("GET", path).status_code == 404
        assert device.id not in life.members(office.named) | life.members(office.managed)
        found = life.get(f"/beta/deviceManagement/machines?search={device.name}&state=retired")["value"]
        assert not found
        with pytest.raises(ProblemAnswerError) as refused:
            device.check_in()
        assert refused.value.problem.code == "badSignature"
        _forget_all_but_the_key(device)
        with pytest.raises(ProblemAnswerError) as spent:
            device.onboard(life.package())
        assert spent.value.problem.code == "duplicateKey"
    ledger.ended("is deleted", "gone, and not back with its old key", *devices)


def silent(life: Life, office: Office, ledger: Ledger) -> None:
    """Inactive after a week; retired when the tenant's rule says so; its profile goes 180 days after that."""
    devices = newcomers(life, "silent", 5)
    assert {life.managed(device)["shieldwall"]["health"] for device in devices} == {"active"}
    life.server.clock.forward(days=8)
    assert {life.managed(device)["shieldwall"]["health"] for device in devices} == {"inactive"}
    tenant = life.server.services.tenant.id
    life.patch(f"{RULES}/{tenant}", {"deviceInactivityBeforeRetirementInDays": 30})
    life.server.clock.forward(days=30)
    heard = newcomers(life, "heard", 1)
    keep_house(life)
    assert {life.managed(device)["shieldwall"]["deviceState"] for device in devices} == {"retired"}
    assert is_managed(life, heard[0], office.setting)
    life.patch(f"{RULES}/{tenant}", {"deviceInactivityBeforeRetirementInDays": 0})
    life.server.clock.forward(days=181)
    keep_house(life)
    assert {life.ask("GET", f"{MANAGED}/{device.id}").status_code for device in devices} == {404}
    ledger.ended("falls silent", "inactive, retired by rule, removed after 180 days", *devices)


def protect(life: Life, *, enabled: bool, excluded: list[str] | None = None) -> None:
    """Switch tamper protection for the tenant."""
    wanted: dict[str, Any] = {"enabled": enabled, "excludedDevices": excluded or []}
    assert life.post(f"{PROTECTION}/preview", wanted)
    life.put(PROTECTION, wanted)


def has_left(life: Life, device: LifeDevice, former: str) -> bool:
    """Whether a device that had this id has left: its state is from before, it is retired, and its history is there."""
    seen = life.managed(former)["shieldwall"]
    joined = life.get(f"/beta/devices/{former}/membershipHistory")["value"]
    return seen["deviceState"] == "retired" and is_untouched(device) and not device.is_onboarded and bool(joined)


def keep_house(life: Life) -> None:
    """Do once what the server does every hour."""
    Housekeeping(services=life.server.services).once()


def _opened(life: Life, device: LifeDevice, made: Any) -> Leave:
    identity = device.state.get_identity()
    content = strict_json.encode(made["package"])
    package = open_offboarding(
        content,
        identity.server.trust_root,
        tenant_id=identity.server.tenant_id,
        device_id=identity.device_id,
        platform="linux",
        now=life.server.clock.now(),
    )
    return Leave(package=package, envelope=strict_json.decode(content, Envelope))


def _forget_all_but_the_key(device: LifeDevice) -> None:
    key = device.state.get_key()
    device.state.forget()
    device.state.put_key(key)
    assert device.state.find_identity() is None
