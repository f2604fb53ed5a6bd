"""Agents of protocol 1: what they said is still taken, and they get nothing that they would refuse."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.databases import migrated_database_url
from tests.support.gateway_device import FACTS, GatewayDevice, digest_of
from tests.support.gateway_world import START, GatewayWorld, gateway_world
from tests.support.older_agent import MESSAGES, PROTOCOL, older_manifest, older_package

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import (
    CheckInAnswer,
    CheckInRequest,
    Envelope,
    FetchRequest,
    Have,
    OffboardRequest,
    TimeRequest,
    WaitRequest,
)
from shieldwall.contract.registration import RegisterRequest
from shieldwall.contract.status import StatusReport
from shieldwall.contract.target import target_digest
from shieldwall.policy.enrollment import EnforcementScope
from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.inventory.onboarding import read_certificate_request
from shieldwall.server.inventory.packages import PackageDraft, ServerAddress, create_package
from shieldwall.server.manager.enforcement_scope import save_scope
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.trust.certificate_request import build_request
from shieldwall.trust.device_key import public_key_info
from shieldwall.trust.onboarding import (
    BadOnboardingProofError,
    OnboardingPackage,
    check_proof,
    older_proven_body,
    open_package,
    proof,
    proven_body,
)

__all__ = ["migrated_database_url"]

NOTHING = target_digest(())


@pytest.fixture
def world(tmp_path: Path, migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path / "data", migrated_database_url) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("register-request", RegisterRequest),
        ("checkin-request", CheckInRequest),
        ("report", StatusReport),
        ("fetch-request", FetchRequest),
        ("wait-request", WaitRequest),
        ("time-request", TimeRequest),
        ("offboard-request", OffboardRequest),
    ],
)
def test_what_an_older_agent_said_is_read(name: str, kind: type[msgspec.Struct]) -> None:
    strict_json.decode(strict_json.encode(MESSAGES[name]), kind)


def golden_package() -> OnboardingPackage:
    return open_package(strict_json.encode(MESSAGES["package"]), START)


def test_its_package_still_opens_and_its_proof_fits() -> None:
    request = strict_json.decode(strict_json.encode(MESSAGES["register-request"]), RegisterRequest)
    certified = read_certificate_request(request)
    package = golden_package()

    def fits(body: bytes) -> None:
        spki, mac = public_key_info(certified.public_key), request.shieldwall.onboarding.mac
        check_proof(package.onboarding_key.secret(), package.tenant_id, certified.nonce, spki, body, mac=mac)

    fits(older_proven_body(request))
    with pytest.raises(BadOnboardingProofError):  # so the older form is needed
        fits(proven_body(request))


def test_its_manifest_is_what_such_an_agent_reads() -> None:
    envelope = strict_json.decode(strict_json.encode(MESSAGES["checkin-answer"]), CheckInAnswer).manifest

    assert envelope is not None
    assert strict_json.encode(older_manifest(envelope)) == strict_json.encode(MESSAGES["manifest"])


def sealed_package(world: GatewayWorld, **draft: Any) -> Envelope:
    with world.services.database.write() as connection:
        draft = {"display_name": "Test"} | draft
        address = ServerAddress(urls=(world.settings.gateway_url,))
        signer = world.services.signer
        return create_package(connection, world.acting, signer, PackageDraft(**draft), address)[1]


def test_it_takes_a_package_that_says_nothing_unusual(world: GatewayWorld) -> None:
    envelope = sealed_package(world)

    assert older_package(envelope).package_id
    opened = open_package(strict_json.encode(envelope), world.clock.now())
    assert (opened.attestation, opened.approval, opened.join_type) == ("optional", "auto", "synthetic")


@pytest.mark.parametrize(
    "draft", [{"approval": "manual"}, {"attestation": "none"}, {"attestation": "tpm-required"}, {"join_type": "full"}]
)
def test_what_is_unusual_stands_in_the_package(world: GatewayWorld, draft: dict[str, Any]) -> None:
    envelope = sealed_package(world, **draft)

    opened = open_package(strict_json.encode(envelope), world.clock.now())
    assert {name: getattr(opened, name) for name in draft} == draft
    with pytest.raises(InvalidJsonError):
        older_package(envelope)


class OlderDevice(GatewayDevice):
    """Speaks protocol 1, in the words of such an agent."""

    def older_registration(self, package: OnboardingPackage) -> bytes:
        nonce = self.nonce()
        message = MESSAGES["register-request"]
        proven: dict[str, Any] = message | {
            "CertificateRequest": {
                "Type": "pkcs10",
                "Data": base64.b64encode(build_request(self.key, nonce)).decode(),
            },
            "shieldwall": {name: value for name, value in message["shieldwall"].items() if name != "onboarding"},
        }
        spki = public_key_info(self.key.public_key)
        mac = proof(package.onboarding_key.secret(), package.tenant_id, nonce, spki, strict_json.encode(proven))
        onboarding = {"packageId": package.package_id, "mac": mac}
        return strict_json.encode(proven | {"shieldwall": proven["shieldwall"] | {"onboarding": onboarding}})

    def say(self, **members: Any) -> bytes:
        return self.check_in_request(protocol=PROTOCOL, **members)


@pytest.fixture
def older(world: GatewayWorld) -> OlderDevice:
    device = OlderDevice(world)
    reply = device.send(f"{device.enrollment}/device", device.older_registration(world.package()))
    assert reply.status == 201
    device.device_id = DeviceId(reply.json["deviceId"])
    device.epoch = reply.json["epoch"]
    return device


def test_it_is_let_in_with_the_proof_of_its_own_form(world: GatewayWorld, older: OlderDevice) -> None:
    with world.services.database.read() as connection:
        assert check_ins.get(connection, older.device_id).protocol == PROTOCOL


def test_it_agrees_with_the_server_whatever_becomes_of_it(world: GatewayWorld, older: OlderDevice) -> None:
    have = Have(facts=digest_of(FACTS))

    def told(**members: Any) -> str:
        reply = older.send("/device/v1/checkin", older.say(have=have, **members))
        assert reply.status == 200
        envelope = strict_json.decode(reply.body, CheckInAnswer).manifest
        assert envelope is not None
        return older_manifest(envelope).target

    def agrees() -> bool:
        with_target = msgspec.structs.replace(have, target=NOTHING)
        return older.send("/device/v1/checkin", older.say(have=with_target)).status == 204

    assert told(facts=FACTS) == NOTHING
    with world.services.database.write() as connection:
        save_scope(connection, world.acting, EnforcementScope(is_allowed=False))
    assert told() == NOTHING
    assert agrees()

    with world.services.database.write() as connection:
        order_to_leave(connection, world.acting, older.device_id)
    assert agrees(), "an order that it does not know is not sent"
    goodbye = MESSAGES["offboard-request"] | older.numbered()
    reply = older.send(f"{older.enrollment}/device/{older.device_id}/offboard", strict_json.encode(goodbye))
    assert reply.status == 204
    with world.services.database.read() as connection:
        assert devices.get(connection, older.device_id).state is DeviceState.RETIRED


def test_the_same_device_with_a_newer_agent_hears_why(world: GatewayWorld, older: OlderDevice) -> None:
    with world.services.database.write() as connection:
        save_scope(connection, world.acting, EnforcementScope(is_allowed=False))

    reply = older.check_in(have=Have(target=NOTHING))

    envelope = strict_json.decode(reply.body, CheckInAnswer).manifest
    assert envelope is not None
    assert strict_json.decode(base64.b64decode(envelope.payload), dict[str, Any])["enrollment"] == 8
