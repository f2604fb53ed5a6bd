"""A machine with a TPM onboards over real sockets, on both engines. The TPM is a real implementation of TPM 2.0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.support.databases import migrated_database_url
from tests.support.gateway_device import FACTS, GatewayDevice
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world
from tests.support.pretend_tpm import PretendTpm
from tests.support.swtpm import EmulatedTpm, running_tpm

from shieldwall.agent.service import attesting
from shieldwall.agent.service.device_keys import TpmKey, make_tpm_key
from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import HardwareIds
from shieldwall.contract.registration import AttestationChallenge, AttestRequest, PendingAnswer
from shieldwall.server.inventory import endorsements
from shieldwall.server.storage.device_records import AttestationLevel, Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.tables.schema import onboarding_packages
from shieldwall.trust import strict_base64
from shieldwall.trust.onboarding import OnboardingPackage

__all__ = ["migrated_database_url"]


@pytest.fixture
def world(tmp_path: Path, migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path / "data", migrated_database_url) as made:
        yield made


@pytest.fixture(scope="module")
def chip() -> Iterator[EmulatedTpm]:
    with running_tpm(endorsed=True) as running:
        yield running


@dataclass
class Machine:
    """A device of the protocol whose key is in a TPM, and a package to come with."""

    world: GatewayWorld
    device: GatewayDevice
    key: TpmKey
    package: OnboardingPackage

    @property
    def shown(self) -> dict[str, Any]:
        offered = attesting.offer(self.key)
        assert offered is not None
        return {"attestation": offered[0], "hardware": HardwareIds(tpm_ek_hash=offered[1])}

    def register(self, body: bytes | None = None) -> Reply:
        request = body or self.device.registration(self.package, shown=self.shown)
        return self.device.send(f"{self.device.enrollment}/device", request)

    def answer(self, reply: Reply) -> AttestRequest:
        waits = strict_json.decode(reply.body, PendingAnswer)
        assert waits.challenge is not None
        return attesting.answer(self.key, waits.challenge, tenant_id=waits.tenant_id, device_id=waits.device_id)

    def attest(self, reply: Reply, answer: AttestRequest | None = None) -> Reply:
        path = f"{self.device.enrollment}/device/{reply.json['deviceId']}/attest"
        return self.device.send(path, answer or self.answer(reply))

    def stored(self, reply: Reply) -> Device:
        with self.world.services.database.read() as connection:
            return devices.get(connection, DeviceId(reply.json["deviceId"]))


def machine_in(world: GatewayWorld, chip: EmulatedTpm, *, attestation: str = "optional") -> Machine:
    key, package = make_tpm_key(chip.open), world.package()
    with world.services.database.write() as connection:
        connection.execute(
            update(onboarding_packages)
            .where(onboarding_packages.c.id == package.package_id)
            .values(attestation=attestation)
        )
    return Machine(world=world, device=GatewayDevice(world, key=key), key=key, package=package)


def today() -> datetime:
    """By now the maker, who looks at a real clock, has certified the TPM."""
    return datetime.now(UTC) + timedelta(minutes=1)


def trust_maker(world: GatewayWorld, certificate: str) -> str:
    with world.services.database.write() as connection:
        made = endorsements.trust_maker(connection, world.acting, display_name="Maker", certificate=certificate)
    return made.id


@pytest.mark.swtpm
def test_a_machine_with_an_unknown_tpm_is_trusted_on_first_use(world: GatewayWorld, chip: EmulatedTpm) -> None:
    machine = machine_in(world, chip)

    waits = machine.register()
    assert (waits.status, waits.json["reason"]) == (202, "attestation")
    assert machine.stored(waits).state is DeviceState.PENDING
    machine.device.device_id, machine.device.epoch = DeviceId(waits.json["deviceId"]), 1
    assert machine.device.check_in().status == 401  # it is nobody yet
    identity = machine.attest(waits)

    assert identity.status == 201, identity.body
    assert identity.json["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    machine.device.seq = 0
    assert machine.device.check_in(facts=FACTS).status == 200
    stored = machine.stored(identity)
    assert (stored.state, stored.attestation_level) == (DeviceState.ACTIVE, AttestationLevel.TRUST_ON_FIRST_USE)


@pytest.mark.swtpm
def test_a_machine_whose_maker_is_trusted_is_at_the_highest_level(world: GatewayWorld, chip: EmulatedTpm) -> None:
    _, issuer = chip.maker
    world.clock.moment = today()
    refused = machine_in(world, chip, attestation="tpm-required").register()
    assert (refused.status, refused.code) == (403, "attestationRequired")
    trust_maker(world, issuer)
    machine = machine_in(world, chip, attestation="tpm-required")

    identity = machine.attest(machine.register())

    assert identity.status == 201
    assert machine.stored(identity).attestation_level is AttestationLevel.TPM


@pytest.mark.swtpm
def test_a_machine_without_a_tpm_stays_out_where_one_is_required(world: GatewayWorld, chip: EmulatedTpm) -> None:
    machine = machine_in(world, chip, attestation="tpm-required")
    software = GatewayDevice(world)

    reply = software.register(machine.package)

    assert (reply.status, reply.code) == (403, "attestationRequired")


@pytest.mark.swtpm
def test_answers_that_are_late_wrong_or_somebody_elses_are_refused(world: GatewayWorld, chip: EmulatedTpm) -> None:
    machine, other = machine_in(world, chip), machine_in(world, chip)
    body = machine.device.registration(machine.package, shown=machine.shown)
    waits = machine.register(body)
    right = machine.answer(waits)
    path = f"{machine.device.enrollment}/device/{waits.json['deviceId']}/attest"

    wrong = AttestRequest(
        secret=strict_base64.encode(bytes(32)), certify_info=right.certify_info, signature=right.signature
    )
    assert machine.attest(waits, wrong).code == "attestationFailed"
    with chip.open() as tpm:  # the attestation key speaks about itself
        statement, signature = tpm.certify(machine.key.attestation, machine.key.attestation, bytes(32))
    about_another = AttestRequest(
        secret=right.secret,
        certify_info=strict_base64.encode(statement),
        signature=strict_base64.encode(signature),
    )
    assert machine.attest(waits, about_another).code == "attestationFailed"
    assert machine.attest(waits, AttestRequest(secret="", certify_info="", signature="")).status == 400
    # Nobody else answers for this device: not a key that is unknown here, nor another device's.
    assert GatewayDevice(world).send(path, right).status == 401
    assert other.register().status == 202
    assert other.device.send(path, right).status == 404
    assert machine.stored(waits).state is DeviceState.PENDING

    world.clock.forward(minutes=11)
    assert (machine.attest(waits, right).status, machine.attest(waits, right).code) == (409, "noOpenChallenge")
    again = machine.register(body)
    assert again.json["deviceId"] == waits.json["deviceId"]
    assert again.json["challenge"] != waits.json["challenge"]
    assert machine.attest(again, right).code == "attestationFailed"
    fresh = machine.answer(again)
    assert machine.attest(again, fresh).status == 201
    assert machine.attest(again, fresh).code == "noOpenChallenge"
    assert machine.register(body).status == 201


def test_hostile_offers_are_refused_with_a_code_and_leave_nothing(world: GatewayWorld) -> None:
    lies = PretendTpm()
    device, package = GatewayDevice(world, key=lies.device_key), world.package()
    good = lies.offer(certificate=None)
    hostile: list[dict[str, Any]] = [
        {"device_public": ""},
        {"device_public": "%"},
        {"device_public": strict_base64.encode(bytes(4096))},
        {"attestation_public": good.device_public},
        {"endorsement_public": good.attestation_public},
        {"device_public": PretendTpm().offer().device_public},
        {"endorsement_certificate": strict_base64.encode(b"\x30\x82\xff\xff")},
        {"endorsement_chain": (strict_base64.encode(b"\x30\x03\x02\x01\x01"),)},
    ]
    for change in hostile:
        offer = {name: getattr(good, name) for name in good.__struct_fields__} | change
        body = device.registration(package, shown={"attestation": type(good)(**offer)})

        reply = device.send(f"{device.enrollment}/device", body)

        assert reply.status == 400, (change, reply.body)
        assert reply.code in {
            "attestationMalformed",
            "attestationUnsuitable",
            "attestationMismatch",
            "endorsementCertificate",
        }
    with world.services.database.read() as connection:
        assert devices.find_by_key(connection, lies.device_key.thumbprint) is None
    assert device.register(package).status == 201


@pytest.mark.swtpm
def test_a_device_that_is_in_asks_to_be_challenged_for_its_present_key_alone(
    world: GatewayWorld, chip: EmulatedTpm
) -> None:
    machine = machine_in(world, chip, attestation="none")
    identity = machine.register()
    assert identity.status == 201
    assert machine.stored(identity).attestation_level is AttestationLevel.NONE
    machine.device.device_id, machine.device.epoch = DeviceId(identity.json["deviceId"]), identity.json["epoch"]
    path = f"{machine.device.enrollment}/device/{machine.device.device_id}/challenge"

    def ask(offer: object) -> Reply:
        number = machine.device.numbered()
        return machine.device.send(path, strict_json.encode({**number, "attestation": offer}))

    other = attesting.offer(make_tpm_key(chip.open))
    assert other is not None
    assert ask(other[0]).code == "attestationMismatch"
    assert ask({}).status == 400
    challenged = ask(machine.shown["attestation"])
    assert challenged.status == 200, challenged.body
    challenge = strict_json.decode(challenged.body, AttestationChallenge)
    assert machine.stored(identity).attestation_level is AttestationLevel.NONE
    answer = attesting.answer(
        machine.key, challenge, tenant_id=world.settings.tenant_id, device_id=machine.device.device_id
    )

    assert machine.attest(identity, answer).status == 201

    assert machine.stored(identity).attestation_level is AttestationLevel.TRUST_ON_FIRST_USE
    machine.device.seq = 0
    assert ask(machine.shown["attestation"]).code == "seqConflict"
    stranger = GatewayDevice(world)
    assert stranger.send(path, b"{}").status == 401


@pytest.mark.swtpm
def test_a_device_that_waits_is_not_challenged_twice_over(world: GatewayWorld, chip: EmulatedTpm) -> None:
    machine = machine_in(world, chip)
    waits = machine.register()
    machine.device.epoch = 1
    path = f"{machine.device.enrollment}/device/{waits.json['deviceId']}/challenge"
    body = strict_json.encode({**machine.device.numbered(), "attestation": machine.shown["attestation"]})

    assert machine.device.send(path, body).status == 401
    assert machine.attest(waits).status == 201
