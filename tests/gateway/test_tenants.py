"""Two tenants on one gateway: each device belongs to one of them, and nothing of the other helps or reaches it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.gateway_device import GatewayDevice
from tests.support.gateway_world import GatewayWorld, gateway_world

from shieldwall.contract import strict_json
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import Envelope, Have, TimeRequest
from shieldwall.contract.status import StatusReport
from shieldwall.server.console.adding_tenants import AddTenant
from shieldwall.server.storage.check_ins import statuses
from shieldwall.server.storage.devices import devices
from shieldwall.server.system import new_id
from shieldwall.trust.refusals import RefusedTimeError
from shieldwall.trust.verification import open_time

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("server") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def theirs(ours: GatewayWorld) -> GatewayWorld:
    """A tenant added while the gateway runs."""
    add = AddTenant(clock=ours.clock, new_id=new_id)
    return ours.of(add(ours.services, display_name="Adatum", domain="adatum.example", actor="test"))


@pytest.fixture(scope="module")
def our_device(ours: GatewayWorld) -> GatewayDevice:
    made = GatewayDevice(ours)
    assert made.register().status == 201
    return made


@pytest.fixture(scope="module")
def their_device(theirs: GatewayWorld) -> GatewayDevice:
    made = GatewayDevice(theirs)
    assert made.register().status == 201
    return made


def test_each_device_lands_in_the_tenant_of_its_package(
    ours: GatewayWorld, theirs: GatewayWorld, our_device: GatewayDevice, their_device: GatewayDevice
) -> None:
    for world, device in ((ours, our_device), (theirs, their_device)):
        with world.services.database.read() as connection:
            assert devices.get(connection, device.device_id).tenant_id == world.services.tenant.id
        answer = device.check_in()
        assert answer.status == 200
        assert answer.json["manifest"] is not None


def test_a_package_is_worth_nothing_in_another_tenant(ours: GatewayWorld, theirs: GatewayWorld) -> None:
    for world, package in ((theirs, ours.package()), (ours, theirs.package())):
        assert GatewayDevice(world).register(package).code == "badOnboardingProof"


def test_a_nonce_is_worth_nothing_in_another_tenant(ours: GatewayWorld, theirs: GatewayWorld) -> None:
    device = GatewayDevice(theirs)
    body = device.registration(theirs.package(), nonce=GatewayDevice(ours).nonce())

    assert device.send(f"{device.enrollment}/device", body).code == "badNonce"


def test_a_registration_is_not_answered_again_in_another_tenant(ours: GatewayWorld, theirs: GatewayWorld) -> None:
    device = GatewayDevice(ours)
    body = device.registration(ours.package())
    assert device.send(f"{device.enrollment}/device", body).status == 201
    device.world = theirs

    replayed = device.send(f"{device.enrollment}/device", body)

    assert replayed.status != 201
    assert replayed.code == "duplicateKey"


def test_a_device_does_not_leave_by_the_door_of_another_tenant(ours: GatewayWorld, their_device: GatewayDevice) -> None:
    path = f"/{ours.services.tenant.id}/EnrollmentServer/device/{their_device.device_id}/offboard"

    assert their_device.send(path, their_device.numbered(reason="x")).status == 404


def test_a_report_of_another_tenant_cannot_be_pointed_to(
    ours: GatewayWorld, theirs: GatewayWorld, our_device: GatewayDevice, their_device: GatewayDevice
) -> None:
    report = StatusReport(target=Digest("1" * 64))
    digest = strict_json.digest_of(report)
    assert our_device.check_in(report=report).status in {200, 204}

    asked = their_device.check_in(have=Have(status=digest))

    assert "report" in asked.json["want"], "the same words of another tenant are not known here"
    with ours.services.database.read() as connection:
        assert statuses.exists(connection, ours.services.tenant.id, digest)
        assert not statuses.exists(connection, theirs.services.tenant.id, digest)


@pytest.mark.parametrize("path", ["Discover?api-version=1.0", "EnrollmentServer/nonce", "EnrollmentServer/device"])
@pytest.mark.parametrize("tenant", [NOBODY, "contoso.example", "x", "..", "%2e"])
def test_a_tenant_that_is_not_here_is_a_path_that_is_not_there(ours: GatewayWorld, tenant: str, path: str) -> None:
    if path.endswith("device"):
        device = GatewayDevice(ours)
        reply = device.send(f"/{tenant}/{path}", device.registration(ours.package()))
    elif path.endswith("nonce"):
        reply = ours.post(f"/{tenant}/{path}", b"{}")
    else:
        reply = ours.ask("GET", f"/{tenant}/{path}")

    nothing = ours.ask("GET", "/nothing/here")
    assert reply.status == nothing.status == 404
    assert reply.shape == nothing.shape


def test_time_is_signed_for_the_tenant_that_asks(ours: GatewayWorld, theirs: GatewayWorld) -> None:
    roots = {world.services.tenant.id: world.services.signer.trust_root() for world in (ours, theirs)}
    for tenant, root in roots.items():
        nonce = "0" * 32
        body = strict_json.encode(TimeRequest(nonce=nonce, tenant_id=tenant))
        envelope = strict_json.decode(ours.post("/device/v1/time", body).body, Envelope)
        assert open_time(envelope, root, tenant_id=tenant, nonce=nonce) == ours.clock.now()
        (other,) = roots.keys() - {tenant}
        with pytest.raises(RefusedTimeError):
            open_time(envelope, roots[other], tenant_id=other, nonce=nonce)
    unknown = strict_json.encode(TimeRequest(nonce="0" * 32, tenant_id=NOBODY))  # type: ignore[arg-type]  # as sent
    assert ours.post("/device/v1/time", unknown).status == 404


def test_who_names_no_tenant_gets_the_time_of_the_first(ours: GatewayWorld) -> None:
    envelope = strict_json.decode(ours.post("/device/v1/time", b'{"nonce":"%s"}' % (b"0" * 32)).body, Envelope)

    home = ours.settings.tenant_id
    root = ours.services.signer.trust_root()
    assert open_time(envelope, root, tenant_id=home, nonce="0" * 32) == ours.clock.now()
