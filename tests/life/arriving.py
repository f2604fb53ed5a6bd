"""How devices come: by themselves, approved by somebody, known to the directory before, or known to it later."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.life.ledger import Ledger, is_managed, is_untouched
from tests.life.office import Office
from tests.support.life import Life, LifeDevice
from tests.support.other_directory import Holder, OtherDirectory, a_key

from shieldwall.agent.service.errors import ProblemAnswerError, RegistrationPendingError
from shieldwall.contract.errors import ShieldwallError
from shieldwall.trust.key_proofs import ExistingPrivateKey

TRUST_TYPES = ("AzureAd", "ServerAd", "Workplace")


def arrive(life: Life, office: Office, ledger: Ledger) -> None:
    """Every way in, and every way to be turned away."""
    by_themselves(life, office, ledger)
    with_approval(life, office, ledger)
    out_of_another_directory(life, office, ledger)
    turned_away(life, ledger)
    joined_in_full(life, office, ledger)
    promoted(life, office, ledger)


def by_themselves(life: Life, office: Office, ledger: Ledger) -> None:
    """Nobody knows them: each gets a synthetic registration, whose join type is blank, and is managed."""
    package = life.package(tags=["MDE-Management"])
    devices = [life.device(f"server-{number:02}").onboard(package) for number in range(40)]
    devices += [life.device(f"pc-{number}", os_type="Windows").onboard(package) for number in range(6)]
    devices += [life.device(f"host-{number}", os_type="Windows Server").onboard(package) for number in range(6)]
    devices += [life.device(f"mac-{number}", os_type="macOS").onboard(package) for number in range(6)]
    for device in devices:
        device.check_in()
        in_directory = life.get(f"/v1.0/devices(deviceId='{device.id}')")
        assert in_directory["trustType"] is None
        assert life.managed(device)["shieldwall"]["registration"] == "synthetic"
        assert life.managed(device)["shieldwall"]["enrollment"]["code"] == 1
        if device.machine.said.os_type == "Linux":
            assert is_managed(life, device, office.setting)
    used = life.get(f"/beta/deviceManagement/onboardingPackages/{package.package_id}/devices")["value"]
    assert {each["id"] for each in used} >= {device.id for device in devices[:50]}
    ledger.ended("onboards with a package", "synthetic, managed", *devices)


def with_approval(life: Life, office: Office, ledger: Ledger) -> None:
    """They wait, and get nothing, until somebody says yes or no."""
    package = life.package(approval="manual")
    approved = [life.device(f"approved-{number}") for number in range(5)]
    rejected = [life.device(f"rejected-{number}") for number in range(3)]
    for device in (*approved, *rejected):
        with pytest.raises(RegistrationPendingError) as waits:
            device.onboard(package)
        assert waits.value.answer.reason == "approval"
        verb = "approve" if device in approved else "reject"
        life.post(f"/beta/deviceManagement/managedDevices/{waits.value.answer.device_id}/{verb}")
    for device in approved:
        device.surroundings.onboard().again()
        device.check_in()
        assert is_managed(life, device, office.setting)
    for device in rejected:
        assert refusal_of(device) == "registrationRejected"
        assert is_untouched(device)
    ledger.ended("onboards with a package that asks for approval", "approved, managed", *approved)
    ledger.ended("onboards with a package that asks for approval", "rejected, untouched", *rejected)


def out_of_another_directory(life: Life, office: Office, ledger: Ledger) -> None:
    """The directory knows them already: that registration is used, whatever its kind of key."""
    directory, package, devices = OtherDirectory(life.server.clock.now()), life.package(), []
    for trust_type in TRUST_TYPES:
        for kind in ("rsa", "p256", "p384"):
            device = life.device(f"known-{trust_type}-{kind}".lower())
            device_id, holder = imported(life, directory, device, kind=kind, trust_type=trust_type)
            hold(device, holder)
            device.onboard(package).check_in()
            assert device.id == device_id
            assert life.get(f"/v1.0/devices(deviceId='{device_id}')")["trustType"] == trust_type
            assert life.managed(device)["shieldwall"]["registration"] == "full"
            assert is_managed(life, device, office.setting)
            devices.append(device)
    ledger.ended("is in the directory before it onboards", "that registration, managed", *devices)


def turned_away(life: Life, ledger: Ledger) -> None:
    """A registration that cannot be used is refused by name, and the device stays as it is."""
    now, package = life.server.clock.now(), life.package()
    ours, strangers = OtherDirectory(now), OtherDirectory(now, name="Fabrikam devices")
    devices: list[LifeDevice] = []

    def comes(name: str, code: str, **members: Any) -> None:
        device = life.device(name)
        _, holder = imported(life, ours, device, **members)
        hold(device, members.get("holder") or holder)
        with pytest.raises(ProblemAnswerError) as refused:
            device.onboard(package)
        assert refused.value.problem.code == code, refused.value.problem
        assert not device.is_onboarded
        assert is_untouched(device)
        devices.append(device)

    comes("expired", "existingCertificateExpired", days=-1)
    comes("disabled-object", "registrationDisabled", accountEnabled=False)
    comes("mdm-object", "managedElsewhere", isManaged=True, managementType="MDM")
    comes("stranger", "existingCertificateUntrusted", holder=strangers.holder(str(uuid.uuid4())))
    ledger.ended("holds a registration that cannot be used", "refused by name, untouched", *devices)


def joined_in_full(life: Life, office: Office, ledger: Ledger) -> None:
    """They join the directory first, by our own full join."""
    package, devices = life.package(joinType="full"), []
    for number in range(5):
        device = life.device(f"joined-{number}")
        join = device.surroundings.join()(package)
        device.onboard(package).check_in()
        assert device.id == join.device_id
        assert life.get(f"/v1.0/devices(deviceId='{device.id}')")["trustType"] == "AzureAd"
        assert is_managed(life, device, office.setting)
        devices.append(device)
    ledger.ended("joins in full", "full, managed", *devices)


def promoted(life: Life, office: Office, ledger: Ledger) -> None:
    """First nobody knows them; then the directory does. No check-in is missed, and nothing is enforced anew."""
    directory, package, devices = OtherDirectory(life.server.clock.now()), life.package(tags=["promoted"]), []
    for number in range(10):
        device = life.device(f"promoted-{number}")
        device.onboard(package).check_in()
        life.add_to_group(office.named, device)
        synthetic, target = device.id, device.products.target
        device.check_in()
        device_id, holder = imported(life, directory, device)
        hold(device, holder)
        life.server.clock.forward(minutes=90)
        settled = device.check_in()
        assert settled.rounds >= 1, settled
        assert device.id == device_id != synthetic
        assert device.products.target is not None
        seen = life.managed(device)
        assert seen["shieldwall"]["registration"] == "full"
        assert seen["shieldwall"]["tags"] == ["promoted"]
        assert seen["lastSyncDateTime"].startswith(life.server.clock.now().strftime("%Y-%m-%dT%H:%M"))
        assert device.id in life.members(office.named)
        assert life.ask("GET", f"/beta/deviceManagement/managedDevices/{synthetic}").status_code == 404
        assert is_managed(life, device, office.setting)
        assert target is not None
        devices.append(device)
    ledger.ended("is synthetic when its full registration appears", "promoted without a missed check-in", *devices)


def imported(
    life: Life, directory: OtherDirectory, device: LifeDevice, *, kind: str = "p256", days: int = 365, **members: Any
) -> tuple[str, Holder]:
    """Import a device's registration in another directory, with its certificate there."""
    members.pop("holder", None)
    device_id = str(uuid.uuid4())
    holder = directory.holder(device_id, key=_own_key(kind), days=365)
    body = {
        "deviceId": device_id,
        "displayName": device.name,
        "operatingSystem": "Linux",
        "operatingSystemVersion": "12",
        "certificate": holder.pem,
        **{_GRAPH.get(name, name): value for name, value in members.items()},
    }
    life.post("/v1.0/devices", body)
    return device_id, holder if days > 0 else directory.holder(device_id, key=holder.key, days=0)


def _own_key(kind: str) -> ExistingPrivateKey:
    """A key that no other device has: the samples share theirs."""
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else a_key(kind)


_GRAPH = {"trust_type": "trustType"}


def hold(device: LifeDevice, holder: Holder) -> None:
    """Put certificate and key of a registration on the device, where its agent looks."""
    folder = device.life.home / f"{device.directory.name} registration"
    folder.mkdir()
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_text(holder.pem)
    key.write_bytes(holder.key_pem)
    key.chmod(0o600)
    device.surroundings.existing.use_files(certificate, key)


def refusal_of(device: LifeDevice) -> str:
    """The code with which a registration that waited is refused."""
    with pytest.raises(ShieldwallError) as refused:
        device.surroundings.onboard().again()
    return refused.value.problem.code if isinstance(refused.value, ProblemAnswerError) else refused.value.code
