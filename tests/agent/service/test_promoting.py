"""Becoming the registration that this machine has: looked for, kept before it is sent, carried out after any crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.support.other_directory import KINDS, Holder, OtherDirectory, a_key
from tests.support.samples import counted_id
from tests.support.simulated_agent import (
    Fault,
    KilledError,
    MemoryEnforcer,
    SimulatedAgent,
    a_policy,
    disk_full,
    killed,
)
from tests.support.simulated_gateway import NOON, HandClock, SimulatedGateway

from shieldwall.agent.host.errors import DiskFullError
from shieldwall.agent.service.errors import GatewayUnreachableError
from shieldwall.agent.service.existing import UnusableExistingError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.messages import CheckInRequest
from shieldwall.contract.registration import PromoteRequest, RegisterRequest

FULL = counted_id("d", 77)
FIREWALL = SettingId("firewall")


def files(directory: Path, holder: Holder) -> tuple[Path, Path]:
    """Certificate and key as another directory's agent would leave them."""
    directory.mkdir(exist_ok=True)
    (directory / "cert.pem").write_text(holder.pem)
    key = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "key.pem").write_bytes(key)
    return directory / "cert.pem", directory / "key.pem"


def a_holder(kind: str = "p256", name: str = FULL) -> Holder:
    return OtherDirectory(NOON).holder(name, key=a_key(kind))


def check_in(laptop: SimulatedAgent) -> None:
    """Check in as the loop does: once more where this device has become another one."""
    if laptop.check_in().promoted:
        assert not laptop.check_in().promoted


def promoted(gateway: SimulatedGateway) -> list[PromoteRequest]:
    return [message for _, message in gateway.received if isinstance(message, PromoteRequest)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_becomes_the_registration_that_appears_and_goes_on(
    laptop: SimulatedAgent, gateway: SimulatedGateway, tmp_path: Path, kind: str
) -> None:
    first = laptop.onboard()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    check_in(laptop)
    old_key = laptop.state.get_key()

    laptop.surroundings.existing.use_files(*files(tmp_path / "other", a_holder(kind)))
    assert laptop.check_in().promoted
    settled = laptop.check_in()

    identity = laptop.state.get_identity()
    assert (identity.device_id, identity.registration, identity.instance_id) == (FULL, "full", first.instance_id)
    assert laptop.state.get_key().thumbprint != old_key.thumbprint
    assert settled.manifest_changed, "a manifest for its new name and key"
    assert laptop.enforcer.now == {FIREWALL: "on"}
    check_in(laptop)
    assert len(promoted(gateway)) == 1, "there is nothing more to become"
    assert laptop.surroundings.existing.find_promotion() is None


def test_files_that_are_not_there_yet_are_looked_for_again(
    laptop: SimulatedAgent, gateway: SimulatedGateway, tmp_path: Path
) -> None:
    laptop.onboard()
    certificate, key = files(tmp_path / "other", a_holder())
    laptop.surroundings.existing.use_files(certificate, key)
    content = certificate.read_bytes()
    certificate.unlink()
    check_in(laptop)
    assert laptop.state.get_identity().registration == "synthetic"

    certificate.write_bytes(b"half a certi")
    check_in(laptop)
    assert "existingUnusable" in laptop.log.getvalue()

    certificate.write_bytes(content)
    check_in(laptop)
    assert gateway.device.id == laptop.state.get_identity().device_id == FULL


def test_files_that_cannot_be_used_are_refused_when_they_are_named(laptop: SimulatedAgent, tmp_path: Path) -> None:
    certificate, key = files(tmp_path / "other", a_holder())
    _, stranger = files(tmp_path / "stranger", a_holder())
    existing = laptop.surroundings.existing
    for pair in (
        (certificate, tmp_path / "missing"),
        (tmp_path / "missing", key),
        (certificate, stranger),
        (key, key),
        (certificate, certificate),
    ):
        with pytest.raises(UnusableExistingError):
            existing.use_files(*pair)
    assert existing.find(laptop.gateway.package().tenant_id) is None


def test_a_registration_that_is_there_is_used_when_onboarding(
    laptop: SimulatedAgent, gateway: SimulatedGateway, tmp_path: Path
) -> None:
    laptop.surroundings.existing.use_files(*files(tmp_path / "other", a_holder()))

    identity = laptop.onboard()

    assert identity.registration == "full"
    (request,) = [message for _, message in gateway.received if isinstance(message, RegisterRequest)]
    assert request.shieldwall.existing is not None
    check_in(laptop)
    assert promoted(gateway) == []


def test_a_full_join_is_kept_apart_and_outlives_the_device(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    laptop.onboard()
    join = laptop.surroundings.join()(gateway.package())
    assert laptop.surroundings.join()(gateway.package()) == join
    check_in(laptop)
    assert laptop.state.get_identity().device_id == join.device_id

    laptop.enrolled().offboard()

    assert {path.name for path in laptop.directory.rglob("*") if path.is_file()} == {"join.key", "join.json"}
    assert laptop.onboard().registration == "full"


def test_a_lost_answer_to_a_join_makes_no_second_registration(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    def lose(path: str) -> None:
        if path.endswith("/device"):
            raise GatewayUnreachableError("The answer was lost.")

    laptop.network.after = lose
    with pytest.raises(GatewayUnreachableError):
        laptop.surroundings.join()(gateway.package())
    laptop.network.after = lambda _path: None

    join = laptop.surroundings.join()(gateway.package())

    assert [answer.device_id for answer in gateway.joins.values()] == [join.device_id]
    assert laptop.surroundings.existing.find_pending_join() is None


@pytest.mark.parametrize("refusal", [(403, "registrationDisabled"), (409, "managedElsewhere"), (400, "badNonce")])
def test_a_refused_promotion_costs_no_check_in(
    laptop: SimulatedAgent, gateway: SimulatedGateway, tmp_path: Path, refusal: tuple[int, str]
) -> None:
    laptop.onboard()
    laptop.surroundings.existing.use_files(*files(tmp_path / "other", a_holder()))
    gateway.refuses_promotion = refusal

    for _ in range(2):
        assert not laptop.check_in().promoted
    assert laptop.state.get_identity().registration == "synthetic"
    assert "promotionRefused" in laptop.log.getvalue()
    assert laptop.surroundings.existing.find_promotion() is None

    gateway.refuses_promotion = None
    check_in(laptop)
    assert laptop.state.get_identity().device_id == FULL


def test_a_server_in_trouble_is_asked_the_same_again(
    laptop: SimulatedAgent, gateway: SimulatedGateway, tmp_path: Path
) -> None:
    laptop.onboard()
    laptop.surroundings.existing.use_files(*files(tmp_path / "other", a_holder()))
    gateway.refuses_promotion = (503, "storageUnavailable")
    with pytest.raises(Exception, match="storageUnavailable"):
        laptop.check_in()
    kept = laptop.surroundings.existing.find_promotion()

    gateway.refuses_promotion = None
    check_in(laptop)

    assert kept is not None
    assert promoted(gateway) == [kept.request]


# Whatever is lost, wherever it ends


def live(laptop: SimulatedAgent, gateway: SimulatedGateway, directory: Path) -> None:
    """Onboard, be promoted, go on; taking up wherever the last attempt ended."""
    laptop.surroundings.promote().finish()
    if laptop.state.find_identity() is None:
        laptop.onboard()
    laptop.restart()
    if laptop.state.get_identity().registration == "synthetic":
        gateway.assign(gateway.publish(a_policy(firewall="on")))
        check_in(laptop)
        laptop.surroundings.existing.use_files(directory / "cert.pem", directory / "key.pem")
    check_in(laptop)
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="half")))
    check_in(laptop)


def lived_well(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    assert laptop.state.get_identity().device_id == gateway.device.id == FULL
    assert laptop.state.get_key().thumbprint in gateway.devices
    assert laptop.surroundings.existing.find_promotion() is None
    assert laptop.enforcer.now == {FIREWALL: "half"}
    assert gateway.device.report == laptop.state.find_report()
    assert len(promoted(gateway)) == 1
    numbers = [(message.epoch, message.seq) for _, message in gateway.received if isinstance(message, CheckInRequest)]
    assert numbers == sorted(set(numbers)), "a sequence number was used twice"


def a_life(tmp_path_factory: pytest.TempPathFactory) -> tuple[SimulatedAgent, SimulatedGateway, Path]:
    directory = tmp_path_factory.mktemp("life")
    files(directory, a_holder())
    gateway = SimulatedGateway(clock=HandClock())
    laptop = SimulatedAgent(directory=directory / "state", gateway=gateway, clock=gateway.clock)
    laptop.enforcer = MemoryEnforcer(own={FIREWALL: "off"})
    return laptop, gateway, directory


def attach(laptop: SimulatedAgent, fault: Fault, kind: str) -> None:
    match kind:
        case "request":
            laptop.network.before = fault
        case "answer":
            laptop.network.after = fault
        case _:
            laptop.disk.step = fault


def steps(tmp_path_factory: pytest.TempPathFactory, kind: str, named: tuple[str, ...] = ("",)) -> int:
    laptop, gateway, directory = a_life(tmp_path_factory)
    fault = Fault(error=killed, named=named)
    attach(laptop, fault, kind)
    live(laptop, gateway, directory)
    lived_well(laptop, gateway)
    return len(fault.seen)


def lost(path: str) -> GatewayUnreachableError:
    return GatewayUnreachableError(f"Nothing came back from {path}.")


@pytest.mark.parametrize("kind", ["request", "answer"])
def test_any_request_and_any_answer_may_be_lost(tmp_path_factory: pytest.TempPathFactory, kind: str) -> None:
    total = steps(tmp_path_factory, kind)
    assert total >= 8
    for number in range(total):
        laptop, gateway, directory = a_life(tmp_path_factory)
        attach(laptop, Fault(error=lost, at=number), kind)
        with pytest.raises(GatewayUnreachableError):
            live(laptop, gateway, directory)
        live(laptop, gateway, directory)
        lived_well(laptop, gateway)


@pytest.mark.parametrize(
    ("error", "named"), [(killed, ("",)), (disk_full, ("write ", "remove "))], ids=["killed", "disk full"]
)
def test_every_step_on_disk_may_be_the_last(
    tmp_path_factory: pytest.TempPathFactory, error: Callable[[str], BaseException], named: tuple[str, ...]
) -> None:
    total = steps(tmp_path_factory, "disk", named)
    assert total >= 20
    for number in range(total):
        laptop, gateway, directory = a_life(tmp_path_factory)
        attach(laptop, Fault(error=error, at=number, named=named), "disk")
        with pytest.raises((KilledError, DiskFullError)):
            live(laptop, gateway, directory)
        assert laptop.enforcer.now[FIREWALL] in {"off", "on", "half"}
        live(laptop, gateway, directory)
        lived_well(laptop, gateway)
